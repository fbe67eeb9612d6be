// flags: -O2 -g -fomit-frame-pointer -fno-optimize-sibling-calls -D_GNU_SOURCE
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * fault_mix PAGES: touches fresh pages by known chains of calls: in a leaf and below a frame with
 * alloca and a realigned one, by read(2), in a signal handler, in threads, and once more after
 * MADV_DONTNEED. Without huge pages.
 *
 * Says "ready" and waits for a line. Touches the pages, writes "CHAIN BYTES" lines to $TRUTH and
 * "faults N", all that it had since it said "ready" by its own getrusage(2); says "done" and waits.
 */
#include <alloca.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))
#define PAGE     4096
#define THREADS  4

enum chain { PLAIN, WITH_ALLOCA, REALIGNED, BY_READ, SIGNAL, THREAD, AGAIN, CHAINS };

static const char *const texts[CHAINS] = {
	[PLAIN] = "main;work;plain;touch",
	[WITH_ALLOCA] = "main;work;with_alloca;touch",
	[REALIGNED] = "main;work;realigned;touch",
	[BY_READ] = "main;work;by_read",
	[SIGNAL] = "main;work;signalled;*;on_signal;touch",
	[THREAD] = "in_thread;touch",
	[AGAIN] = "main;work;again;touch",
};

static char *memory[CHAINS];
static size_t pages[CHAINS];
static char *volatile sink;

static NOINLINE void touch(char *at, size_t count)
{
	for (size_t i = 0; i < count; i++)
		((volatile char *)at)[i * PAGE] = 1;
}

static NOINLINE void plain(void)
{
	touch(memory[PLAIN], pages[PLAIN]);
	sink = NULL;
}

static NOINLINE void with_alloca(size_t size)
{
	char *room = alloca(size);

	memset(room, 1, size);
	sink = room;
	touch(memory[WITH_ALLOCA], pages[WITH_ALLOCA]);
	sink = NULL;
}

static NOINLINE void realigned(void)
{
	char aligned[256] __attribute__((aligned(128)));

	memset(aligned, 1, sizeof(aligned));
	sink = aligned;
	touch(memory[REALIGNED], pages[REALIGNED]);
	sink = NULL;
}

static long call(long number, long a, long b, long c)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

/* The kernel writes to the pages; by an instruction of its own, so that no libc is in the chain. */
static NOINLINE void by_read(int zero)
{
	size_t size = pages[BY_READ] * PAGE;

	if (call(SYS_read, zero, (long)memory[BY_READ], (long)size) != (long)size)
		abort();
	sink = NULL;
}

static NOINLINE void on_signal(int sig)
{
	(void)sig;
	touch(memory[SIGNAL], pages[SIGNAL]);
	sink = NULL;
}

static NOINLINE void signalled(void)
{
	sink = (char *)call(SYS_tgkill, getpid(), gettid(), SIGUSR1);
}

/* The pages of `plain`, given back before: they come anew. */
static NOINLINE void again(void)
{
	madvise(memory[PLAIN], pages[PLAIN] * PAGE, MADV_DONTNEED);
	touch(memory[PLAIN], pages[AGAIN]);
	sink = NULL;
}

static NOINLINE void *in_thread(void *arg)
{
	size_t part = pages[THREAD] / THREADS;

	touch(memory[THREAD] + (uintptr_t)arg * part * PAGE, part);
	sink = NULL;
	return NULL;
}

static NOINLINE void work(int zero)
{
	pthread_t threads[THREADS];

	plain();
	with_alloca(1000);
	realigned();
	by_read(zero);
	signalled();
	again();
	for (uintptr_t i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, in_thread, (void *)i))
			abort();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static long count_faults(void)
{
	struct rusage usage;

	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_minflt + usage.ru_majflt;
}

static void write_number(int fd, long number)
{
	char text[32], *at = text + sizeof(text);

	*--at = '\n';
	do
		*--at = (char)('0' + number % 10);
	while (number /= 10);
	if (write(fd, "faults ", 7) != 7 || write(fd, at, (size_t)(text + sizeof(text) - at)) < 2)
		abort();
}

static void write_truth(int fd)
{
	for (int i = 0; i < CHAINS; i++)
		dprintf(fd, "%s %zu\n", texts[i], pages[i] * PAGE);
}

static void wait_line(void)
{
	char byte;

	do
		if (read(0, &byte, 1) != 1)
			_exit(0);
	while (byte != '\n');
}

int main(int argc, char **argv)
{
	const char *path = getenv("TRUTH");
	size_t count = argc > 1 ? strtoul(argv[1], NULL, 10) : 100;
	struct sigaction action = {.sa_handler = on_signal};
	int zero = open("/dev/zero", O_RDONLY), truth = -1;
	long before;

	truth = path ? open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644) : 1;
	if (prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) || zero < 0 || truth < 0 || !count)
		return 2;
	sigaction(SIGUSR1, &action, NULL);
	/* Each another number, so that none stands for another. */
	for (int i = 0; i < CHAINS; i++) {
		pages[i] = count * (size_t)(i + 2) / 2;
		pages[i] -= pages[i] % THREADS;
		memory[i] = mmap(NULL, (pages[i] + 1) * PAGE, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (memory[i] == MAP_FAILED)
			return 2;
	}
	pages[AGAIN] = pages[PLAIN];
	write_number(open("/dev/null", O_WRONLY), count_faults());
	if (write(1, "ready\n", 6) != 6)
		return 2;
	before = count_faults();
	wait_line();
	work(zero);
	write_truth(truth);
	write_number(truth, count_faults() - before);
	if (write(1, "done\n", 5) != 5)
		return 2;
	wait_line();
	return 0;
}
