/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef UNIT_ADVICE_FIXTURE_H
#define UNIT_ADVICE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "analysis/advice.h"

#define MB (1ULL << 20)

/* An explanation, and room for what it points to. */
struct subject_of_advice {
	struct explanation e;
	struct glibc_arena arenas[600];
};

static inline void fix_row(struct explanation *e, enum ledger_component component, uint64_t bytes)
{
	e->ledger.resident_bytes += bytes - e->ledger.rows[component].resident_bytes;
	e->ledger.rows[component].resident_bytes = bytes;
	e->ledger.rows[component].reserved_bytes = bytes;
}

/* A small C program on glibc: nothing worth advice. */
static inline void fix_small(struct subject_of_advice *s)
{
	memset(s, 0, sizeof(*s));
	s->e.pid = 8212;
	s->e.threads = 1;
	s->e.thread_stack_bytes = -1;
	s->e.cgroup.limit_bytes = s->e.cgroup.usage_bytes = s->e.cgroup.high_bytes = -1;
	s->e.cpus_online = 2;
	s->e.has_glibc = true;
	s->e.glibc.arenas = s->arenas;
	s->e.glibc.arena_limit = 16;
	s->e.glibc.stood_still = true;
	snprintf(s->e.glibc.limit_source, sizeof(s->e.glibc.limit_source), "8 x 2 online CPUs");
	snprintf(s->e.allocators.malloc_owner, sizeof(s->e.allocators.malloc_owner), "glibc");
	snprintf(s->e.thp_mode, sizeof(s->e.thp_mode), "madvise");
	fix_row(&s->e, LEDGER_BINARY, 2 * MB);
}

static inline void fix_arena(struct subject_of_advice *s, uint64_t in_use, uint64_t unused,
			     uint64_t top, uint64_t trimmable)
{
	struct glibc_census *c = &s->e.glibc;
	struct glibc_arena *a = &s->arenas[c->arena_count];

	a->is_main = !c->arena_count++;
	a->heaps = 1;
	a->threads = 1;
	a->system_bytes = in_use + unused;
	a->in_use_bytes = in_use;
	a->free_bytes = unused;
	a->top_bytes = top;
	a->trimmable_bytes = trimmable;
	a->walked = (struct check){.done = true, .ok = true};
	c->system_bytes += a->system_bytes;
	c->in_use_bytes += in_use;
	c->free_bytes += unused;
	c->top_bytes += top;
	c->trimmable_bytes += trimmable;
}

/* The cgo calloc case as measured: 15 thread arenas, 16 threads of 64 MB each thinned out to 1/16;
 * RSS 1,018 MB of which malloc_trim returned 960. */
static inline void fix_cgo(struct subject_of_advice *s)
{
	fix_small(s);
	fix_arena(s, 7 * MB, 103 * MB, 1 * MB, 100 * MB);
	for (int i = 0; i < 15; i++)
		fix_arena(s, 4 * MB, 58 * MB, MB / 4, 57 * MB + MB / 3);
	s->e.threads = 20;
	fix_row(&s->e, LEDGER_MALLOC_ARENAS, 902 * MB);
	fix_row(&s->e, LEDGER_BRK_HEAP, 110 * MB);
	fix_row(&s->e, LEDGER_GO_HEAP, 3 * MB / 2);
	fix_row(&s->e, LEDGER_GO_RUNTIME, MB);
	s->e.has_go = true;
	snprintf(s->e.go.version, sizeof(s->e.go.version), "go1.19.8");
}

/* A Go heap that has reached its goal, GOGC=100: measured with 200 MB live, in KiB of RSS 462,488;
 * with GOGC=50 328,844, with GOMEMLIMIT=300MiB 300,788, with 250MiB 250,300. */
static inline void fix_go(struct subject_of_advice *s)
{
	struct go_facts *go = &s->e.go;

	fix_small(s);
	s->e.has_glibc = false;
	s->e.allocators.malloc_owner[0] = '\0';
	s->e.has_go = true;
	snprintf(go->version, sizeof(go->version), "go1.19.8");
	go->known = true;
	go->heap_inuse_bytes = 410 * (int64_t)MB;
	go->heap_idle_bytes = 38 * (int64_t)MB;
	go->heap_released_bytes = 8 * (int64_t)MB;
	go->heap_alloc_bytes = 405 * (int64_t)MB;
	go->heap_live_bytes = 203 * (int64_t)MB;
	go->heap_goal_bytes = 406 * (int64_t)MB;
	go->sys_bytes = 462 * (int64_t)MB;
	go->gomemlimit_bytes = INT64_MAX;
	go->gogc_percent = 100;
	go->num_gc = 12;
	go->span_idle_resident_bytes = GO_UNKNOWN;
	fix_row(&s->e, LEDGER_BINARY, MB);
	fix_row(&s->e, LEDGER_GO_HEAP, 440 * MB);
	fix_row(&s->e, LEDGER_GO_RUNTIME, 10 * MB);
}

static inline const struct advice *find_advice(const struct advice_list *list, const char *id)
{
	for (size_t i = 0; i < list->count; i++)
		if (strcmp(list->items[i].id, id) == 0)
			return &list->items[i];
	return NULL;
}

/* Every range is what the header says of it; what has none says why. */
static inline void expect_sound(const struct advice_list *list)
{
	assert_true(list->count <= ADVICE_MAX);
	for (size_t i = 0; i < list->count; i++) {
		const struct advice *a = &list->items[i];

		assert_true(a->id && a->id[0] && a->text[0] && a->evidence[0]);
		assert_true(a->has_saving || a->why_no_saving[0]);
		if (!a->has_saving)
			continue;
		assert_true(a->saving_low_bytes > 0);
		assert_true(a->saving_low_bytes <= a->saving_high_bytes);
		assert_true(a->saving_high_bytes <= 2 * a->saving_low_bytes);
		assert_true(!i || list->items[i - 1].has_saving);
	}
}

/* A truth that was measured lies in the range. */
static inline void expect_holds(const struct advice_list *list, const char *id, uint64_t truth)
{
	const struct advice *a = find_advice(list, id);

	assert_non_null(a);
	assert_true(a->has_saving);
	assert_in_range(truth, a->saving_low_bytes, a->saving_high_bytes);
}

static inline void expect_unpredicted(const struct advice_list *list, const char *id,
				      const char *why)
{
	const struct advice *a = find_advice(list, id);

	assert_non_null(a);
	assert_false(a->has_saving);
	assert_non_null(strstr(a->why_no_saving, why));
}

#endif
