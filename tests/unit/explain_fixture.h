/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* An explanation made by hand: the cgo case of the README, with every figure known. */
#ifndef EXPLAIN_FIXTURE_H
#define EXPLAIN_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "output/explain.h"

#define KB 1024ULL
#define MB (1024 * KB)

#define FIXTURE_ARENAS 16

struct explain_fixture {
	struct explanation explanation;
	struct glibc_arena arenas[FIXTURE_ARENAS];
	struct verdict verdict;
	struct advice_list advice;
	struct explain_report report;
};

static inline struct check check_of(uint64_t found, uint64_t expected)
{
	return (struct check){
		.done = true, .ok = found == expected, .found = found, .expected = expected};
}

static inline void fill_ledger(struct ledger *ledger)
{
	static const struct {
		enum ledger_component component;
		uint64_t resident, reserved, regions;
	} rows[] = {
		{LEDGER_MALLOC_ARENAS, 902 * MB, 960 * MB, 15},
		{LEDGER_BRK_HEAP, 110 * MB, 110 * MB, 1},
		{LEDGER_BINARY, 2 * MB, 6 * MB, 9},
		{LEDGER_GO_HEAP, 1 * MB, 64 * MB, 1},
		{LEDGER_GO_RUNTIME, 1 * MB, 36 * MB, 7},
		{LEDGER_THREAD_STACKS, 200 * KB, 48 * MB, 6},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		ledger->rows[rows[i].component] = (struct ledger_row){
			.resident_bytes = rows[i].resident,
			.reserved_bytes = rows[i].reserved,
			.regions = rows[i].regions,
		};
		ledger->resident_bytes += rows[i].resident;
	}
	ledger->rows[LEDGER_MALLOC_ARENAS].how = "heap_info headers, ring of arenas";
	ledger->rss = check_of(ledger->resident_bytes, ledger->resident_bytes);
}

static inline void fill_glibc(struct glibc_census *glibc, struct glibc_arena *arenas)
{
	for (uint64_t i = 0; i < FIXTURE_ARENAS; i++) {
		arenas[i] = (struct glibc_arena){
			.address = 0x7f1ec0000030ULL + i * 64 * MB,
			.is_main = !i,
			.heaps = 1,
			.threads = i % 2 ? 1 : 0,
			.system_bytes = (64 - i) * MB,
			.in_use_bytes = 4 * MB,
			.free_bytes = (60 - i) * MB,
			.cached_bytes = 4 * KB,
			.top_bytes = 64 * KB,
			.trimmable_bytes = (59 - i) * MB,
			.largest_free_bytes = 1 * MB,
			.walked = check_of((64 - i) * MB, (64 - i) * MB),
		};
	}
	*glibc = (struct glibc_census){
		.layout = "2.35 to 2.41",
		.arenas = arenas,
		.arena_count = FIXTURE_ARENAS,
		.arena_limit = 512,
		.limit_source = "8 x 64 online CPUs",
		.ring_closed = true,
		.system_bytes = 904 * MB,
		.in_use_bytes = 64 * MB,
		.free_bytes = 840 * MB,
		.cached_bytes = 64 * KB,
		.top_bytes = 1 * MB,
		.trimmable_bytes = 824 * MB,
		.stood_still = true,
		.walks = 2,
		.mmapped_chunks = 3,
		.mmapped_bytes = 5 * MB,
		.mmapped = check_of(5 * MB, 5 * MB),
		.tcaches = 6,
	};
}

static inline void fill_go(struct go_facts *go)
{
	*go = (struct go_facts){
		.version = "go1.19.8",
		.source = "symbols and DWARF",
		.known = true,
		.has_cgo = true,
		.heap_inuse_bytes = 1 * MB,
		.heap_idle_bytes = 3 * MB,
		.heap_released_bytes = 2 * MB,
		.heap_alloc_bytes = 768 * KB,
		.heap_live_bytes = 512 * KB,
		.heap_goal_bytes = 4 * MB,
		.stacks_inuse_bytes = 320 * KB,
		.sys_bytes = 12 * MB,
		.gomemlimit_bytes = INT64_MAX,
		.gogc_percent = 100,
		.num_gc = 7,
		.invariants = check_of(1 * MB, 1 * MB),
		.classes = {{64, 10, 80 * KB, 1000, 62 * KB}, {0, 2, 256 * KB, 2, 256 * KB}},
		.class_count = 2,
		.span_objects_resident_bytes = 1 * MB,
		.span_stacks_resident_bytes = 320 * KB,
		.span_idle_resident_bytes = GO_UNKNOWN,
	};
}

static inline void fill_advice(struct advice_list *advice)
{
	advice->count = 2;
	advice->items[0] = (struct advice){
		.id = "malloc-arena-max",
		.text = "Set MALLOC_ARENA_MAX=2",
		.evidence = "16 arenas, 840.0 MB free in them",
		.risk = "threads wait for each other",
		.has_saving = true,
		.saving_low_bytes = 500 * MB,
		.saving_high_bytes = 800 * MB,
	};
	advice->items[1] = (struct advice){
		.id = "gomemlimit",
		.text = "Set GOMEMLIMIT=600MiB",
		.evidence = "the limit of the container",
		.why_no_saving = "it bounds the Go heap, which is small",
	};
	advice->terms[0] = (struct memlimit_term){"limit of the container", (int64_t)(2048 * MB)};
	advice->terms[1] = (struct memlimit_term){"malloc-arenas", -(int64_t)(1048 * MB)};
	advice->terms[2] = (struct memlimit_term){"margin", -(int64_t)(400 * MB)};
	advice->term_count = 3;
	advice->gomemlimit_bytes = (int64_t)(600 * MB);
}

static inline void fill_cgroup(struct cgroup_facts *cgroup)
{
	static char path[] = "/kubepods/burstable/pod1/0123456789abcdef",
		    limit_path[] = "/kubepods";

	*cgroup = (struct cgroup_facts){
		.path = path,
		.version = 2,
		.limit_bytes = (int64_t)(2048 * MB),
		.limit_path = limit_path,
		.usage_bytes = (int64_t)(1100 * MB),
		.high_bytes = -1,
		.cpu_quota = 4,
		.container_id = "0123456789abcdef",
		.runtime = "containerd",
	};
}

static inline void explain_fixture__fill(struct explain_fixture *fixture)
{
	struct explanation *explanation = &fixture->explanation;
	static char exe[] = "/srv/cal";

	memset(fixture, 0, sizeof(*fixture));
	*explanation = (struct explanation){
		.pid = 8212,
		.start_ticks = 12345,
		.comm = "cal",
		.exe = exe,
		.threads = 7,
		.thread_stacks_live = 6,
		.thread_stacks_live_resident_bytes = 180 * KB,
		.thread_stacks_cached = 2,
		.thread_stacks_cached_resident_bytes = 20 * KB,
		.thread_stack_bytes = (int64_t)(8 * MB),
		.has_glibc = true,
		.has_go = true,
		.cpus_online = 64,
		.has_rollup = true,
		.has_status = true,
		.page_table_bytes = 2 * MB,
		.pss_bytes = 1015 * MB,
		.rss_peak_bytes = 1100 * MB,
		.thp_mode = "madvise",
		.readings = 1,
		.cpu_ns = 140000000,
		.wall_ns = 200000000,
		.bytes_read = 12 * MB,
	};
	strcpy(explanation->allocators.malloc_owner, "glibc");
	fill_ledger(&explanation->ledger);
	fill_glibc(&explanation->glibc, fixture->arenas);
	fill_go(&explanation->go);
	fill_cgroup(&explanation->cgroup);
	fill_advice(&fixture->advice);
	fixture->verdict.main = LEDGER_MALLOC_ARENAS;
	strcpy(fixture->verdict.text, "Memory is held by glibc's arenas: 840.0 MB of it is free.");
	fixture->report = (struct explain_report){explanation, &fixture->verdict, &fixture->advice};
}

#endif
