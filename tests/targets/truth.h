/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef TARGETS_TRUTH_H
#define TARGETS_TRUTH_H

/*
 * What every target needs to tell its own truth without disturbing it: no stdio, no allocation,
 * only static buffers and write(2). Buffers and waiting calls block on read(2).
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Room for 64 processes with every bucket in use, of at most 100 characters a bucket. */
#define TRUTH_MAX (512 * 1024)

struct truth {
	size_t len;
	bool need_comma;
	char text[TRUTH_MAX];
};

static inline _Noreturn void die(const char *what)
{
	const char *why = strerror(errno);

	if (write(2, what, strlen(what)) < 0 || write(2, ": ", 2) < 0 ||
	    write(2, why, strlen(why)) < 0 || write(2, "\n", 1) < 0)
		_exit(3);
	_exit(3);
}

static inline void truth__raw(struct truth *t, const char *s, size_t n)
{
	if (n > sizeof(t->text) - t->len) {
		errno = ENOBUFS;
		die("truth");
	}
	memcpy(t->text + t->len, s, n);
	t->len += n;
}

static inline void truth__str(struct truth *t, const char *s)
{
	truth__raw(t, s, strlen(s));
}

static inline void truth__digits(struct truth *t, uint64_t v)
{
	char buf[24];
	size_t n = sizeof(buf);

	do
		buf[--n] = '0' + v % 10;
	while (v /= 10);
	truth__raw(t, buf + n, sizeof(buf) - n);
}

static inline void truth__separate(struct truth *t)
{
	if (t->need_comma)
		truth__str(t, ",\n");
	t->need_comma = false;
}

/* Keys are the targets' own literals: nothing in them needs an escape. NULL: array element. */
static inline void truth__key(struct truth *t, const char *key)
{
	truth__separate(t);
	if (!key)
		return;
	truth__str(t, "\"");
	truth__str(t, key);
	truth__str(t, "\":");
}

static inline void truth__open(struct truth *t, const char *key, const char *bracket)
{
	truth__key(t, key);
	truth__str(t, bracket);
}

static inline void truth__close(struct truth *t, const char *bracket)
{
	truth__str(t, bracket);
	t->need_comma = true;
}

static inline void truth__number(struct truth *t, const char *key, uint64_t v)
{
	truth__key(t, key);
	truth__digits(t, v);
	t->need_comma = true;
}

static inline void truth__signed(struct truth *t, const char *key, int64_t v)
{
	truth__key(t, key);
	if (v < 0)
		truth__str(t, "-");
	truth__digits(t, v < 0 ? -(uint64_t)v : (uint64_t)v);
	t->need_comma = true;
}

static inline void truth__bool(struct truth *t, const char *key, bool v)
{
	truth__key(t, key);
	truth__str(t, v ? "true" : "false");
	t->need_comma = true;
}

static inline void truth__string(struct truth *t, const char *key, const char *v)
{
	truth__key(t, key);
	truth__str(t, "\"");
	truth__str(t, v);
	truth__str(t, "\"");
	t->need_comma = true;
}

static inline void truth__address(struct truth *t, const char *key, uint64_t v)
{
	char buf[2 + 16 + 1], *p = buf + sizeof(buf);

	*--p = '\0';
	do
		*--p = "0123456789abcdef"[v & 15];
	while (v >>= 4);
	*--p = 'x';
	*--p = '0';
	truth__string(t, key, p);
}

/* Writes the object to $TRUTH; nothing when it is not set. */
static inline void truth__write(const struct truth *t)
{
	const char *path = getenv("TRUTH");
	size_t done = 0;
	int fd;

	if (!path)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		die(path);
	while (done < t->len) {
		ssize_t n = write(fd, t->text + done, t->len - done);

		if (n < 0)
			die(path);
		done += n;
	}
	if (write(fd, "\n", 1) != 1)
		die(path);
	close(fd);
}

/* Says "WORD PID [PID...]" on stdout in one write. */
static inline void say_pids(const char *word, const int *pids, size_t n)
{
	static struct truth line;

	line.len = 0;
	truth__str(&line, word);
	truth__str(&line, " ");
	truth__digits(&line, (uint64_t)getpid());
	for (size_t i = 0; i < n; i++) {
		truth__str(&line, " ");
		truth__digits(&line, (uint64_t)pids[i]);
	}
	truth__str(&line, "\n");
	if (write(1, line.text, line.len) != (ssize_t)line.len)
		die("stdout");
}

static inline void say(const char *word)
{
	say_pids(word, NULL, 0);
}

/* Blocks until a line (or the end of stdin) comes. */
static inline void wait_line(void)
{
	char c;
	ssize_t n;

	do
		n = read(0, &c, 1);
	while ((n == 1 && c != '\n') || (n < 0 && errno == EINTR));
}

/* The two stops of a target that a test steps through: announce, then wait for a line. */
static inline void stop_at(const char *word, bool wait)
{
	if (!wait)
		return;
	say(word);
	wait_line();
}

/* splitmix64: every seed gives a full-period sequence, the same on every machine. */
static inline uint64_t random__next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static inline uint64_t random__below(uint64_t *state, uint64_t n)
{
	return random__next(state) % n;
}

static inline void add(uint64_t *counter, uint64_t n)
{
	__atomic_fetch_add(counter, n, __ATOMIC_RELAXED);
}

/*
 * Options are "--name" or "--name VALUE"; each target lists its own. Numbers are decimal.
 * Returns false for an unknown name.
 */
struct target_option {
	const char *name;
	uint64_t *number;
	const char **string;
	bool *flag;
};

static inline bool parse_options(char **argv, const struct target_option *options)
{
	for (char **arg = argv + 1; *arg; arg++) {
		const struct target_option *o = options;

		while (o->name && (strncmp(*arg, "--", 2) || strcmp(*arg + 2, o->name)))
			o++;
		if (!o->name)
			return false;
		if (o->flag) {
			*o->flag = true;
			continue;
		}
		if (!*++arg)
			return false;
		if (o->string)
			*o->string = *arg;
		else
			*o->number = strtoull(*arg, NULL, 10);
	}
	return true;
}

static inline _Noreturn void usage(const char *text)
{
	if (write(2, text, strlen(text)) < 0)
		_exit(2);
	_exit(2);
}

/* Waits while *word == value; wakes come from futex__wake. Works across processes. */
static inline void futex__wait(uint32_t *word, uint32_t value)
{
	syscall(SYS_futex, word, 0 /* FUTEX_WAIT */, value, NULL, NULL, 0);
}

static inline void futex__wake(uint32_t *word)
{
	syscall(SYS_futex, word, 1 /* FUTEX_WAKE */, INT_MAX, NULL, NULL, 0);
}

static inline void raise_to(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_SEQ_CST);
	futex__wake(word);
}

static inline void bump(uint32_t *word)
{
	__atomic_fetch_add(word, 1, __ATOMIC_SEQ_CST);
	futex__wake(word);
}

static inline void wait_until(uint32_t *word, uint32_t at_least)
{
	uint32_t v;

	while ((v = __atomic_load_n(word, __ATOMIC_SEQ_CST)) < at_least)
		futex__wait(word, v);
}

#endif
