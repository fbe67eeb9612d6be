// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which functions of an object are probed, where, and what their cookies tell the programs. */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ingest/programs.h"
#include "ingest/tracer.h"
#include "probe/coverage_internal.h"
#include "probe/nesting.h"

int coverage__row(struct coverage *coverage, const char *key, bool frees, enum insn_class cls,
		  double return_ns)
{
	double hit_ns = insn_costs__hit_ns(&coverage->costs, cls) + return_ns;

	for (int i = 0; i < CALL_ROWS; i++) {
		struct coverage_row *row = &coverage->rows[i];

		if (!row->key[0]) {
			snprintf(row->key, sizeof(row->key), "%s", key);
			row->frees = frees;
		}
		if (!strcmp(row->key, key)) {
			if (hit_ns > row->hit_ns)
				row->hit_ns = hit_ns;
			return i;
		}
	}
	return -ENOSPC;
}

/* Where a probe finds the arguments. */
static enum call_layout call_layout(const struct site *site)
{
	switch (site->layout) {
	case ARG_SIZE:
		return LAYOUT_SIZE;
	case ARG_NMEMB_SIZE:
		return LAYOUT_NMEMB_SIZE;
	case ARG_REALLOC:
		return LAYOUT_REALLOC;
	case ARG_REALLOCARRAY:
		return LAYOUT_REALLOCARRAY;
	case ARG_ALIGNED:
	case ARG_HEAP_SIZE: /* the size is the second argument of both */
		return LAYOUT_ALIGNED;
	case ARG_HEAP_NMEMB_SIZE:
		return LAYOUT_HEAP_NMEMB_SIZE;
	case ARG_HEAP_REALLOC:
		return LAYOUT_HEAP_REALLOC;
	case ARG_AX_SIZE:
		return LAYOUT_AX_SIZE;
	case ARG_POSIX_MEMALIGN:
		return LAYOUT_POSIX_MEMALIGN;
	default:
		return LAYOUT_FREE;
	}
}

static const struct site *site_of(const struct coverage *coverage,
				  const struct allocator_function *function)
{
	return tracer__calls(coverage->tracer) == CALLS_ENTRY ? &function->site
							      : &function->return_site;
}

/* Whether it may go on into another entry point. Of malloc and free, where the code shows nothing
 * of that kind, it is known that they do not. */
static bool reaches_others(const struct allocator_function *function)
{
	return (function->layout != ARG_SIZE && function->layout != ARG_FREE) ||
	       function->handoff != HANDOFF_NONE || function->nested_count;
}

/* The site of a function as the calls are probed, and its cookie. */
static void set_site(struct coverage *coverage, const struct allocator_function *function, int row,
		     int nested, struct attach_site *site)
{
	enum call_layout layout = call_layout(site_of(coverage, function));

	site->offset = site_of(coverage, function)->offset;
	if (tracer__calls(coverage->tracer) == CALLS_ENTRY)
		site->cookie = COOKIE_MAKE(row, function->site.sp_delta, layout, function->handoff,
					   nested);
	else
		site->cookie =
			COOKIE_MAKE_LIVE(row, layout, reaches_others(function), site->offset);
}

/* The number of its calls to others; where returns are seen the kernel knows of them. */
static int nesting_of(struct coverage *coverage, const struct allocator_object *object,
		      const struct allocator_function *function)
{
	if (tracer__calls(coverage->tracer) != CALLS_ENTRY)
		return 0;
	return nesting__number(coverage->nesting, object, function);
}

/*
 * Called at every turn. Their probes come last: on kernels that place one after the other they are
 * milliseconds apart, and until the last one is there, hits are paid for and tell nothing.
 */
static bool is_busy(const struct allocator_function *function)
{
	return function->layout == ARG_SIZE || function->layout == ARG_FREE;
}

size_t coverage__choose_sites(struct coverage *coverage, const struct allocator_object *object,
			      struct attach_site *sites,
			      const struct allocator_function **functions)
{
	size_t n = 0;

	if (!object->function_count)
		return 0;
	for (size_t i = 0; i < 2 * object->function_count; i++) {
		const struct allocator_function *function =
			&object->functions[i % object->function_count];
		bool frees = function->layout == ARG_FREE;
		int row, nested;

		if (is_busy(function) != (i >= object->function_count))
			continue;
		/* A call whose return is spared costs less: an upper bound. */
		row = function->ready ? coverage__row(coverage, function->key, frees,
						      site_of(coverage, function)->cls,
						      frees ? 0 : coverage->call_cost.return_ns)
				      : -ENOTSUP;
		nested = row < 0 ? row : nesting_of(coverage, object, function);
		functions[n] = function;
		sites[n].error = nested < 0 ? nested : 0;
		if (nested < 0)
			continue;
		set_site(coverage, function, row, nested, &sites[n]);
		n++;
	}
	return n;
}

/* Tells the programs where returns are seen: a hit inside of such a function is no call of its own.
 */
static size_t note_return_sites(struct coverage *coverage, const struct attach_site *sites,
				size_t count, struct attach_site *returns)
{
	struct bpf_map *map = tracer__programs(coverage->tracer)->maps.return_sites;
	uint32_t one = 1;
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		uint32_t offset = (uint32_t)sites[i].offset;

		if (COOKIE_LAYOUT(sites[i].cookie) == LAYOUT_FREE &&
		    !COOKIE_WANTS_RETURN(sites[i].cookie))
			continue;
		bpf_map__update_elem(map, &offset, sizeof(offset), &one, sizeof(one), BPF_ANY);
		returns[n++] = sites[i];
	}
	return n;
}

int coverage__attach_sites(struct coverage *coverage, struct place *place, pid_t pid,
			   const char *path, struct attach_site *sites, size_t count)
{
	struct memdrift *skel = tracer__programs(coverage->tracer);
	struct attach_site returns[ALLOCATOR_FUNCTIONS_MAX + 1];
	size_t n;
	int err;

	if (tracer__calls(coverage->tracer) == CALLS_ENTRY)
		return keeper__attach(coverage->keeper, skel->progs.allocator_enter, ATTACH_HERE,
				      pid, path, sites, count, &place->mallocs);
	n = note_return_sites(coverage, sites, count, returns);
	if (tracer__calls(coverage->tracer) == CALLS_SESSION)
		return keeper__attach(coverage->keeper, skel->progs.live_session, ATTACH_HERE, pid,
				      path, sites, count, &place->mallocs);
	/* Returns first: a call whose entry was seen must not lack its end. */
	err = keeper__attach(coverage->keeper, skel->progs.live_return, ATTACH_RETURN, pid, path,
			     returns, n, &place->returns);
	if (err)
		return err;
	return keeper__attach(coverage->keeper, skel->progs.live_enter, ATTACH_HERE, pid, path,
			      sites, count, &place->mallocs);
}
