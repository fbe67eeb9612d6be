// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/demangle.h"

#include <errno.h>
#include <libiberty/demangle.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/child.h"
#include "base/clock.h"
#include "base/log.h"

/* Templates of a page of text take a millisecond. */
#define NAME_NS_MAX 2000000000ull

/* 100,000 names take 2 s. What a name may allocate is bounded by what it may answer. */
static const struct child_limits limits = {.cpu_s = 60, .memory_bytes = 256ull << 20};

/* After so many that ended or hung, somebody makes such names: the rest is not asked. */
#define FAILURES_MAX 8

struct demangled {
	UT_hash_handle hh;
	const char *text; /* into own, or raw's own bytes */
	char own[];       /* raw, NUL, and what it stands for */
};

struct demangler {
	struct demangled *by_raw;
	size_t bytes;
	struct child child;
	unsigned int failures;
	char answer[DEMANGLED_MAX_BYTES];
};

struct demangler *demangler__new(void)
{
	return calloc(1, sizeof(struct demangler));
}

void demangler__free(struct demangler *demangler)
{
	struct demangled *entry, *next;

	if (!demangler)
		return;
	HASH_ITER (hh, demangler->by_raw, entry, next) {
		HASH_DEL(demangler->by_raw, entry);
		free(entry);
	}
	child__stop(&demangler->child);
	free(demangler);
}

/* In the child. A length and a name; the answer's length is 0 when it is no mangled name. */
static void serve(void *ctx, int fd)
{
	static char name[MANGLED_MAX_BYTES + 1];
	uint32_t length, answer_length;

	while (!child__receive(fd, &length, sizeof(length), UINT64_MAX) &&
	       length <= MANGLED_MAX_BYTES && !child__receive(fd, name, length, UINT64_MAX)) {
		char *answer;

		name[length] = '\0';
		answer = cplus_demangle(name, DMGL_AUTO | DMGL_PARAMS | DMGL_ANSI);
		answer_length = answer ? (uint32_t)strnlen(answer, DEMANGLED_MAX_BYTES) : 0;
		if (answer_length == DEMANGLED_MAX_BYTES)
			answer_length = 0;
		if (child__send(fd, &answer_length, sizeof(answer_length)) ||
		    child__send(fd, answer, answer_length))
			return;
		free(answer);
	}
}

static int ask(struct demangler *demangler, const char *raw, uint32_t length,
	       uint32_t *answer_length)
{
	uint64_t deadline_ns = monotonic_ns() + NAME_NS_MAX;
	struct child *child = &demangler->child;
	int err;

	if (!child->pid) {
		err = child__start(child, &limits, NULL, 0, serve, NULL);
		if (err)
			return err;
	}
	err = child__send(child->fd, &length, sizeof(length));
	if (!err)
		err = child__send(child->fd, raw, length);
	if (!err)
		err = child__receive(child->fd, answer_length, sizeof(*answer_length), deadline_ns);
	if (!err && *answer_length >= DEMANGLED_MAX_BYTES)
		err = -EINVAL;
	if (!err)
		err = child__receive(child->fd, demangler->answer, *answer_length, deadline_ns);
	return err;
}

/* Length of the answer in demangler->answer, 0 when there is none. */
static uint32_t demangle(struct demangler *demangler, const char *raw, size_t length)
{
	uint32_t answer_length = 0;

	if (demangler->failures >= FAILURES_MAX || length > MANGLED_MAX_BYTES)
		return 0;
	if (!ask(demangler, raw, (uint32_t)length, &answer_length))
		return answer_length;
	child__stop(&demangler->child);
	if (++demangler->failures == FAILURES_MAX)
		log_warning("%d mangled names could not be read in time; further ones stay as "
			    "they are: a program has hostile or damaged symbols",
			    FAILURES_MAX);
	return 0;
}

static bool is_mangled(const char *raw)
{
	return raw[0] == '_' &&
	       (raw[1] == 'Z' || raw[1] == 'R' || (raw[1] == '_' && raw[2] == 'Z'));
}

const char *demangler__name(struct demangler *demangler, const char *raw)
{
	struct demangled *entry;
	size_t length, answer_length;

	if (!is_mangled(raw))
		return raw;
	length = strlen(raw);
	HASH_FIND(hh, demangler->by_raw, raw, length, entry);
	if (entry)
		return entry->text;
	if (demangler->bytes >= DEMANGLED_MAX_TOTAL)
		return raw;
	answer_length = demangle(demangler, raw, length);
	entry = malloc(sizeof(*entry) + length + 1 + answer_length + 1);
	if (!entry)
		return raw;
	memcpy(entry->own, raw, length + 1);
	memcpy(entry->own + length + 1, demangler->answer, answer_length);
	entry->own[length + 1 + answer_length] = '\0';
	entry->text = answer_length ? entry->own + length + 1 : entry->own;
	demangler->bytes += sizeof(*entry) + length + answer_length;
	HASH_ADD_KEYPTR(hh, demangler->by_raw, entry->own, length, entry);
	return entry->text;
}
