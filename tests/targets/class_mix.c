// flags: -O2 -g -fno-builtin
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Asks its allocator for sizes at and around the borders of size classes, and writes to $TRUTH how
 * often it asked for each, and the least that malloc_usable_size() ever said of it.
 *
 * As in alloc_mix, what start-up asks for is not in it and does not depend on --rounds; with --wait
 * nothing else happens between "ready" and "done", and threads never end before the process does.
 */
#include <malloc.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include "truth.h"

#define USAGE "usage: class_mix [--threads N] [--rounds N] [--seed N] [--forks N] [--wait]\n"

#define MAX_THREADS   16
#define MAX_PROCESSES 16
#define SLOTS         64
#define SIZES         256

struct ledger {
	uint64_t pid;
	uint64_t calls;
	uint64_t count[SIZES];
	uint64_t usable[SIZES]; /* least seen; 0: never asked */
};

/* Survives fork. Entry 0 is the first process. */
struct shared {
	uint32_t started, finished; /* threads of the first process, futex words */
	struct ledger process[MAX_PROCESSES];
};

struct worker {
	struct ledger ledger;
	struct shared *shared;
	uint64_t random, rounds;
	void *slots[SLOTS];
};

static size_t sizes[SIZES];

/* Small ones, then three at each quarter of a doubling, where classes begin and end. */
static size_t fill_sizes(void)
{
	static const size_t others[] = {0, 1, 8, 9, 15, 16, 17, 24, 25, 40, 41, 100, 104, 105, 112};
	size_t n = 0;

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		sizes[n++] = others[i];
	for (size_t base = 128; base <= 262144; base *= 2) {
		for (size_t quarter = 4; quarter < 8; quarter++) {
			size_t border = base / 4 * quarter;

			sizes[n++] = border - 7;
			sizes[n++] = border;
			sizes[n++] = border + 1;
		}
	}
	return n;
}

static void note(struct worker *w, size_t which, void *p)
{
	uint64_t usable = malloc_usable_size(p);

	w->ledger.calls++;
	w->ledger.count[which]++;
	if (!w->ledger.usable[which] || usable < w->ledger.usable[which])
		w->ledger.usable[which] = usable;
}

static void run_worker(struct worker *w, size_t size_count)
{
	for (uint64_t i = 0; i < w->rounds; i++) {
		size_t which = random__below(&w->random, size_count), size = sizes[which];
		void **slot = &w->slots[random__below(&w->random, SLOTS)];
		uint64_t how = random__below(&w->random, 4);

		/* realloc to nothing is a free, and one in place says less of its class. */
		if (how == 0 && *slot && size) {
			void *p = realloc(*slot, size);

			if (!p)
				die("realloc");
			*slot = p;
			w->ledger.calls++;
			w->ledger.count[which]++;
			continue;
		}
		free(*slot);
		if (how == 1 && size % 8 == 0)
			*slot = calloc(size / 8, 8);
		else
			*slot = malloc(size);
		if (!*slot)
			die("malloc");
		note(w, which, *slot);
	}
}

static void add_ledger(struct ledger *to, const struct ledger *from)
{
	to->calls += from->calls;
	for (size_t i = 0; i < SIZES; i++) {
		to->count[i] += from->count[i];
		if (from->usable[i] && (!to->usable[i] || from->usable[i] < to->usable[i]))
			to->usable[i] = from->usable[i];
	}
}

static size_t size_count;

static void *thread_main(void *arg)
{
	struct worker *w = arg;

	wait_until(&w->shared->started, 1);
	run_worker(w, size_count);
	bump(&w->shared->finished);
	for (;;)
		pause();
	return NULL;
}

static void write_truth(const struct shared *shared, uint64_t processes)
{
	static struct truth t;

	truth__open(&t, NULL, "{");
	truth__string(&t, "program", "class_mix");
	truth__open(&t, "processes", "[");
	for (uint64_t p = 0; p < processes; p++) {
		const struct ledger *ledger = &shared->process[p];

		truth__open(&t, NULL, "{");
		truth__number(&t, "pid", ledger->pid);
		truth__number(&t, "calls", ledger->calls);
		truth__open(&t, "sizes", "[");
		for (size_t i = 0; i < size_count; i++) {
			if (!ledger->count[i])
				continue;
			truth__open(&t, NULL, "{");
			truth__number(&t, "size", sizes[i]);
			truth__number(&t, "count", ledger->count[i]);
			truth__number(&t, "usable", ledger->usable[i]);
			truth__close(&t, "}");
		}
		truth__close(&t, "]");
		truth__close(&t, "}");
	}
	truth__close(&t, "]");
	truth__close(&t, "}");
	truth__write(&t);
}

/* Children live as long as their requests take, no longer. */
static void run_children(struct shared *shared, uint64_t forks, uint64_t rounds, uint64_t seed)
{
	static struct worker worker;
	pid_t pids[MAX_PROCESSES];

	for (uint64_t i = 1; i <= forks; i++) {
		pids[i] = fork();
		if (pids[i] < 0)
			die("fork");
		if (pids[i])
			continue;
		worker.random = seed * 1000 + 500 + i;
		worker.rounds = rounds;
		run_worker(&worker, size_count);
		shared->process[i] = worker.ledger;
		shared->process[i].pid = (uint64_t)getpid();
		_exit(0);
	}
	for (uint64_t i = 1; i <= forks; i++)
		waitpid(pids[i], NULL, 0);
}

static void start_threads(struct worker *workers, uint64_t threads, struct shared *shared,
			  uint64_t rounds, uint64_t seed)
{
	pthread_attr_t attr;
	pthread_t id;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	for (uint64_t i = 0; i < threads; i++) {
		workers[i].shared = shared;
		workers[i].rounds = rounds;
		workers[i].random = seed * 1000 + i;
		errno = pthread_create(&id, &attr, thread_main, &workers[i]);
		if (errno)
			die("pthread_create");
	}
}

int main(int argc, char **argv)
{
	static struct worker workers[MAX_THREADS];
	uint64_t threads = 1, rounds = 1000, seed = 1, forks = 0;
	bool wait = false;
	const struct target_option options[] = {
		{"threads", .number = &threads}, {"rounds", .number = &rounds},
		{"seed", .number = &seed},       {"forks", .number = &forks},
		{"wait", .flag = &wait},         {.name = NULL},
	};
	struct shared *shared;

	(void)argc;
	if (!parse_options(argv, options) || threads > MAX_THREADS || forks >= MAX_PROCESSES)
		usage(USAGE);
	size_count = fill_sizes();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		die("mmap");
	shared->process[0].pid = (uint64_t)getpid();
	start_threads(workers, threads, shared, rounds, seed);
	stop_at("ready", wait);
	run_children(shared, forks, rounds, seed);
	raise_to(&shared->started, 1);
	wait_until(&shared->finished, (uint32_t)threads);
	for (uint64_t i = 0; i < threads; i++)
		add_ledger(&shared->process[0], &workers[i].ledger);
	write_truth(shared, forks + 1);
	stop_at("done", wait);
	_exit(0);
}
