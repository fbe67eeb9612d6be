// flags: -O2 -g -fno-builtin
// link: -lpthread
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Threads that each fill memory with small blocks, so that glibc makes arenas for them. At the
 * peak all hold their blocks and stand still. What glibc says of itself then (malloc_info,
 * mallinfo2) and what each thread knows of its blocks is the truth.
 *
 *   --wait: "ready PID", line, work, "peak PID", line, blocks are freed down to 1/--keep,
 *   "done PID", line, end.
 */
#define _GNU_SOURCE
#include <malloc.h>
#include <pthread.h>
#include <stdio.h>
#include "truth.h"

#define USAGE                                                                                 \
	"usage: arena_threads [--threads N] [--mb N] [--keep N] [--max-bytes N] [--seed N]\n" \
	"                     [--wait]\n"

#define MAX_THREADS 128
#define MAX_ARENAS  1024

struct options {
	uint64_t threads, mb, keep, max_bytes, seed;
	bool wait;
};

struct block {
	struct block *next;
	size_t bytes;
};

struct thread {
	const struct options *o;
	uint64_t random;
	uint64_t mallocs, frees, requested_bytes, live_bytes;
	uint64_t tid;
	struct block *blocks;
};

/* Futex words: the phase that threads may enter, and how many have finished it. */
static uint32_t phase, finished;

static void fill(struct thread *t)
{
	while (t->live_bytes < t->o->mb << 20) {
		size_t bytes = sizeof(struct block) + random__below(&t->random, t->o->max_bytes);
		struct block *b = malloc(bytes);

		if (!b)
			die("malloc");
		memset(b, 0x5a, bytes);
		b->bytes = bytes;
		b->next = t->blocks;
		t->blocks = b;
		t->mallocs++;
		t->requested_bytes += bytes;
		t->live_bytes += bytes;
	}
}

/* Keeps one block in --keep: what is freed lies between blocks that stay. */
static void thin_out(struct thread *t)
{
	struct block **link = &t->blocks;

	for (uint64_t i = 0; *link; i++) {
		struct block *b = *link;

		if (i % t->o->keep == 0) {
			link = &b->next;
			continue;
		}
		*link = b->next;
		t->live_bytes -= b->bytes;
		t->frees++;
		free(b);
	}
}

static void *thread_main(void *arg)
{
	struct thread *t = arg;

	t->tid = (uint64_t)syscall(SYS_gettid);
	wait_until(&phase, 1);
	fill(t);
	bump(&finished);
	wait_until(&phase, 2);
	thin_out(t);
	bump(&finished);
	for (;;)
		pause();
	return NULL;
}

static void run_phase(uint32_t which, uint64_t threads)
{
	raise_to(&phase, which);
	wait_until(&finished, which * (uint32_t)threads);
}

struct malloc_info_truth {
	uint64_t arenas; /* main arena included */
	uint64_t system_bytes;
	uint64_t free_bytes;
	uint64_t arena_system_bytes[MAX_ARENAS];
};

/* The number after `name="` on a line of malloc_info's output. */
static uint64_t attribute(const char *line, const char *name)
{
	const char *p = strstr(line, name);

	return p ? strtoull(p + strlen(name), NULL, 10) : 0;
}

/*
 * malloc_info: one <heap nr="N"> ... </heap> for each arena, then the totals. Its stream
 * allocates, in the main arena, which is why this runs after the threads have made theirs.
 */
static void read_malloc_info(struct malloc_info_truth *info)
{
	char *text = NULL, *save = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	bool inside = false;

	if (!f || malloc_info(0, f) || fclose(f))
		die("malloc_info");
	for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (strstr(line, "<heap nr=")) {
			inside = true;
			info->arenas++;
		} else if (strstr(line, "</heap>")) {
			inside = false;
		} else if (strstr(line, "<system type=\"current\"")) {
			uint64_t bytes = attribute(line, "size=\"");

			if (!inside)
				info->system_bytes = bytes;
			else if (info->arenas <= MAX_ARENAS)
				info->arena_system_bytes[info->arenas - 1] = bytes;
		} else if (!inside && strstr(line, "<total type=")) {
			if (!strstr(line, "\"mmap\""))
				info->free_bytes += attribute(line, "size=\"");
		}
	}
	free(text);
}

static void write_moment(struct truth *t, const char *key, const struct thread *threads,
			 const struct options *o)
{
	static struct malloc_info_truth info;
	struct mallinfo2 m = mallinfo2(); /* before malloc_info's stream allocates */
	uint64_t live = 0, mallocs = 0, frees = 0, requested = 0;

	memset(&info, 0, sizeof(info));
	read_malloc_info(&info);
	for (uint64_t i = 0; i < o->threads; i++) {
		live += threads[i].live_bytes;
		mallocs += threads[i].mallocs;
		frees += threads[i].frees;
		requested += threads[i].requested_bytes;
	}
	truth__open(t, key, "{");
	truth__number(t, "arenas", info.arenas);
	truth__number(t, "system_bytes", info.system_bytes);
	truth__number(t, "free_bytes", info.free_bytes);
	truth__number(t, "mallinfo2_uordblks", m.uordblks);
	truth__number(t, "mallinfo2_fordblks", m.fordblks);
	truth__number(t, "mallinfo2_fsmblks", m.fsmblks);
	truth__number(t, "mallinfo2_arena", m.arena);
	truth__number(t, "mallinfo2_hblkhd", m.hblkhd);
	truth__number(t, "live_bytes", live);
	truth__number(t, "mallocs", mallocs);
	truth__number(t, "frees", frees);
	truth__number(t, "requested_bytes", requested);
	truth__open(t, "arena_system_bytes", "[");
	for (uint64_t i = 0; i < info.arenas && i < MAX_ARENAS; i++)
		truth__number(t, NULL, info.arena_system_bytes[i]);
	truth__close(t, "]");
	truth__close(t, "}");
}

static void start_threads(struct thread *threads, const struct options *o)
{
	pthread_t id;

	for (uint64_t i = 0; i < o->threads; i++) {
		threads[i].o = o;
		threads[i].random = o->seed * 1000 + i;
		errno = pthread_create(&id, NULL, thread_main, &threads[i]);
		if (errno)
			die("pthread_create");
	}
}

int main(int argc, char **argv)
{
	struct options o = {.threads = 20, .mb = 4, .keep = 16, .max_bytes = 512, .seed = 1};
	const struct target_option options[] = {
		{"threads", .number = &o.threads},
		{"mb", .number = &o.mb},
		{"keep", .number = &o.keep},
		{"max-bytes", .number = &o.max_bytes},
		{"seed", .number = &o.seed},
		{"wait", .flag = &o.wait},
		{.name = NULL},
	};
	static struct thread threads[MAX_THREADS];
	static struct truth t, at_peak;

	(void)argc;
	if (!parse_options(argv, options) || o.threads > MAX_THREADS || !o.keep || !o.max_bytes)
		usage(USAGE);
	start_threads(threads, &o);
	stop_at("ready", o.wait);
	run_phase(1, o.threads);
	truth__open(&t, NULL, "{");
	truth__string(&t, "program", "arena_threads");
	truth__number(&t, "pid", (uint64_t)getpid());
	truth__number(&t, "threads", o.threads);
	truth__number(&t, "cpus_online", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	write_moment(&t, "peak", threads, &o);
	/* Readable while it stands at the peak; written again, with the end, later. */
	memcpy(&at_peak, &t, sizeof(t));
	truth__close(&at_peak, "}");
	truth__write(&at_peak);
	stop_at("peak", o.wait);
	run_phase(2, o.threads);
	write_moment(&t, "end", threads, &o);
	truth__close(&t, "}");
	truth__write(&t);
	stop_at("done", o.wait);
	_exit(0);
}
