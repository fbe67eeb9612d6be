// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/unwinder.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uthash.h>

#include "base/clock.h"
#include "base/log.h"
#include "census/proc_maps.h"
#include "ingest/mapped.h"
#include "ingest/programs.h"
#include "model/model.h"
#include "unwind/image_maps.h"
#include "unwind/images.h"

/*
 * Pause between two looks at a process, so that a start with some dozens of libraries is a few.
 * Each one that finds nothing new doubles it: a JIT maps and protects code all the time.
 */
#define LOOK_PAUSE_MIN_NS 2000000ull
#define LOOK_PAUSE_MAX_NS 1000000000ull
/* The images are swept, and processes without one looked for. */
#define SWEEP_NS 1000000000ull
/* Readings of /proc/PID/maps that a change made worthless, before it is left for later. */
#define LOOK_TRIES 3

static int open_regular(const char *path)
{
	struct stat st;

	/* Opening anything else may have effects. */
	if (stat(path, &st) || !S_ISREG(st.st_mode))
		return -1;
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

struct waiting {
	UT_hash_handle hh;
	uint32_t pid;
	bool due;
	uint64_t due_ns, pause_ns;
};

struct unwinder {
	struct memdrift *skel;
	struct mapped_array blocks, rules, objects, image_array;
	struct unwind_pool *pool;
	struct images images;
	struct waiting *waiting; /* every process that was asked for */
	uint64_t sweep_ns;
	uint32_t asked; /* of unwind_asked, as far as it is done */
	uint64_t images_full;
	bool full; /* tables of every object */
};

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

static bool load_full(struct unwinder *unwinder, uint32_t object)
{
	int err = unwind_pool__load_full(unwinder->pool, object);

	if (err)
		log_debug("unwind: no full table for object %u: %s", object, strerror(-err));
	return !err;
}

static void load_if_full(struct unwinder *unwinder, uint32_t object)
{
	if (unwinder->full && object > UNWIND_OBJECT_UNREAD && object < UNWIND_OBJECTS_MAX)
		load_full(unwinder, object);
}

static void give_back(struct unwinder *unwinder, uint32_t number)
{
	bpf_map__update_elem(unwinder->skel->maps.unwind_free, NULL, 0, &number, sizeof(number), 0);
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
		load_if_full(unwinder, skel->bss->unwind_vdso);
	}
	images__init(&unwinder->images, unwinder->image_array.at, unwinder->pool);
	for (uint32_t i = 1; i < UNWIND_IMAGES_MAX; i++)
		give_back(unwinder, i);
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

static int run(const struct bpf_program *prog, void *argument, uint32_t bytes)
{
	LIBBPF_OPTS(bpf_test_run_opts, options, .ctx_in = argument, .ctx_size_in = bytes);
	int err = bpf_prog_test_run_opts(bpf_program__fd(prog), &options);

	return err ? err : (int)options.retval;
}

/* False: the kernel's side did not take it. */
static bool publish(struct unwinder *unwinder, uint32_t pid, uint32_t image, uint32_t changes)
{
	struct unwind_publish argument = {.pid = pid, .image = image, .changes = changes};

	if (run(unwinder->skel->progs.unwind_publish, &argument, sizeof(argument)))
		return false;
	if (argument.freed)
		give_back(unwinder, argument.freed);
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
	give_back(unwinder, number);
	return err ? err : -EAGAIN;
}

static int look_once(struct unwinder *unwinder, uint32_t pid)
{
	struct unwind_process process;
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
	err = image_maps__fill(&maps, unwinder->pool, pid, entries, n);
	maps_entries__free(entries, n);
	if (!err && !maps.count)
		err = -ESRCH;
	for (uint32_t i = 0; i < maps.count && !err; i++)
		load_if_full(unwinder, maps.mappings[i].object);
	if (!err)
		err = move_to(unwinder, pid, &process, &maps);
	image_maps__release(&maps, unwinder->pool);
	return err;
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
	if (err == -ESRCH)
		drop_process(unwinder, pid);
	log_debug("unwind: code of process %u: %s", pid,
		  err > 0 ? "as before"
		  : err   ? strerror(-err)
			  : "read");
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

static void load_image(struct unwinder *unwinder, uint32_t number)
{
	struct unwind_image *image = &unwinder->images.images[number];
	uint32_t built = 0;

	for (uint32_t i = 0; i < image->count && i < UNWIND_MAPPINGS_MAX; i++) {
		uint32_t object = image->mappings[i].object;

		if (object <= UNWIND_OBJECT_UNREAD || object >= UNWIND_OBJECTS_MAX ||
		    load_full(unwinder, object))
			built++;
	}
	log_info(
		"a stack leads through a signal handler: the full unwind tables of %u mappings are "
		"there",
		built);
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

/* What walks have asked for since the last time. */
static void serve_wants(struct unwinder *unwinder)
{
	uint8_t *wants = unwinder->skel->bss->unwind_wants;
	uint32_t asked = __atomic_load_n(&unwinder->skel->bss->unwind_asked, __ATOMIC_ACQUIRE);
	bool maps = false;

	if (asked == unwinder->asked)
		return;
	unwinder->asked = asked;
	for (uint32_t i = 1; i < UNWIND_IMAGES_MAX; i++) {
		if (wants[i] & UNWIND_WANTS_FULL) {
			load_image(unwinder, i);
			__atomic_fetch_and(&wants[i], (uint8_t)~UNWIND_WANTS_FULL,
					   __ATOMIC_ACQ_REL);
		}
		maps |= wants[i] & UNWIND_WANTS_MAPS;
	}
	if (!maps)
		return;
	each_process(unwinder, ask_if_wanted);
	for (uint32_t i = 1; i < UNWIND_IMAGES_MAX; i++)
		__atomic_fetch_and(&wants[i], (uint8_t)~UNWIND_WANTS_MAPS, __ATOMIC_ACQ_REL);
}

void unwinder__serve(struct unwinder *unwinder)
{
	struct waiting *waiting, *next;
	uint64_t now_ns = monotonic_ns();

	if (!unwinder)
		return;
	serve_wants(unwinder);
	if (now_ns >= unwinder->sweep_ns) {
		images__sweep(&unwinder->images);
		each_process(unwinder, ask_if_without);
		unwinder->sweep_ns = now_ns + SWEEP_NS;
	}
	HASH_ITER (hh, unwinder->waiting, waiting, next)
		if (waiting->due && now_ns >= waiting->due_ns)
			unwinder__look(unwinder, waiting->pid);
}

/* The file as the kernel sees it when somebody maps it. */
static int find_inode(struct unwinder *unwinder, int fd, struct unwind_inode *inode)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	struct unwind_find_inode find = {0};
	void *at = mmap(NULL, page, PROT_READ, MAP_PRIVATE, fd, 0);
	int err;

	if (at == MAP_FAILED)
		return -errno;
	find.address = (uint64_t)(uintptr_t)at;
	err = run(unwinder->skel->progs.unwind_find_inode, &find, sizeof(find));
	munmap(at, page);
	*inode = find.inode;
	return err ? err : inode->ino ? 0 : -ENOENT;
}

void unwinder__prepare(struct unwinder *unwinder, const char *path)
{
	struct unwind_inode inode;
	uint32_t object, known;
	int fd = unwinder ? open_regular(path) : -1, err;

	if (fd < 0)
		return;
	err = find_inode(unwinder, fd, &inode);
	if (err || !bpf_map__lookup_elem(unwinder->skel->maps.unwind_inodes, &inode, sizeof(inode),
					 &known, sizeof(known), 0)) {
		close(fd);
		return;
	}
	err = unwind_pool__object(unwinder->pool, fd, path, -1, &object);
	close(fd);
	if (err)
		return;
	/* For good: the kernel's side gives it to images by itself. */
	unwind_pool__hold(unwinder->pool, object);
	load_if_full(unwinder, object);
	if (bpf_map__update_elem(unwinder->skel->maps.unwind_inodes, &inode, sizeof(inode), &object,
				 sizeof(object), BPF_NOEXIST))
		unwind_pool__release(unwinder->pool, object);
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
