// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Reading what code a process has mapped, and moving it to an image of that. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "census/proc_maps.h"
#include "ingest/programs.h"
#include "model/model.h"
#include "unwind/image_maps.h"
#include "unwind/unwinder_impl.h"

/*
 * Pause between two looks at a process, so that a start with some dozens of libraries is a few.
 * Each one that finds nothing new doubles it: a JIT maps and protects code all the time.
 */
#define LOOK_PAUSE_MIN_NS 2000000ull
#define LOOK_PAUSE_MAX_NS 1000000000ull
/* Readings of /proc/PID/maps that a change made worthless, before it is left for later. */
#define LOOK_TRIES 3

int unwinder__run(const struct bpf_program *prog, void *argument, uint32_t bytes)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = argument, .ctx_size_in = bytes);
	int err = bpf_prog_test_run_opts(bpf_program__fd(prog), &options);

	return err ? err : (int)options.retval;
}

void unwinder__give_back(struct unwinder *unwinder, uint32_t number)
{
	bpf_map__update_elem(unwinder->skel->maps.unwind_free, NULL, 0, &number, sizeof(number), 0);
}

/* False: the kernel's side did not take it. */
static bool publish(struct unwinder *unwinder, uint32_t pid, uint32_t image, uint32_t changes)
{
	struct unwind_publish argument = {.pid = pid, .image = image, .changes = changes};

	if (unwinder__run(unwinder->skel->progs.unwind_publish, &argument, sizeof(argument)))
		return false;
	if (argument.freed)
		unwinder__give_back(unwinder, argument.freed);
	return argument.done;
}

/* The process's entry, made when it has none. */
static int read_process(struct unwinder *unwinder, uint32_t pid, struct unwind_process *process)
{
	const struct bpf_map *map = unwinder->skel->maps.unwind_procs;

	if (!bpf_map__lookup_elem(map, &pid, sizeof(pid), process, sizeof(*process), 0))
		return 0;
	publish(unwinder, pid, 0, 0);
	return bpf_map__lookup_elem(map, &pid, sizeof(pid), process, sizeof(*process), 0);
}

/* Moves the process to an image with these mappings. 1: it is on one already. */
static int move_to(struct unwinder *unwinder, uint32_t pid, const struct unwind_process *process,
		   const struct image_maps *maps)
{
	struct images *images = &unwinder->images;
	uint32_t number = 0;
	int err;

	if (process->image && process->image < UNWIND_IMAGES_MAX &&
	    images__equal(images, process->image, maps->mappings, maps->count))
		return 1;
	if (bpf_map__lookup_and_delete_elem(unwinder->skel->maps.unwind_free, NULL, 0, &number,
					    sizeof(number), 0)) {
		unwinder->images_full++;
		return -ENOSPC;
	}
	if (!number || number >= UNWIND_IMAGES_MAX)
		return -EINVAL;
	err = images__fill(images, number, maps->mappings, maps->count);
	if (!err && publish(unwinder, pid, number, process->changes))
		return 0;
	/* Nobody has seen it. */
	images->images[number].users = 0;
	unwinder__give_back(unwinder, number);
	return err ? err : -EAGAIN;
}

static int look_once(struct unwinder *unwinder, uint32_t pid)
{
	struct unwind_process process;
	struct image_source source = {unwinder->pool, unwinder__announce, unwinder};
	struct image_maps maps = {0};
	struct maps_entry *entries;
	size_t n;
	int err = read_process(unwinder, pid, &process);

	/* First what the kernel's side knows, then what is mapped: what changes in between shows.
	 */
	if (!err)
		err = proc_maps__read(pid, &entries, &n);
	if (err)
		return err;
	image_maps__fill(&maps, &source, pid, entries, n);
	maps_entries__free(entries, n);
	for (uint32_t i = 0; i < maps.count; i++)
		unwinder__load_if_full(unwinder, maps.mappings[i].object);
	err = maps.count ? move_to(unwinder, pid, &process, &maps) : -ESRCH;
	image_maps__release(&maps, unwinder->pool);
	return err;
}

static void announce_nothing(void *ctx, int fd, uint32_t object)
{
}

int unwinder__look_at_own(struct unwinder *unwinder, const void *code)
{
	/* Nobody else is going to map it: its table goes when others need the room. */
	struct image_source source = {unwinder->pool, announce_nothing, NULL};
	uint32_t own = (uint32_t)getpid();
	const struct maps_entry *entry;
	struct unwind_process process;
	struct image_maps maps = {0};
	struct maps_entry *entries;
	size_t n;
	int err = read_process(unwinder, own, &process);

	if (!err)
		err = proc_maps__read(own, &entries, &n);
	if (err)
		return err;
	entry = proc_maps__find(entries, n, (uint64_t)(uintptr_t)code);
	if (entry)
		image_maps__fill(&maps, &source, own, entry, 1);
	maps_entries__free(entries, n);
	err = maps.count ? move_to(unwinder, own, &process, &maps) : -ENOENT;
	image_maps__release(&maps, unwinder->pool);
	return err < 0 ? err : 0;
}

void unwinder__forget_own(struct unwinder *unwinder)
{
	struct unwind_publish argument = {.pid = (uint32_t)getpid(), .forget = 1};

	if (!unwinder__run(unwinder->skel->progs.unwind_publish, &argument, sizeof(argument)) &&
	    argument.freed)
		unwinder__give_back(unwinder, argument.freed);
}

/* It may have got an entry after its end: nobody else would take that away. */
static void drop_process(struct unwinder *unwinder, uint32_t pid)
{
	const struct bpf_map *map = unwinder->skel->maps.unwind_procs;
	struct unwind_process process;

	if (!bpf_map__lookup_elem(map, &pid, sizeof(pid), &process, sizeof(process), 0) &&
	    !process.image)
		bpf_map__delete_elem(map, &pid, sizeof(pid), 0);
}

static struct waiting *find_waiting(struct unwinder *unwinder, uint32_t pid)
{
	struct waiting *waiting;

	HASH_FIND(hh, unwinder->waiting, &pid, sizeof(pid), waiting);
	if (waiting)
		return waiting;
	waiting = calloc(1, sizeof(*waiting));
	if (!waiting)
		return NULL;
	waiting->pid = pid;
	waiting->pause_ns = LOOK_PAUSE_MIN_NS;
	HASH_ADD(hh, unwinder->waiting, pid, sizeof(pid), waiting);
	return waiting;
}

int unwinder__look(struct unwinder *unwinder, uint32_t pid)
{
	struct waiting *waiting;
	int err = -EAGAIN;

	if (!unwinder)
		return 0;
	waiting = find_waiting(unwinder, pid);
	for (int i = 0; err == -EAGAIN && i < LOOK_TRIES; i++)
		err = look_once(unwinder, pid);
	log_debug("unwind: code of process %u: %s", pid,
		  err > 0 ? "as before"
		  : err   ? strerror(-err)
			  : "read");
	if (err == -ESRCH) {
		drop_process(unwinder, pid);
		unwinder__ended(unwinder, pid);
		return err;
	}
	if (!waiting)
		return err < 0 ? err : 0;
	waiting->due = err == -EAGAIN;
	if (!err)
		waiting->pause_ns = LOOK_PAUSE_MIN_NS;
	else if (waiting->pause_ns < LOOK_PAUSE_MAX_NS)
		waiting->pause_ns *= 2;
	waiting->due_ns = monotonic_ns() + waiting->pause_ns;
	return err < 0 ? err : 0;
}

void unwinder__ask(struct unwinder *unwinder, uint32_t pid)
{
	struct waiting *waiting = unwinder ? find_waiting(unwinder, pid) : NULL;

	/* due_ns is from the last look: most often it has passed. */
	if (waiting)
		waiting->due = true;
}

void unwinder__ended(struct unwinder *unwinder, uint32_t pid)
{
	struct waiting *waiting;

	if (!unwinder)
		return;
	HASH_FIND(hh, unwinder->waiting, &pid, sizeof(pid), waiting);
	if (!waiting)
		return;
	HASH_DEL(unwinder->waiting, waiting);
	free(waiting);
}
