// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Random mappings, by raw system calls and without any allocator, from one or more threads and
 * processes. Counts what it asked for and what it got; ends still, so that a model of its
 * address space can be compared with /proc/PID/maps:
 *
 *   --wait: "ready PID", line, storm, "done PID CHILD...", line, end.
 *   --until-line: the storm lasts until a line comes ("done" needs another one then).
 *
 *   --late-forks: children are made while the threads map, or after the storm of a process
 *   without threads; otherwise before it.
 *
 * No thread touches the memory: where threads race for a region, one may get pages that another
 * is about to replace or unmap.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sys/wait.h>
#include "again.h"
#include "map_calls.h"

#define USAGE                                                                                      \
	"usage: map_storm [--threads N] [--rounds N] [--seed N] [--forks N] [--exec] [--exotic]\n" \
	"                 [--shared-region] [--late-forks] [--wait] [--until-line]\n"

#define MAX_THREADS   8
#define MAX_PROCESSES 32
/* Each region is the playground of the calls with a fixed address. */
#define REGION_BYTES (512 * PAGE)
/* Free-floating mappings of a thread at one time; keeps a process far below 65,530 mappings. */
#define FLOATING 64
/* The break moves within this much above where the storm found it. */
#define BREAK_SPAN (1024 * PAGE)

struct process_counts {
	uint64_t pid;
	uint64_t execs;
	uint64_t break_start, break_end;
	struct call_counts calls[CALLS];
	uint64_t exotic;
};

/* A memfd, mapped shared: survives fork and exec. Entry 0 is the first process. */
struct shared {
	uint32_t processes;
	uint32_t started, finished; /* threads of the first process, since the last exec */
	uint32_t children_done;
	uint32_t stop;    /* --until-line: the line has come */
	uint32_t release; /* children may end */
	struct process_counts process[MAX_PROCESSES];
};

struct options {
	uint64_t threads, rounds, seed, forks, fd;
	bool exec, exotic, shared_region, wait, until_line, late_forks;
};

struct floating {
	uintptr_t start;
	size_t bytes;
};

struct storm {
	const struct options *o;
	struct shared *shared;
	struct process_counts *counts;
	uint64_t random;
	uintptr_t region;
	uintptr_t break_base; /* 0: this thread leaves the break alone */
	int file;             /* a memfd to map parts of */
	struct floating floating[FLOATING];
};

static uint64_t below(struct storm *s, uint64_t n)
{
	return random__below(&s->random, n);
}

static int random_prot(struct storm *s)
{
	static const int prots[] = {PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE,
				    PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC};

	return prots[below(s, sizeof(prots) / sizeof(prots[0]))];
}

/* A part of the region, of at most an eighth of it. */
static uintptr_t random_part(struct storm *s, size_t *bytes)
{
	size_t pages = 1 + below(s, REGION_BYTES / PAGE / 8);

	*bytes = pages * PAGE;
	return s->region + below(s, REGION_BYTES / PAGE - pages + 1) * PAGE;
}

static void overlay(struct storm *s)
{
	size_t bytes;
	uintptr_t at = random_part(s, &bytes);
	size_t asked = below(s, 4) ? bytes : bytes - below(s, PAGE);

	if (below(s, 4))
		do_mmap(s->counts->calls, at, asked, random_prot(s),
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	else
		do_mmap(s->counts->calls, at, asked, random_prot(s),
			MAP_FIXED | (below(s, 2) ? MAP_SHARED : MAP_PRIVATE), s->file,
			below(s, 64) * PAGE);
}

static struct floating *pick_floating(struct storm *s)
{
	return &s->floating[below(s, FLOATING)];
}

static void float_in(struct storm *s)
{
	struct floating *f = pick_floating(s);
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (below(s, 3) ? 0 : MAP_NORESERVE);
	long r;

	if (f->bytes)
		return;
	f->bytes = (1 + below(s, 64)) * PAGE;
	if (!below(s, 64)) /* as large as an allocator's reservations */
		f->bytes = 64UL << (20 + below(s, 2));
	if (below(s, 5))
		r = do_mmap(s->counts->calls, 0, f->bytes, random_prot(s), flags, -1, 0);
	else
		r = do_mmap(s->counts->calls, 0, f->bytes, PROT_READ, MAP_SHARED, s->file,
			    below(s, 64) * PAGE);
	if (r < 0 && r > -4096)
		f->bytes = 0;
	f->start = r;
}

/* A hole in it leaves two. */
static void split_floating(struct storm *s, struct floating *f)
{
	struct floating *other = pick_floating(s);
	struct floating tail = {f->start + 2 * PAGE, f->bytes - 2 * PAGE};

	do_munmap(s->counts->calls, f->start + PAGE, PAGE);
	f->bytes = PAGE;
	if (other->bytes)
		do_munmap(s->counts->calls, tail.start, tail.bytes);
	else
		*other = tail;
}

/* All of it, its head, its tail or its middle. */
static void float_out(struct storm *s)
{
	struct floating *f = pick_floating(s);
	size_t pages = f->bytes / PAGE, cut;

	if (!f->bytes)
		return;
	cut = (pages > 2 ? 1 + below(s, pages - 1) : 1) * PAGE;
	switch (pages > 2 ? below(s, 4) : 0) {
	case 0:
		do_munmap(s->counts->calls, f->start, f->bytes);
		f->bytes = 0;
		break;
	case 1:
		do_munmap(s->counts->calls, f->start, cut);
		f->start += cut;
		f->bytes -= cut;
		break;
	case 2: /* a length that ends in mid-page unmaps the whole page */
		do_munmap(s->counts->calls, f->start + f->bytes - cut, cut - below(s, PAGE));
		f->bytes -= cut;
		break;
	default:
		split_floating(s, f);
	}
}

static void resize(struct storm *s)
{
	struct floating *f = pick_floating(s);
	size_t bytes = (1 + below(s, 128)) * PAGE;
	int flags = below(s, 4) ? MREMAP_MAYMOVE : 0;
	uintptr_t to = 0;
	long r;

	if (!f->bytes)
		return;
	if (!below(s, 3)) {
		flags = MREMAP_MAYMOVE | MREMAP_FIXED;
		to = random_part(s, &bytes);
	}
	r = do_mremap(s->counts->calls, f->start, f->bytes, bytes, flags, to);
	if (r < 0 && r > -4096)
		return;
	f->start = r;
	f->bytes = flags & MREMAP_FIXED ? 0 : bytes; /* the region has it now */
}

static void protect(struct storm *s)
{
	size_t bytes;
	uintptr_t at = random_part(s, &bytes);

	if (do_mprotect(s->counts->calls, at, bytes - (below(s, 2) ? 0 : below(s, PAGE)),
			random_prot(s)) == -ENOMEM)
		add(&s->counts->calls[CALL_MPROTECT].partly, 1);
}

static void advise(struct storm *s)
{
	static const int advice[] = {MADV_DONTNEED, MADV_NOHUGEPAGE, MADV_HUGEPAGE, MADV_DONTDUMP,
				     MADV_DODUMP,   MADV_FREE,       MADV_DONTFORK, MADV_DOFORK};
	size_t bytes;
	uintptr_t at = random_part(s, &bytes);

	if (do_madvise(s->counts->calls, at, bytes,
		       advice[below(s, sizeof(advice) / sizeof(advice[0]))]) == -ENOMEM)
		add(&s->counts->calls[CALL_MADVISE].partly, 1);
}

/* Threads but one of a process leave the break alone, or all race for it in --shared-region. */
static void move_break(struct storm *s)
{
	uintptr_t to;

	if (!s->break_base)
		return;
	to = s->break_base + below(s, BREAK_SPAN);
	if (!below(s, 4))
		to = below(s, 2) ? s->break_base & -PAGE : 0;
	if (!below(s, 32))
		to = 1; /* below the heap's start: refused */
	do_brk(s->counts->calls, to);
}

/* Calls that cannot succeed, whatever the other threads do. */
static void fail(struct storm *s)
{
	size_t bytes;
	uintptr_t at = random_part(s, &bytes);

	switch (below(s, 7)) {
	case 0:
		do_munmap(s->counts->calls, at + 1, bytes); /* not aligned */
		break;
	case 1:
		do_munmap(s->counts->calls, at, 0);
		break;
	case 2:
		do_mmap(s->counts->calls, 0, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		break;
	case 3: /* more than there are addresses */
		do_mmap(s->counts->calls, 0, 1UL << 47, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
			0);
		break;
	case 4: /* old and new range overlap */
		do_mremap(s->counts->calls, s->region, 4 * PAGE, 4 * PAGE,
			  MREMAP_MAYMOVE | MREMAP_FIXED, s->region + PAGE);
		break;
	case 5:
		do_mprotect(s->counts->calls, at + 1, bytes, PROT_READ);
		break;
	default:
		do_mmap(s->counts->calls, at, bytes, PROT_READ, MAP_SHARED | MAP_FIXED, -1,
			0); /* no file */
	}
}

static void unmap_part(struct storm *s)
{
	size_t bytes;
	uintptr_t at = random_part(s, &bytes);

	do_munmap(s->counts->calls, at, bytes);
}

/* Ways to change an address space that the six calls do not show. */
static void exotic(struct storm *s)
{
	size_t bytes = (1 + below(s, 16)) * PAGE;
	struct floating *f = pick_floating(s);
	unsigned long aio = 0;
	long id, at;

	switch (below(s, 4)) {
	case 0:
		id = raw(SYS_shmget, 0, bytes, 0600, 0, 0, 0);
		if (id < 0)
			return;
		at = raw(SYS_shmat, id, 0, 0, 0, 0, 0);
		raw(SYS_shmctl, id, 0 /* IPC_RMID */, 0, 0, 0, 0);
		if (at > 0 && below(s, 2))
			raw(SYS_shmdt, at, 0, 0, 0, 0, 0);
		break;
	case 1:
		if (!raw(SYS_io_setup, 1 + below(s, 64), (long)&aio, 0, 0, 0, 0) && below(s, 4))
			raw(SYS_io_destroy, aio, 0, 0, 0, 0, 0);
		break;
	case 2:
		raw(SYS_pkey_mprotect, random_part(s, &bytes), bytes, PROT_READ, -1, 0, 0);
		break;
	default:
		if (!f->bytes)
			return;
		at = do_mremap(s->counts->calls, f->start, f->bytes, f->bytes,
			       MREMAP_MAYMOVE | MREMAP_DONTUNMAP, 0);
		if (at < 0)
			return;
		do_munmap(s->counts->calls, f->start, f->bytes);
		f->start = at;
	}
	add(&s->counts->exotic, 1);
}

static void storm__run(struct storm *s)
{
	static void (*const steps[])(struct storm *) = {
		overlay, overlay, unmap_part, float_in, float_in, float_out,  float_out,
		resize,  resize,  protect,    protect,  advise,   move_break, fail,
	};

	for (uint64_t i = 0; i < s->o->rounds; i++) {
		if (s->o->until_line && __atomic_load_n(&s->shared->stop, __ATOMIC_RELAXED))
			break;
		if (s->o->exotic && !below(s, 100))
			exotic(s);
		else
			steps[below(s, sizeof(steps) / sizeof(steps[0]))](s);
	}
}

static void *thread_main(void *arg)
{
	struct storm *s = arg;

	wait_until(&s->shared->started, 1);
	storm__run(s);
	bump(&s->shared->finished);
	for (;;)
		pause();
	return NULL;
}

/* The regions exist before the storm, and their making is not counted. */
static void prepare(struct storm *storms, const struct options *o, struct shared *shared,
		    uint64_t seed)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	int file = (int)syscall(SYS_memfd_create, "storm", MFD_CLOEXEC);
	uintptr_t region = 0;

	if (file < 0 || ftruncate(file, 256 * PAGE))
		die("memfd");
	for (uint64_t i = 0; i < (o->threads ?: 1); i++) {
		struct storm *s = &storms[i];

		if (!region || !o->shared_region)
			region = raw(SYS_mmap, 0, REGION_BYTES, PROT_NONE, flags, -1, 0);
		*s = (struct storm){.o = o, .shared = shared, .file = file, .region = region};
		s->counts = &shared->process[0];
		s->random = seed * 1000 + i;
	}
}

/* After everything that may use the heap: the break is never taken below what is there now. */
static void prepare_break(struct storm *storms, const struct options *o, struct shared *shared)
{
	uintptr_t base = raw(SYS_brk, 0, 0, 0, 0, 0, 0);

	shared->process[0].break_start = base;
	for (uint64_t i = 0; i < (o->shared_region && o->threads ? o->threads : 1); i++)
		storms[i].break_base = base;
}

static void start_threads(struct storm *storms, const struct options *o)
{
	pthread_attr_t attr;
	pthread_t id;

	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, 256 * 1024);
	for (uint64_t i = 0; i < o->threads; i++) {
		errno = pthread_create(&id, &attr, thread_main, &storms[i]);
		if (errno)
			die("pthread_create");
	}
}

/* The copy of a thread's list may be half written: what floats is left alone. */
static void child_main(struct storm *s, uint32_t slot)
{
	memset(s->floating, 0, sizeof(s->floating));
	s->counts = &s->shared->process[slot];
	s->counts->pid = getpid();
	s->counts->break_start = do_brk(s->counts->calls, 0);
	s->random += 500 + slot;
	storm__run(s);
	s->counts->break_end = do_brk(s->counts->calls, 0);
	bump(&s->shared->children_done);
	wait_until(&s->shared->release, 1);
	_exit(0);
}

static void fork_children(struct storm *s, const struct options *o, struct shared *shared)
{
	for (uint64_t i = 0; i < o->forks; i++) {
		uint32_t slot = shared->processes++;
		pid_t pid = fork();

		if (pid < 0)
			die("fork");
		if (!pid)
			child_main(s, slot);
	}
}

static void write_process(struct truth *t, const struct process_counts *p)
{
	static const char *const names[CALLS] = {"mmap",     "munmap",  "mremap",
						 "mprotect", "madvise", "brk"};

	truth__open(t, NULL, "{");
	truth__number(t, "pid", p->pid);
	truth__number(t, "execs", p->execs);
	truth__signed(t, "brk_delta_bytes", (int64_t)(p->break_end - p->break_start));
	/* In whole pages, as a mapping has them. */
	truth__signed(t, "brk_delta_page_bytes",
		      (int64_t)(((p->break_end + PAGE - 1) & -PAGE) -
				((p->break_start + PAGE - 1) & -PAGE)));
	truth__number(t, "exotic_calls", p->exotic);
	for (int i = 0; i < CALLS; i++) {
		const struct call_counts *c = &p->calls[i];

		truth__open(t, names[i], "{");
		truth__number(t, "calls", c->calls);
		truth__number(t, "failed", c->failed);
		truth__number(t, "failed_partly", c->partly);
		truth__number(t, "bytes", c->bytes);
		truth__number(t, "asked_bytes", c->asked_bytes);
		truth__number(t, "fixed", c->fixed);
		truth__close(t, "}");
	}
	truth__close(t, "}");
}

static void write_truth(const struct shared *shared, const struct options *o)
{
	static struct truth t;

	truth__open(&t, NULL, "{");
	truth__string(&t, "program", "map_storm");
	truth__number(&t, "threads", o->threads);
	truth__number(&t, "rounds", o->rounds);
	truth__open(&t, "processes", "[");
	for (uint32_t i = 0; i < shared->processes; i++)
		write_process(&t, &shared->process[i]);
	truth__close(&t, "]");
	truth__close(&t, "}");
	truth__write(&t);
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
		shared->started = shared->finished = 0;
	}
	return shared;
}

/* The second storm, after exec, runs its rounds whether or not the line has come. */
static void run(struct options *o, struct shared *shared)
{
	static struct storm storms[MAX_THREADS];
	bool first = !shared->process[0].execs;

	prepare(storms, o, shared, o->seed + shared->process[0].execs);
	start_threads(storms, o);
	prepare_break(storms, o, shared);
	if (first) {
		stop_at("ready", o->wait);
		if (!o->late_forks)
			fork_children(&storms[0], o, shared);
	} else {
		o->until_line = false;
		o->rounds = o->rounds < 10000 ? o->rounds : 10000;
	}
	raise_to(&shared->started, 1);
	if (!o->threads)
		storm__run(&storms[0]);
	if (first && o->late_forks)
		fork_children(&storms[0], o, shared);
	if (o->until_line)
		wait_line();
	raise_to(&shared->stop, 1);
	wait_until(&shared->finished, (uint32_t)o->threads);
	if (first)
		wait_until(&shared->children_done, (uint32_t)o->forks);
	shared->process[0].break_end = do_brk(shared->process[0].calls, 0);
}

int main(int argc, char **argv)
{
	struct options o = {.rounds = 10000, .seed = 1};
	const struct target_option options[] = {
		{"threads", .number = &o.threads},
		{"rounds", .number = &o.rounds},
		{"seed", .number = &o.seed},
		{"forks", .number = &o.forks},
		{"fd", .number = &o.fd},
		{"exec", .flag = &o.exec},
		{"exotic", .flag = &o.exotic},
		{"shared-region", .flag = &o.shared_region},
		{"late-forks", .flag = &o.late_forks},
		{"wait", .flag = &o.wait},
		{"until-line", .flag = &o.until_line},
		{.name = NULL},
	};
	int children[MAX_PROCESSES];
	struct shared *shared;

	(void)argc;
	if (!parse_options(argv, options) || o.threads > MAX_THREADS || o.forks >= MAX_PROCESSES ||
	    (o.until_line && !o.threads))
		usage(USAGE);
	shared = map_shared(&o);
	run(&o, shared);
	if (o.exec)
		exec_again(argv, o.fd);
	write_truth(shared, &o);
	if (o.wait || o.until_line) {
		for (uint32_t i = 1; i < shared->processes; i++)
			children[i - 1] = (int)shared->process[i].pid;
		say_pids("done", children, shared->processes - 1);
		wait_line();
	}
	raise_to(&shared->release, 1);
	_exit(0);
}
