// flags: -O2 -g -fomit-frame-pointer -fno-optimize-sibling-calls -D_GNU_SOURCE
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Calls malloc through chains of calls that are hard to walk: alloca, realigned stacks, frames of
 * 100 KB, after a longjmp, in signal handlers on both stacks, in callbacks of libc, in threads, too
 * deep. Writes what it asked for by each chain to $TRUTH, one "CHAIN BYTES" a line, from main or
 * the thread's function to the function that calls malloc; "*" stands for frames of libc.
 *
 * Says "ready" and waits for a line. Then sends itself signals by a chain with "warm_up" in it,
 * until a second line comes; goes through all chains, says "done" and waits for a third.
 *
 * unwind_torture ROUNDS: eight threads instead, each with a chain of its own, at once and so often.
 */
#include <alloca.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>
#include <poll.h>

#define NOINLINE __attribute__((noinline, noclone))
#define ROUNDS   200
#define THREADS  4
#define DEEP     100
#define TOO_DEEP 200

enum chain {
	PLAIN,
	WITH_ALLOCA,
	REALIGNED,
	REALIGNED_ALLOCA,
	LARGE_FRAME,
	AFTER_LONGJMP,
	CALLBACK,
	SIGNAL,
	ALTERNATE,
	TIMER,
	THREAD,
	RECURSION,
	BEYOND,
	CHAINS
};

static const char *const texts[CHAINS] = {
	[PLAIN] = "main;torment;plain;take",
	[WITH_ALLOCA] = "main;torment;with_alloca;take",
	[REALIGNED] = "main;torment;realigned;take",
	[REALIGNED_ALLOCA] = "main;torment;realigned_alloca;take",
	[LARGE_FRAME] = "main;torment;large_frame;take",
	[AFTER_LONGJMP] = "main;torment;after_longjmp;take",
	[CALLBACK] = "main;torment;callback;*;compare;take",
	[SIGNAL] = "main;torment;signalled;*;on_signal;take",
	[ALTERNATE] = "main;torment;signalled;*;on_alternate;take",
	[TIMER] = "main;torment;timed;spin;*;on_timer;take",
	[THREAD] = "in_thread;take",
};

static _Atomic uint64_t bytes[CHAINS];
static volatile sig_atomic_t spinning;
static jmp_buf back;
static char *volatile sink;

/* What it asked for is in the truth whoever calls it, a signal handler too: it frees at once. */
static NOINLINE void take(enum chain chain, size_t size)
{
	char *p = malloc(size);

	sink = p;
	free(p);
	atomic_fetch_add(&bytes[chain], size);
}

static NOINLINE void plain(size_t size)
{
	take(PLAIN, size);
	sink = NULL;
}

static NOINLINE void with_alloca(size_t size)
{
	char *room = alloca(size);

	memset(room, 1, size);
	sink = room;
	take(WITH_ALLOCA, size);
	sink = NULL;
}

static NOINLINE void realigned(size_t size)
{
	char aligned[256] __attribute__((aligned(128)));

	memset(aligned, 1, sizeof(aligned));
	sink = aligned;
	take(REALIGNED, size);
	sink = NULL;
}

static NOINLINE void realigned_alloca(size_t size)
{
	char aligned[256] __attribute__((aligned(128)));
	char *room = alloca(size);

	memset(aligned, 1, sizeof(aligned));
	sink = aligned;
	sink = room;
	take(REALIGNED_ALLOCA, size);
	sink = NULL;
}

static NOINLINE void large_frame(size_t size)
{
	volatile char large[100000];

	large[size] = 1;
	take(LARGE_FRAME, size);
	sink = (char *)(uintptr_t)large[size];
}

static NOINLINE void jump_back(int depth)
{
	if (depth)
		jump_back(depth - 1);
	else if (!sink)
		longjmp(back, 1);
	sink = NULL;
}

static NOINLINE void after_longjmp(size_t size)
{
	sink = NULL;
	if (!setjmp(back))
		jump_back(20);
	take(AFTER_LONGJMP, size);
	sink = NULL;
}

static NOINLINE int compare(const void *a, const void *b)
{
	take(CALLBACK, 24);
	return *(const int *)a - *(const int *)b;
}

static NOINLINE void callback(void)
{
	int numbers[16];

	for (int i = 0; i < 16; i++)
		numbers[i] = i * 7919 % 16;
	qsort(numbers, 16, sizeof(*numbers), compare);
	sink = NULL;
}

static NOINLINE void on_signal(int sig)
{
	(void)sig;
	take(SIGNAL, 40);
	sink = NULL;
}

static NOINLINE void on_alternate(int sig)
{
	(void)sig;
	take(ALTERNATE, 56);
	sink = NULL;
}

/* By an instruction of its own: it is what is interrupted. */
static NOINLINE void signalled(int sig)
{
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "0"(SYS_tgkill), "D"(getpid()), "S"(gettid()), "d"(sig)
			 : "rcx", "r11", "memory");
	sink = (char *)result;
}

static NOINLINE void on_timer(int sig)
{
	(void)sig;
	/* Elsewhere the chain is another one. */
	if (spinning)
		take(TIMER, 72);
	spinning = 0;
	sink = NULL;
}

static NOINLINE uint64_t spin(void)
{
	uint64_t n = 0;

	spinning = 1;
	while (spinning)
		n += (uint64_t)n << 3 ^ 5;
	return n;
}

static NOINLINE void timed(void)
{
	struct itimerval soon = {.it_value = {.tv_usec = 200}, .it_interval = {.tv_usec = 200}};
	struct itimerval never = {0};

	setitimer(ITIMER_REAL, &soon, NULL);
	sink = (char *)spin();
	setitimer(ITIMER_REAL, &never, NULL);
}

static NOINLINE void recurse(enum chain chain, int depth, size_t size)
{
	if (depth)
		recurse(chain, depth - 1, size);
	else
		take(chain, size);
	sink = NULL;
}

static NOINLINE void *in_thread(void *arg)
{
	for (int i = 0; i < ROUNDS; i++)
		take(THREAD, 88);
	return arg;
}

#define CROWD 8

static long crowd_rounds;
static _Atomic uint64_t crowd_bytes[CROWD];

static NOINLINE void descend(int depth, int thread)
{
	char *p;

	if (depth) {
		descend(depth - 1, thread);
	} else {
		p = malloc((size_t)100 + (size_t)thread);
		sink = p;
		free(p);
		crowd_bytes[thread] += 100 + (uint64_t)thread;
	}
	sink = NULL;
}

static NOINLINE void *in_crowd(void *arg)
{
	int thread = (int)(intptr_t)arg;

	for (long i = 0; i < crowd_rounds; i++)
		descend(4 * thread, thread);
	return NULL;
}

static void run_crowd(FILE *truth)
{
	pthread_t threads[CROWD];

	for (int i = 0; i < CROWD; i++)
		if (pthread_create(&threads[i], NULL, in_crowd, (void *)(intptr_t)i))
			abort();
	for (int i = 0; i < CROWD; i++)
		pthread_join(threads[i], NULL);
	for (int i = 0; i < CROWD; i++) {
		fputs("in_crowd", truth);
		for (int depth = 0; depth <= 4 * i; depth++)
			fputs(";descend", truth);
		fprintf(truth, " %llu\n", (unsigned long long)crowd_bytes[i]);
	}
}

static NOINLINE void torment(size_t size)
{
	plain(size);
	with_alloca(size);
	realigned(size);
	realigned_alloca(size);
	large_frame(size);
	after_longjmp(size);
	callback();
	signalled(SIGUSR1);
	signalled(SIGUSR2);
	timed();
	recurse(RECURSION, DEEP, size);
	recurse(BEYOND, TOO_DEEP, size);
}

static void on(int sig, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	sigaction(sig, &action, NULL);
}

static NOINLINE void on_warm_up(int sig)
{
	(void)sig;
	sink = malloc(8);
	free(sink);
}

/* A millisecond apart, until a line comes. */
static NOINLINE void warm_up(void)
{
	struct pollfd input = {.fd = 0, .events = POLLIN};

	on(SIGUSR1, on_warm_up, 0);
	while (poll(&input, 1, 1) <= 0)
		signalled(SIGUSR1);
	getchar();
}

static void run_threads(void)
{
	pthread_t threads[THREADS];

	for (int i = 0; i < THREADS; i++)
		if (pthread_create(&threads[i], NULL, in_thread, NULL))
			abort();
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
}

static void write_deep(FILE *truth, enum chain chain, int depth)
{
	fputs("main;torment", truth);
	for (int i = 0; i <= depth; i++)
		fputs(";recurse", truth);
	fprintf(truth, ";take %llu\n", (unsigned long long)bytes[chain]);
}

/* What is too deep has no root: 127 frames are kept, the last two of them take and malloc. */
static void write_truth(FILE *truth)
{
	for (int i = 0; i < RECURSION; i++)
		fprintf(truth, "%s %llu\n", texts[i], (unsigned long long)bytes[i]);
	write_deep(truth, RECURSION, DEEP);
	fputs("[truncated]", truth);
	for (int i = 0; i < 125; i++)
		fputs(";recurse", truth);
	fprintf(truth, ";take %llu\n", (unsigned long long)bytes[BEYOND]);
}

int main(int argc, char **argv)
{
	static char alternate[65536];
	const char *path = getenv("TRUTH");
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)};
	FILE *truth = path ? fopen(path, "w") : stdout;

	setvbuf(stdin, NULL, _IONBF, 0);
	setvbuf(stdout, NULL, _IONBF, 0);
	sigaltstack(&stack, NULL);
	on(SIGUSR2, on_alternate, SA_ONSTACK);
	on(SIGALRM, on_timer, 0);
	puts("ready");
	getchar();
	if (argc > 1) {
		crowd_rounds = strtol(argv[1], NULL, 10);
		run_crowd(truth);
		fclose(truth);
		puts("done");
		getchar();
		return 0;
	}
	warm_up();
	on(SIGUSR1, on_signal, 0);
	for (size_t i = 0; i < ROUNDS; i++)
		torment(64 + i);
	run_threads();
	write_truth(truth);
	fclose(truth);
	puts("done");
	getchar();
	return 0;
}
