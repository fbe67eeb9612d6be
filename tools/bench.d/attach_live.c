// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * attach_live: what `memdrift trace --live` is measured against, for tools/bench. Reads a command a
 * line, answers with a number:
 *
 *	floor PID     empty BPF programs where `trace --live -p PID` would have its own, with the
 *	              same kind of link                            -> probes in place
 *	entries PID   the programs of --live, without stacks, at the first instruction of malloc and
 *	              free instead of the sites that memdrift chooses -> probes in place
 *	off           takes them off      -> allocations that `entries` has counted in all, else 0
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/doctor_calibrate.h"
#include "ingest/live_set.h"
#include "ingest/programs.h"
#include "ingest/tracer.h"
#include "probe/allocator.h"
#include "probe/attach.h"

/* More objects with an allocator than any program maps, each with entries and returns. */
#define LINKS_MAX 32

/* Processes that are measured in one run. */
#define PROCESSES_MAX 16

/* Rows of calls[]. */
enum { ROW_ALLOCATIONS, ROW_FREES };

struct bench {
	struct memdrift *empty;
	bool sessions; /* the kernel has session links */
	struct tracer *tracer;
	struct allocator_cache *cache;
	struct probe_link *links[LINKS_MAX];
	size_t link_count, probes;
	pid_t pid;
	bool at_entries; /* of the links in place */
};

/* What goes on one object: entries that want their return, and others. */
struct sites {
	struct attach_site calls[ALLOCATOR_FUNCTIONS_MAX], frees[ALLOCATOR_FUNCTIONS_MAX];
	size_t call_count, free_count;
};

static int load_empty(struct bench *bench)
{
	struct bpf_program *prog;
	struct bpf_map *map;

	bench->empty = memdrift__open();
	if (!bench->empty)
		return -errno;
	bench->sessions = !attach__choose_session(bench->empty->progs.empty_session) &&
			  !attach__choose_session(bench->empty->progs.empty_skip);
	bpf_object__for_each_program (prog, bench->empty->obj)
		bpf_program__set_autoload(prog, false);
	bpf_program__set_autoload(bench->empty->progs.empty_session, bench->sessions);
	bpf_program__set_autoload(bench->empty->progs.empty_skip, bench->sessions);
	bpf_program__set_autoload(bench->empty->progs.empty_probe, !bench->sessions);
	bpf_program__set_autoload(bench->empty->progs.empty_return, !bench->sessions);
	attach__choose_type(bench->empty->progs.empty_probe);
	attach__choose_type(bench->empty->progs.empty_return);
	/* No map is used. */
	bpf_map__set_max_entries(bench->empty->maps.records, (uint32_t)sysconf(_SC_PAGESIZE));
	bpf_object__for_each_map(map, bench->empty->obj)
	{
		if (bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_HASH ||
		    bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY)
			bpf_map__set_max_entries(map, 1);
	}
	return memdrift__load(bench->empty);
}

/* As `trace --live --no-stacks` does. */
static int load_live(struct bench *bench)
{
	struct tracer_options options = {
		.config = {.target_mode = TARGET_LISTED, .own_pid = getpid(), .count_mallocs = 1},
		.ring_bytes = sysconf(_SC_PAGESIZE),
		.counted_max = PROCESSES_MAX,
		.live_bytes = LIVE_BYTES_DEFAULT,
	};

	return tracer__open(&options, &bench->tracer);
}

static void find_sites(const struct bench *bench, const struct allocator_object *object,
		       struct sites *sites)
{
	for (size_t i = 0; i < object->function_count; i++) {
		const struct allocator_function *function = &object->functions[i];
		bool frees = function->layout == ARG_FREE;
		uint64_t offset =
			bench->at_entries ? function->file_offset : function->return_site.offset;
		uint64_t cookie =
			COOKIE_MAKE_LIVE(frees ? ROW_FREES : ROW_ALLOCATIONS,
					 frees ? LAYOUT_FREE : LAYOUT_SIZE, false, offset);

		/* Of the others tools/bench calls none: nothing is said about their arguments. */
		if (!function->ready ||
		    (bench->at_entries && !frees && function->layout != ARG_SIZE))
			continue;
		*(frees ? &sites->frees[sites->free_count++] : &sites->calls[sites->call_count++]) =
			(struct attach_site){.offset = offset, .cookie = cookie};
	}
}

static int attach(struct bench *bench, const struct bpf_program *prog, enum attach_where where,
		  const char *path, struct attach_site *sites, size_t count)
{
	int err;

	if (!count)
		return 0;
	if (bench->link_count == LINKS_MAX)
		return -ENOSPC;
	err = attach__uprobes(prog, where, bench->pid, path, sites, count,
			      &bench->links[bench->link_count]);
	if (err)
		return err;
	bench->link_count++;
	for (size_t i = 0; i < count; i++)
		bench->probes += !sites[i].error;
	return 0;
}

static int attach_object(void *ctx, const struct allocator_mapping *mapping)
{
	struct bench *bench = ctx;
	struct memdrift *live = tracer__programs(bench->tracer), *empty = bench->empty;
	bool at_entries = bench->at_entries, sessions = bench->sessions;
	const struct bpf_program *call, *release, *returns;
	struct sites sites = {0};
	char path[40];
	int err = 0;

	find_sites(bench, mapping->object, &sites);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", mapping->fd);
	if (sessions) {
		call = at_entries ? live->progs.live_session : empty->progs.empty_session;
		release = at_entries ? call : empty->progs.empty_skip;
	} else {
		returns = at_entries ? live->progs.live_return : empty->progs.empty_return;
		call = release = at_entries ? live->progs.live_enter : empty->progs.empty_probe;
		err = attach(bench, returns, ATTACH_RETURN, path, sites.calls, sites.call_count);
	}
	if (!err)
		err = attach(bench, call, ATTACH_HERE, path, sites.calls, sites.call_count);
	if (!err)
		err = attach(bench, release, ATTACH_HERE, path, sites.frees, sites.free_count);
	return err;
}

static void detach(struct bench *bench)
{
	while (bench->link_count)
		probe_link__close(bench->links[--bench->link_count]);
	bench->probes = 0;
}

static int put_on(struct bench *bench, bool at_entries, pid_t pid)
{
	int err;

	detach(bench);
	bench->at_entries = at_entries;
	bench->pid = pid;
	err = at_entries ? tracer__count(bench->tracer, (uint32_t)pid) : 0;
	if (!err)
		err = allocator_cache__each_mapped(bench->cache, pid, attach_object, bench, NULL);
	printf("%zu\n", bench->probes);
	return err;
}

static int take_off(struct bench *bench)
{
	struct alloc_counts counts = {0};
	int err = 0;

	detach(bench);
	if (bench->at_entries)
		err = tracer__read_counts(bench->tracer, (uint32_t)bench->pid, &counts);
	printf("%llu\n", (unsigned long long)counts.calls[ROW_ALLOCATIONS]);
	return err;
}

static int obey(struct bench *bench)
{
	char line[32];
	int err = 0, pid;

	while (!err && fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "floor %d", &pid) == 1)
			err = put_on(bench, false, pid);
		else if (sscanf(line, "entries %d", &pid) == 1)
			err = put_on(bench, true, pid);
		else
			err = take_off(bench);
		fflush(stdout);
	}
	detach(bench);
	return err;
}

int main(void)
{
	struct bench bench = {0};
	struct insn_costs costs;
	int err;

	log_bridge_libbpf();
	/* Measured as memdrift does, for the sites follow from it. */
	err = doctor_calibrate(&costs);
	if (!err)
		err = load_empty(&bench);
	if (!err)
		err = load_live(&bench);
	if (!err) {
		bench.cache = allocator_cache__new(&costs);
		err = bench.cache ? obey(&bench) : -ENOMEM;
	}
	if (err)
		fprintf(stderr, "attach_live: %s\n", strerror(-err));
	allocator_cache__free(bench.cache);
	tracer__close(bench.tracer);
	memdrift__destroy(bench.empty);
	return err ? 1 : 0;
}
