// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/coverage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "census/proc_stat.h"
#include "ingest/tracer.h"
#include "ingest/programs.h"
#include "probe/coverage_internal.h"
#include "probe/nesting.h"

_Static_assert(ALLOCATOR_FUNCTIONS_MAX < KEEPER_SITES_MAX && GO_FUNCTIONS_MAX < KEEPER_SITES_MAX,
	       "all sites of a file go into one link");

struct coverage *coverage__new(struct tracer *tracer, struct allocator_cache *cache,
			       const struct insn_costs *costs, const struct call_cost *call_cost,
			       enum coverage_scope scope, bool mallocs, bool arenas)
{
	struct coverage *coverage = calloc(1, sizeof(*coverage));

	if (!coverage)
		return NULL;
	pthread_mutex_init(&coverage->lock, NULL);
	coverage->tracer = tracer;
	coverage->keeper = tracer__keeper(tracer);
	coverage->cache = cache;
	coverage->costs = *costs;
	coverage->call_cost = *call_cost;
	coverage->scope = scope;
	coverage->mallocs = mallocs;
	coverage->arenas = arenas;
	coverage->nesting = nesting__new(tracer);
	if (!coverage->nesting) {
		coverage__free(coverage);
		return NULL;
	}
	return coverage;
}

void coverage__detach(struct coverage *coverage, struct place *place)
{
	keeper__close_later(coverage->keeper, &place->mallocs);
	keeper__close_later(coverage->keeper, &place->returns);
	keeper__close_later(coverage->keeper, &place->go);
	place->malloc_count = 0;
}

static void remove_place(struct coverage *coverage, struct place *place)
{
	coverage__detach(coverage, place);
	coverage__drop_sites(place);
	for (size_t i = 0; i < sizeof(place->arenas) / sizeof(*place->arenas); i++)
		keeper__close_later(coverage->keeper, &place->arenas[i]);
	HASH_DEL(coverage->places, place);
	free(place);
}

void coverage__free(struct coverage *coverage)
{
	struct place *place, *next_place;

	if (!coverage)
		return;
	HASH_ITER (hh, coverage->places, place, next_place)
		remove_place(coverage, place);
	nesting__free(coverage->nesting);
	pthread_mutex_destroy(&coverage->lock);
	free(coverage);
}

static struct place *place_of(struct coverage *coverage, const struct allocator_object *object,
			      uint32_t pid, bool *is_new)
{
	struct place_key key = {.dev = object->dev, .ino = object->ino, .pid = pid};
	struct place *place;

	HASH_FIND(hh, coverage->places, &key, sizeof(key), place);
	*is_new = !place;
	if (place)
		return place;
	place = calloc(1, sizeof(*place));
	if (!place)
		return NULL;
	place->key = key;
	place->fd = -1;
	HASH_ADD(hh, coverage->places, key, sizeof(key), place);
	return place;
}

/* Which of them are in place, and a word on each that is not. */
static void note_sites(struct place *place, const struct allocator_function *const *functions,
		       const struct attach_site *sites, size_t n, const char *name,
		       struct coverage_scan *scan)
{
	char printable[256];

	for (size_t i = 0; i < n; i++) {
		if (!sites[i].error) {
			place->malloc_count += place->mallocs != 0;
			row_set__add(&place->rows, COOKIE_ROW(sites[i].cookie));
			continue;
		}
		log_warning("cannot probe %s in %s: %s; its calls are not counted",
			    functions[i]->key, text_printable(printable, sizeof(printable), name),
			    strerror(-sites[i].error));
		scan->failed++;
	}
	scan->attached += place->malloc_count;
}

static void attach_mallocs(struct coverage *coverage, struct place *place,
			   const struct allocator_object *object, pid_t pid, const char *path,
			   const char *name, struct coverage_scan *scan)
{
	const struct allocator_function *functions[ALLOCATOR_FUNCTIONS_MAX + 1];
	struct attach_site sites[ALLOCATOR_FUNCTIONS_MAX + 1];
	size_t n = coverage__choose_sites(coverage, object, sites, functions);

	place->tried = true;
	place->attached_ns = monotonic_ns();
	scan->failed += (uint32_t)(object->function_count - n);
	if (!n)
		return;
	/* Then it is the next burst that puts them in place. */
	place->paused = coverage__is_paused(coverage, place->key.pid);
	if (!place->paused &&
	    coverage__attach_sites(coverage, place, pid, path, sites, n) == -ESRCH) {
		/* Gone, or between two programs: another scan may find it. */
		place->tried = false;
		return;
	}
	note_sites(place, functions, sites, n, name, scan);
	if (coverage->pausable)
		coverage__keep_sites(place, path, sites, n);
	place->attached_ns = monotonic_ns();
}

/* arena_get2 with its return, and libc's own notes, always for one process alone. */
static void attach_arenas(struct coverage *coverage, struct place *place,
			  const struct allocator_object *object, pid_t pid, const char *path)
{
	struct memdrift *skel = tracer__programs(coverage->tracer);
	struct attach_site site = {.offset = object->arena_get2.site.offset};
	struct keeper *keeper = coverage->keeper;

	if (object->kind != ALLOCATOR_GLIBC)
		return;
	if (object->arena_symbol != ARENA_SYMBOL_NONE && object->arena_get2.ready &&
	    attach__return_probes_safe() &&
	    !keeper__attach(keeper, skel->progs.arena_get2_exit, ATTACH_RETURN, pid, path, &site, 1,
			    &place->arenas[0]))
		place->symbol_probed =
			!keeper__attach(keeper, skel->progs.arena_get2_enter, ATTACH_HERE, pid,
					path, &site, 1, &place->arenas[1]);
	if (object->usdt_arena_new)
		place->usdt_probed = !keeper__attach_usdt(keeper, skel->progs.arena_new, pid, path,
							  "memory_arena_new", &place->arenas[2]);
	if (object->usdt_heap_new)
		keeper__attach_usdt(keeper, skel->progs.heap_new, pid, path, "memory_heap_new",
				    &place->arenas[3]);
}

/* One file, for one process (pid) or for all (0); a path through which it can be attached. */
static struct place *cover_object(struct coverage *coverage, const struct allocator_object *object,
				  uint32_t pid, const char *path, const char *name,
				  struct coverage_scan *scan)
{
	bool is_new;
	struct place *place = place_of(coverage, object, pid, &is_new);

	/* A place can be there for its arenas alone. */
	if (!place || place->tried)
		return place;
	/* One of the two may be there from a time when the other could not be attached. */
	if (!place->mallocs)
		attach_mallocs(coverage, place, object, pid ? (pid_t)pid : ATTACH_ALL, path, name,
			       scan);
	if (object->go && !place->go)
		coverage__attach_go(coverage, place, object->go, pid ? (pid_t)pid : ATTACH_ALL,
				    path, name, scan);
	return place;
}

static uint32_t kinds_of(const struct allocator_object *object)
{
	return 1u << object->kind | (object->go ? 1u << ALLOCATOR_GO : 0);
}

struct scan_step {
	struct coverage *coverage;
	const struct coverage_want *want;
	struct coverage_scan *scan;
};

static int cover_mapping(void *ctx, const struct allocator_mapping *mapping)
{
	struct scan_step *step = ctx;
	struct coverage *coverage = step->coverage;
	struct coverage_scan *scan = step->scan;
	uint32_t own = (uint32_t)mapping->pid;
	uint32_t shared = coverage->scope == COVERAGE_ALL ? 0 : own;
	struct place *place;
	char path[64];
	bool is_new;

	scan->allocators |= kinds_of(mapping->object);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", mapping->fd);
	/* Only here: searching a file takes long, and a burst may have to end meanwhile. */
	pthread_mutex_lock(&coverage->lock);
	if (coverage->mallocs && step->want->mallocs) {
		place = cover_object(coverage, mapping->object, shared, path, mapping->path, scan);
		if (place)
			row_set__join(&scan->rows, &place->rows);
		if (place && place->attached_ns > scan->attached_ns)
			scan->attached_ns = place->attached_ns;
	}
	if (coverage->arenas && step->want->arenas && mapping->object->kind == ALLOCATOR_GLIBC) {
		place = place_of(coverage, mapping->object, own, &is_new);
		if (place && !place->symbol_probed && !place->usdt_probed && !place->arenas[0])
			attach_arenas(coverage, place, mapping->object, mapping->pid, path);
		if (place) {
			scan->symbol_probed |= place->symbol_probed;
			scan->usdt_probed |= place->usdt_probed;
		}
	}
	pthread_mutex_unlock(&coverage->lock);
	return 0;
}

int coverage__scan(struct coverage *coverage, pid_t pid, const struct coverage_want *want,
		   struct coverage_scan *scan)
{
	struct allocator_scan found = {0};
	struct scan_step step = {.coverage = coverage, .want = want, .scan = scan};
	int err;

	memset(scan, 0, sizeof(*scan));
	err = allocator_cache__each_mapped(coverage->cache, pid, cover_mapping, &step, &found);
	scan->unread = found.unread;
	return err;
}

static const struct allocator_object *open_object(struct coverage *coverage, const char *path,
						  int *fd)
{
	const struct allocator_object *object = NULL;

	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		return NULL;
	if (allocator_cache__find(coverage->cache, *fd, path, NULL, &object)) {
		close(*fd);
		return NULL;
	}
	return object;
}

int coverage__prepare(struct coverage *coverage, const char *path, uint32_t *allocators)
{
	struct coverage_scan scan = {0};
	const struct allocator_object *object;
	int fd;

	object = open_object(coverage, path, &fd);
	if (!object)
		return -ENOENT;
	*allocators |= kinds_of(object);
	pthread_mutex_lock(&coverage->lock);
	cover_object(coverage, object, 0, path, path, &scan);
	pthread_mutex_unlock(&coverage->lock);
	allocator_object__put(object);
	close(fd);
	return scan.failed ? -EIO : (int)scan.attached;
}

void coverage__prepare_arenas(struct coverage *coverage, pid_t pid, const char *path)
{
	const struct allocator_object *object;
	struct place *place;
	bool is_new;
	int fd;

	object = open_object(coverage, path, &fd);
	if (!object)
		return;
	pthread_mutex_lock(&coverage->lock);
	if (coverage->arenas && object->kind == ALLOCATOR_GLIBC) {
		place = place_of(coverage, object, (uint32_t)pid, &is_new);
		if (place && is_new)
			attach_arenas(coverage, place, object, pid, path);
	}
	pthread_mutex_unlock(&coverage->lock);
	allocator_object__put(object);
	close(fd);
}

void coverage__forget(struct coverage *coverage, pid_t pid)
{
	struct place *place, *next;
	uint64_t own = (uint64_t)pid;

	pthread_mutex_lock(&coverage->lock);
	HASH_ITER (hh, coverage->places, place, next)
		if (place->key.pid == own)
			remove_place(coverage, place);
	pthread_mutex_unlock(&coverage->lock);
}

void coverage__drop_all_mallocs(struct coverage *coverage)
{
	struct place *place, *next;

	if (!coverage)
		return;
	pthread_mutex_lock(&coverage->lock);
	coverage->mallocs = false;
	HASH_ITER (hh, coverage->places, place, next) {
		coverage__detach(coverage, place);
		coverage__drop_sites(place);
	}
	pthread_mutex_unlock(&coverage->lock);
}

enum coverage_scope coverage__scope(const struct coverage *coverage)
{
	return coverage->scope;
}

const struct coverage_row *coverage__rows(const struct coverage *coverage)
{
	return coverage->rows;
}

double coverage__cost_ns(struct coverage *coverage, const struct alloc_counts *counts)
{
	double cost = 0, calls = 0;

	pthread_mutex_lock(&coverage->lock);
	for (int i = 0; i < CALL_ROWS; i++) {
		cost += (double)counts->calls[i] * coverage->rows[i].hit_ns;
		calls += (double)counts->calls[i];
	}
	pthread_mutex_unlock(&coverage->lock);
	/* Which rows the second hits of handed-on calls fell into is not kept: as the others cost.
	 */
	if (calls > 0)
		cost *= 1 + (double)counts->tail_calls / calls;
	return cost + (double)counts->stacks * coverage->call_cost.stack_ns +
	       (double)counts->frames * coverage->call_cost.frame_ns;
}

uint32_t coverage__probes(struct coverage *coverage)
{
	uint32_t n = 0;

	pthread_mutex_lock(&coverage->lock);
	for (struct place *place = coverage->places; place; place = place->hh.next)
		n += place->paused ? (uint32_t)place->site_count : place->malloc_count;
	pthread_mutex_unlock(&coverage->lock);
	return n;
}
