// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/unwinder.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "ingest/programs.h"
#include "unwind/unwinder_impl.h"

/* The images are swept, and processes without one looked for. */
#define SWEEP_NS 1000000000ull

static int open_arrays(struct unwinder *unwinder)
{
	struct memdrift *skel = unwinder->skel;
	int err = mapped_array__open(&unwinder->blocks, skel->maps.unwind_pool);

	if (!err)
		err = mapped_array__open(&unwinder->rules, skel->maps.unwind_rules);
	if (!err)
		err = mapped_array__open(&unwinder->objects, skel->maps.unwind_objects);
	if (!err)
		err = mapped_array__open(&unwinder->image_array, skel->maps.unwind_images);
	return err;
}

void unwinder__load_if_full(struct unwinder *unwinder, uint32_t object)
{
	int err;

	if (!unwinder->full || object <= UNWIND_OBJECT_UNREAD || object >= UNWIND_OBJECTS_MAX)
		return;
	err = unwind_pool__load_full(unwinder->pool, object);
	if (err)
		log_debug("unwind: no full table for object %u: %s", object, strerror(-err));
}

int unwinder__open(struct memdrift *skel, bool full, struct unwinder **out)
{
	struct unwinder *unwinder = calloc(1, sizeof(*unwinder));
	struct unwind_memory memory = {
		.block_count = bpf_map__max_entries(skel->maps.unwind_pool),
		.epoch = (uint64_t *)&skel->bss->unwind_epoch,
	};
	int err;

	if (!unwinder)
		return -ENOMEM;
	unwinder->skel = skel;
	unwinder->full = full;
	err = open_arrays(unwinder);
	memory.blocks = unwinder->blocks.at;
	memory.rules = unwinder->rules.at;
	memory.objects = unwinder->objects.at;
	if (!err) {
		unwinder->pool = unwind_pool__new(&memory);
		err = unwinder->pool ? 0 : -ENOMEM;
	}
	if (err) {
		unwinder__close(unwinder);
		return err;
	}
	if (!unwind_pool__vdso(unwinder->pool, &skel->bss->unwind_vdso)) {
		unwind_pool__hold(unwinder->pool, skel->bss->unwind_vdso);
		unwinder__load_if_full(unwinder, skel->bss->unwind_vdso);
	}
	images__init(&unwinder->images, unwinder->image_array.at, unwinder->pool);
	for (uint32_t i = 1; i < UNWIND_IMAGES_MAX; i++)
		unwinder__give_back(unwinder, i);
	*out = unwinder;
	return 0;
}

void unwinder__close(struct unwinder *unwinder)
{
	struct waiting *waiting, *next;

	if (!unwinder)
		return;
	HASH_ITER (hh, unwinder->waiting, waiting, next) {
		HASH_DEL(unwinder->waiting, waiting);
		free(waiting);
	}
	if (unwinder->pool)
		images__clear(&unwinder->images);
	unwind_pool__free(unwinder->pool);
	mapped_array__close(&unwinder->blocks);
	mapped_array__close(&unwinder->rules);
	mapped_array__close(&unwinder->objects);
	mapped_array__close(&unwinder->image_array);
	free(unwinder);
}

/* False: not all of them are there. *reopen: a file has to be opened anew for it. */
static bool load_full(struct unwinder *unwinder, uint32_t number, bool *reopen)
{
	struct unwind_image *image = &unwinder->images.images[number];
	struct unwind_pool_stats before, after;
	uint32_t failed = 0;

	unwind_pool__stats(unwinder->pool, &before);
	for (uint32_t i = 0; i < image->count && i < UNWIND_MAPPINGS_MAX; i++) {
		uint32_t object = image->mappings[i].object;
		int err;

		if (object <= UNWIND_OBJECT_UNREAD || object >= UNWIND_OBJECTS_MAX)
			continue;
		err = unwind_pool__load_full(unwinder->pool, object);
		if (!err)
			continue;
		log_debug("unwind: no full table for object %u: %s", object, strerror(-err));
		*reopen |= err == -ESTALE;
		failed++;
	}
	unwind_pool__stats(unwinder->pool, &after);
	if (!failed && after.builds != before.builds)
		log_info("the full unwind tables of a program are there, for stacks that lead "
			 "through a signal handler");
	return !failed;
}

/* Calls fn for each process that the kernel's side knows. */
static void each_process(struct unwinder *unwinder,
			 void (*fn)(struct unwinder *unwinder, uint32_t pid,
				    const struct unwind_process *process))
{
	struct bpf_map *map = unwinder->skel->maps.unwind_procs;
	struct unwind_process process;
	uint32_t key, next;
	void *from = NULL;

	/* A walk starts anew when the key at hand is deleted: bounded. */
	for (uint32_t i = 0; i < 2 * bpf_map__max_entries(map); i++) {
		if (bpf_map__get_next_key(map, from, &next, sizeof(next)))
			return;
		key = next;
		from = &key;
		if (!bpf_map__lookup_elem(map, &key, sizeof(key), &process, sizeof(process), 0))
			fn(unwinder, key, &process);
	}
}

static void ask_if_wanted(struct unwinder *unwinder, uint32_t pid,
			  const struct unwind_process *process)
{
	uint32_t image = process->image;

	if (image < UNWIND_IMAGES_MAX &&
	    unwinder->skel->bss->unwind_wants[image] & UNWIND_WANTS_MAPS)
		unwinder__ask(unwinder, pid);
}

static void ask_if_without(struct unwinder *unwinder, uint32_t pid,
			   const struct unwind_process *process)
{
	if (!process->image)
		unwinder__ask(unwinder, pid);
}

static void clear_wants(struct unwinder *unwinder, uint32_t image, uint8_t wants)
{
	__atomic_fetch_and(&unwinder->skel->bss->unwind_wants[image], (uint8_t)~wants,
			   __ATOMIC_ACQ_REL);
}

/* Full tables that could not be had stay asked for, and nobody asks again meanwhile. */
static void serve_full(struct unwinder *unwinder, uint32_t image)
{
	bool reopen = false;

	if (load_full(unwinder, image, &reopen))
		clear_wants(unwinder, image, UNWIND_WANTS_FULL);
	/* The pool takes a descriptor when its object is looked for. */
	if (reopen)
		__atomic_fetch_or(&unwinder->skel->bss->unwind_wants[image], UNWIND_WANTS_MAPS,
				  __ATOMIC_ACQ_REL);
}

void unwinder__load_full(struct unwinder *unwinder, uint32_t pid)
{
	struct unwind_process process;

	if (unwinder &&
	    !bpf_map__lookup_elem(unwinder->skel->maps.unwind_procs, &pid, sizeof(pid), &process,
				  sizeof(process), 0) &&
	    process.image && process.image < UNWIND_IMAGES_MAX)
		serve_full(unwinder, process.image);
}

/* What walks have asked for since the last time; `again`: and what could not be had then. */
static void serve_wants(struct unwinder *unwinder, bool again)
{
	const uint8_t *wants = unwinder->skel->bss->unwind_wants;
	uint32_t asked = __atomic_load_n(&unwinder->skel->bss->unwind_asked, __ATOMIC_ACQUIRE);
	bool maps = false;

	if (asked == unwinder->asked && !again)
		return;
	unwinder->asked = asked;
	for (uint32_t i = 1; i < UNWIND_IMAGES_MAX; i++) {
		if (wants[i] & UNWIND_WANTS_FULL)
			serve_full(unwinder, i);
		maps |= wants[i] & UNWIND_WANTS_MAPS;
	}
	if (!maps)
		return;
	each_process(unwinder, ask_if_wanted);
	for (uint32_t i = 1; i < UNWIND_IMAGES_MAX; i++)
		clear_wants(unwinder, i, UNWIND_WANTS_MAPS);
}

void unwinder__serve(struct unwinder *unwinder)
{
	struct waiting *waiting, *next;
	uint64_t now_ns = monotonic_ns();

	if (!unwinder)
		return;
	serve_wants(unwinder, now_ns >= unwinder->sweep_ns);
	if (now_ns >= unwinder->sweep_ns) {
		images__sweep(&unwinder->images);
		each_process(unwinder, ask_if_without);
		unwinder->sweep_ns = now_ns + SWEEP_NS;
	}
	HASH_ITER (hh, unwinder->waiting, waiting, next)
		if (waiting->due && now_ns >= waiting->due_ns)
			unwinder__look(unwinder, waiting->pid);
}

void unwinder__stats(const struct unwinder *unwinder, struct unwind_pool_stats *stats)
{
	memset(stats, 0, sizeof(*stats));
	if (unwinder)
		unwind_pool__stats(unwinder->pool, stats);
}

uint64_t unwinder__images_full(const struct unwinder *unwinder)
{
	return unwinder ? unwinder->images_full : 0;
}
