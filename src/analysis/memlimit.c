// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * GOMEMLIMIT = limit of the container - all that is not Go's - margin. Go counts against it all
 * that its runtime maps but binaries (runtime/mgcpacer.go, memoryLimit), and nothing of what C code
 * and the kernel have.
 */
#include <stdio.h>
#include <stdlib.h>

#include "analysis/advice_internal.h"
#include "base/units.h"

/* What was live after the last collection, and what the runtime needs beside its heap, must leave a
 * fifth of the limit: with less the collector runs all the time (the runtime lets it take half of
 * the CPU time, runtime/mgclimit.go). */
#define ROOM_ABOVE_LIVE 1.25
/* With the limit a process that fills it stays at 0.95 to 1.00 of it. */
#define SETTLES_LOW 0.95
#define BITE_LOW    0.9
#define BITE_HIGH   1.1
/* A setting within this share of the sum is as good. */
#define NEAR_ENOUGH 0.05
#define FIRST_MINOR 19 /* go1.19 brought GOMEMLIMIT */

static void add_term(struct advice_list *list, const char *name, int64_t bytes)
{
	if (!bytes || list->term_count == MEMLIMIT_TERMS_MAX)
		return;
	list->terms[list->term_count].name = name;
	list->terms[list->term_count++].bytes = bytes;
	list->gomemlimit_bytes += bytes;
}

/* Every byte is below 2^47 a component and there are few, so that nothing overflows. */
static int64_t as_taken_off(uint64_t bytes)
{
	const uint64_t most = 1ULL << 56;

	return -(int64_t)(bytes < most ? bytes : most);
}

static void sum_up(const struct explanation *e, uint64_t margin_bytes, struct advice_list *list)
{
	const int64_t most = 1LL << 56;
	int64_t limit = e->cgroup.limit_bytes;
	bool is_high = e->cgroup.high_bytes > 0 && (limit <= 0 || e->cgroup.high_bytes < limit);

	/* Above memory.high a group is not killed but throttled until it hardly runs. */
	if (is_high)
		limit = e->cgroup.high_bytes;
	add_term(list, is_high ? "memory.high of the container" : "limit of the container",
		 limit < most ? limit : most);
	for (enum ledger_component c = 0; c < LEDGER_COMPONENTS; c++)
		if (c != LEDGER_GO_HEAP && c != LEDGER_GO_RUNTIME)
			add_term(list, ledger_component__name(c), as_taken_off(resident_of(e, c)));
	add_term(list, "page tables", as_taken_off(e->page_table_bytes));
	add_term(list, "margin", as_taken_off(margin_bytes));
}

static void drop_sum(struct advice_list *list)
{
	list->term_count = 0;
	list->gomemlimit_bytes = 0;
}

/* A version that is not told is taken for a new one. */
static bool knows_memory_limit(const char *version)
{
	int major, minor;

	return sscanf(version, "go%d.%d", &major, &minor) != 2 || major > 1 || minor >= FIRST_MINOR;
}

/* What a heap without any garbage would take, the runtime's own memory with it; 0 unknown. */
static int64_t least_total(const struct explanation *e)
{
	const struct go_facts *go = &e->go;

	if (!has_go_figures(e) || go->heap_live_bytes < 0)
		return 0;
	return go_total_bytes(go) - go->heap_inuse_bytes -
	       (go->heap_idle_bytes - go->heap_released_bytes) + go->heap_live_bytes;
}

static void predict(const struct explanation *e, int64_t limit, struct advice *out)
{
	uint64_t resident = resident_of(e, LEDGER_GO_HEAP) + resident_of(e, LEDGER_GO_RUNTIME);
	double above = (double)resident - (double)limit;
	char room[UNIT_TEXT_MAX], why[sizeof(out->why_no_saving)];

	if (!has_go_figures(e)) {
		advice__predict(out, 0, 0, "the Go runtime's own figures could not be read");
		return;
	}
	if (above > 0)
		snprintf(why, sizeof(why),
			 "little now: what Go has is already near the limit, which bounds what "
			 "comes later");
	else
		snprintf(why, sizeof(why),
			 "nothing now: what Go has is %s below the limit, which bounds what comes "
			 "later",
			 units_format_bytes(room, (uint64_t)-above));
	advice__predict(out, BITE_LOW * above,
			BITE_HIGH * ((double)resident - SETTLES_LOW * (double)limit), why);
}

static void describe(const struct explanation *e, const struct advice_list *list,
		     struct advice *out)
{
	char limit[UNIT_TEXT_MAX], others[UNIT_TEXT_MAX], go[UNIT_TEXT_MAX], set[64] = "", text[32];
	int64_t taken = list->terms[0].bytes - list->gomemlimit_bytes;

	if (e->go.known && e->go.gomemlimit_bytes == INT64_MAX)
		snprintf(set, sizeof(set), "; none is set");
	else if (e->go.known)
		snprintf(set, sizeof(set), "; %s is set",
			 units_format_bytes(text, (uint64_t)e->go.gomemlimit_bytes));
	snprintf(out->evidence, sizeof(out->evidence),
		 "the container's limit is %s, %s of it for what is not Go's and the margin; the "
		 "Go runtime has %s resident%s",
		 units_format_bytes(limit, (uint64_t)list->terms[0].bytes),
		 units_format_bytes(others, taken > 0 ? (uint64_t)taken : 0),
		 units_format_bytes(go, resident_of(e, LEDGER_GO_HEAP) +
						resident_of(e, LEDGER_GO_RUNTIME)),
		 set);
}

/* Set already, to what serves. */
static bool is_set_well(const struct go_facts *go, int64_t limit)
{
	return go->known && go->gomemlimit_bytes > 0 &&
	       (double)go->gomemlimit_bytes <= (1 + NEAR_ENOUGH) * (double)limit;
}

bool advise_gomemlimit(const struct explanation *e, uint64_t margin_bytes, struct advice_list *list,
		       struct advice *out)
{
	int64_t limit;
	double missing;
	char text[UNIT_TEXT_MAX];

	if (!e->has_go || (e->cgroup.limit_bytes <= 0 && e->cgroup.high_bytes <= 0) ||
	    !knows_memory_limit(e->go.version))
		return false;
	sum_up(e, margin_bytes, list);
	limit = list->gomemlimit_bytes;
	missing = ROOM_ABOVE_LIVE * (double)least_total(e) - (double)limit;
	out->id = "gomemlimit";
	describe(e, list, out);
	if (limit <= 0 || missing > 0) {
		snprintf(out->text, sizeof(out->text),
			 "No GOMEMLIMIT fits below the container's limit: raise that limit, or "
			 "lower the margin, by %s.",
			 units_format_bytes(text, missing > 0 ? (uint64_t)missing : 0));
		advice__predict(out, 0, 0, "it makes room, it saves nothing");
		drop_sum(list);
		return true;
	}
	if (is_set_well(&e->go, limit)) {
		drop_sum(list);
		return false;
	}
	snprintf(out->text, sizeof(out->text), "Set GOMEMLIMIT=%lldMiB.", (long long)(limit >> 20));
	snprintf(out->risk, sizeof(out->risk),
		 "near the limit the collector takes up to half of the CPU time; it is measured "
		 "now: other processes of the container and C memory that grows come on top");
	predict(e, limit, out);
	return true;
}
