// flags: -O2 -g -fno-builtin
// link: -lpthread -ldl
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Calls every allocator function at random, counts its own calls and writes the counts to $TRUTH.
 *
 * The counts hold its own calls, not those that an allocator's functions make of each other.
 * What else reaches the allocator (start-up, one calloc of glibc per thread made, dlopen) is
 * not in them: it does not depend on --rounds and is the same in a run with --rounds 0. With
 * --wait nothing else happens between "ready" and "done", unless --dlopen or --exec is given.
 * Threads never end before the process does: at a thread's end glibc frees what its cache holds.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <dlfcn.h>
#include <link.h>
#include <pthread.h>
#include <sys/wait.h>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif
#include "again.h"
#include "alloc_ops.h"

#define USAGE                                                                           \
	"usage: alloc_mix [--threads N] [--rounds N] [--seed N] [--forks N] [--exec]\n" \
	"                 [--dlopen FILE] [--ops NAME,NAME...] [--wait]\n"

#define MAX_THREADS   32
#define MAX_PROCESSES 64

struct options {
	uint64_t threads, rounds, seed, forks;
	uint64_t fd; /* set for the run after exec: the shared counts */
	const char *dlopen, *ops;
	bool exec, wait;
};

struct process_counts {
	uint64_t pid;
	uint64_t execs;
	struct counts counts;
};

/* Survives fork and exec: a memfd, mapped shared. Entry 0 is the first process. */
struct shared {
	uint32_t processes;
	uint32_t warm, started, finished; /* threads of the first process, futex words */
	struct process_counts process[MAX_PROCESSES];
};

struct thread {
	struct alloc_worker worker;
	struct shared *shared;
	uint64_t rounds;
};

static const char *const op_names[OPS] = {
	[OP_ALIGNED_ALLOC] = "aligned_alloc",
	[OP_CALLOC] = "calloc",
	[OP_FREE] = "free",
	[OP_MALLOC] = "malloc",
	[OP_MEMALIGN] = "memalign",
	[OP_POSIX_MEMALIGN] = "posix_memalign",
	[OP_PVALLOC] = "pvalloc",
	[OP_REALLOC] = "realloc",
	[OP_REALLOCARRAY] = "reallocarray",
	[OP_VALLOC] = "valloc",
};

struct object_search {
	uintptr_t address;
	uintptr_t base; /* of the object that holds it; 0 is a possible value */
	bool found;
};

static int match_object(struct dl_phdr_info *info, size_t size, void *data)
{
	struct object_search *s = data;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];

		if (p->p_type != PT_LOAD || s->address - info->dlpi_addr - p->p_vaddr >= p->p_memsz)
			continue;
		s->base = info->dlpi_addr;
		s->found = true;
		return 1;
	}
	return 0;
}

static bool same_object(const void *a, const void *b)
{
	struct object_search x = {.address = (uintptr_t)a}, y = {.address = (uintptr_t)b};

	dl_iterate_phdr(match_object, &x);
	dl_iterate_phdr(match_object, &y);
	return x.found && y.found && x.base == y.base;
}

static enum allocator find_allocator(void)
{
#if defined(OTHER_ALLOCATOR)
	return ALLOCATOR_OTHER;
#elif !defined(__GLIBC__)
	return ALLOCATOR_MUSL;
#else
	if (same_object(op_address(OP_MALLOC), (void *)gnu_get_libc_version))
		return ALLOCATOR_GLIBC;
#ifndef WITHOUT_DLOPEN
	if (dlsym(RTLD_DEFAULT, "tc_version"))
		return ALLOCATOR_TCMALLOC;
	if (dlsym(RTLD_DEFAULT, "mi_version"))
		return ALLOCATOR_MIMALLOC;
#endif
	return ALLOCATOR_OTHER;
#endif
}

/* NAME,NAME... holds name. */
static bool list_has(const char *list, const char *name)
{
	size_t n = strlen(name);

	for (const char *p = list; p; p = strchr(p, ',')) {
		p += *p == ',';
		if (!strncmp(p, name, n) && (p[n] == ',' || !p[n]))
			return true;
	}
	return false;
}

/*
 * Without --ops: what the object that provides malloc provides as well. Another object's
 * functions would hand out memory that this one's free does not know, except for reallocarray,
 * which only forwards to realloc.
 */
static void configure(struct alloc_config *config, const struct options *o)
{
	config->allocator = find_allocator();
	for (int op = 0; op < OPS; op++) {
		const void *address = op_address(op);

		config->enabled[op] =
			address && (!o->ops || list_has(o->ops, op_names[op])) &&
			(op == OP_REALLOCARRAY || same_object(address, op_address(OP_MALLOC)));
	}
}

static void counts__add(struct counts *to, const struct counts *from)
{
	const uint64_t *src = (const uint64_t *)from;
	uint64_t *dst = (uint64_t *)to;

	for (size_t i = 0; i < sizeof(*to) / sizeof(*dst); i++)
		add(&dst[i], src[i]);
}

/* Calls by address: functions at one address share a key, their names joined by "|". */
static void write_calls(struct truth *t, const struct counts *c)
{
	truth__open(t, "calls", "{");
	for (int op = 0; op < OPS; op++) {
		char key[160] = "";
		uint64_t calls = 0;
		bool first = true;

		for (int other = 0; other < OPS; other++) {
			if (!op_address(op) || op_address(other) != op_address(op))
				continue;
			first &= other >= op;
			strcat(strcat(key, *key ? "|" : ""), op_names[other]);
			calls += c->calls[other];
		}
		if (*key && first)
			truth__number(t, key, calls);
	}
	truth__close(t, "}");
}

static void write_process(struct truth *t, const struct process_counts *p)
{
	const struct counts *c = &p->counts;

	truth__open(t, NULL, "{");
	truth__number(t, "pid", p->pid);
	truth__number(t, "execs", p->execs);
	truth__number(t, "requested_bytes", c->requested_bytes);
	truth__number(t, "impossible", c->impossible);
	write_calls(t, c);
	truth__open(t, "buckets", "[");
	for (int k = 0; k < BUCKETS; k++) {
		if (!c->bucket_count[k])
			continue;
		truth__open(t, NULL, "{");
		truth__number(t, "min_bytes", k ? 1ULL << (k - 1) : 0);
		truth__number(t, "max_bytes", k ? (1ULL << (k - 1)) * 2 - 1 : 0);
		truth__number(t, "count", c->bucket_count[k]);
		truth__number(t, "bytes", c->bucket_bytes[k]);
		truth__close(t, "}");
	}
	truth__close(t, "]");
	truth__close(t, "}");
}

static void write_truth(const struct shared *shared, const struct options *o,
			const struct alloc_config *config)
{
	static const char *const allocators[] = {"glibc", "musl", "tcmalloc", "mimalloc", "other"};
	static struct truth t;

	truth__open(&t, NULL, "{");
	truth__string(&t, "program", "alloc_mix");
	truth__string(&t, "allocator", allocators[config->allocator]);
	truth__number(&t, "threads", o->threads);
	truth__number(&t, "rounds", o->rounds);
	truth__open(&t, "processes", "[");
	for (uint32_t i = 0; i < shared->processes; i++)
		write_process(&t, &shared->process[i]);
	truth__close(&t, "]");
	truth__close(&t, "}");
	truth__write(&t);
}

static void *thread_main(void *arg)
{
	struct thread *thread = arg;

	warm_up();
	bump(&thread->shared->warm);
	wait_until(&thread->shared->started, 1);
	alloc_worker__run(&thread->worker, thread->rounds);
	bump(&thread->shared->finished);
	for (;;)
		pause();
	return NULL;
}

static void start_threads(struct thread *threads, const struct options *o, struct shared *shared,
			  const struct alloc_config *config)
{
	static void *handed_over[SHARED_SLOTS];
	pthread_attr_t attr;
	pthread_t id;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	for (uint64_t i = 0; i < o->threads; i++) {
		struct thread *thread = &threads[i];

		thread->shared = shared;
		thread->rounds = o->rounds;
		thread->worker.config = config;
		thread->worker.random = o->seed * 1000 + i + 100 * shared->process[0].execs;
		thread->worker.shared = o->threads > 1 ? handed_over : NULL;
		errno = pthread_create(&id, &attr, thread_main, thread);
		if (errno)
			die("pthread_create");
	}
}

/* Children are made by a process whose threads wait: nothing is half done in their copy. */
static void fork_children(const struct options *o, struct shared *shared,
			  const struct alloc_config *config, pid_t *pids)
{
	static struct alloc_worker worker;

	for (uint64_t i = 0; i < o->forks; i++) {
		uint32_t slot = shared->processes++;

		pids[i] = fork();
		if (pids[i] < 0)
			die("fork");
		if (pids[i])
			continue;
		worker.config = config;
		worker.random = o->seed * 1000 + 500 + slot;
		shared->process[slot].pid = getpid();
		alloc_worker__run(&worker, o->rounds);
		shared->process[slot].counts = worker.counts;
		_exit(0);
	}
}

static void run_plugin(const struct options *o, struct alloc_worker *worker)
{
#ifdef WITHOUT_DLOPEN
	(void)worker;
	errno = ENOSYS;
	die(o->dlopen);
#else
	void (*run)(struct alloc_worker *, uint64_t);
	void *handle = dlopen(o->dlopen, RTLD_NOW);

	if (!handle)
		die(o->dlopen);
	*(void **)&run = dlsym(handle, "plugin_run");
	if (!run)
		die("plugin_run");
	run(worker, o->rounds);
#endif
}

static struct shared *map_shared(struct options *o)
{
	bool first = !o->fd;
	struct shared *shared = map_again(&o->fd, sizeof(*shared));

	if (first) {
		shared->processes = 1;
		shared->process[0].pid = getpid();
	} else {
		shared->process[0].execs++;
		shared->warm = shared->started = shared->finished = 0;
	}
	return shared;
}

static void run(const struct options *o, struct shared *shared, const struct alloc_config *config)
{
	static struct thread threads[MAX_THREADS];
	static struct alloc_worker main_worker;
	pid_t children[MAX_PROCESSES];
	bool first = !shared->process[0].execs;

	main_worker.config = config;
	main_worker.random = o->seed + shared->process[0].execs;
	start_threads(threads, o, shared, config);
	warm_up();
	wait_until(&shared->warm, (uint32_t)o->threads);
	if (first) {
		stop_at("ready", o->wait);
		fork_children(o, shared, config, children);
	}
	raise_to(&shared->started, 1);
	if (!o->threads)
		alloc_worker__run(&main_worker, o->rounds);
	if (o->dlopen)
		run_plugin(o, &main_worker);
	wait_until(&shared->finished, (uint32_t)o->threads);
	for (uint64_t i = 0; first && i < o->forks; i++)
		waitpid(children[i], NULL, 0);
	for (uint64_t i = 0; i < o->threads; i++)
		counts__add(&shared->process[0].counts, &threads[i].worker.counts);
	counts__add(&shared->process[0].counts, &main_worker.counts);
}

int main(int argc, char **argv)
{
	struct options o = {.rounds = 1000, .seed = 1};
	const struct target_option options[] = {
		{"threads", .number = &o.threads}, {"rounds", .number = &o.rounds},
		{"seed", .number = &o.seed},       {"forks", .number = &o.forks},
		{"fd", .number = &o.fd},           {"dlopen", .string = &o.dlopen},
		{"ops", .string = &o.ops},         {"exec", .flag = &o.exec},
		{"wait", .flag = &o.wait},         {.name = NULL},
	};
	static struct alloc_config config;
	struct shared *shared;

	(void)argc;
	if (!parse_options(argv, options) || o.threads > MAX_THREADS || o.forks >= MAX_PROCESSES)
		usage(USAGE);
	configure(&config, &o);
	shared = map_shared(&o);
	run(&o, shared, &config);
	if (o.exec)
		exec_again(argv, o.fd);
	write_truth(shared, &o, &config);
	stop_at("done", o.wait);
	/* exit_group at once: no thread ends by itself, no exit handler frees anything */
	_exit(0);
}
