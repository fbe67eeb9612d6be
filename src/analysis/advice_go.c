// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a Go heap could hold less of. The shares are measured: tests/acceptance/advice.sh prints
 * them. */
#include <stdio.h>

#include "analysis/advice_internal.h"
#include "base/units.h"

#define MOST_BYTES          (1LL << 57) /* x86-64's largest address spaces */
#define IDLE_LOW            0.9
#define IDLE_HIGH           1.05
#define GOGC_WORTH_LOWERING 100
#define GARBAGE_WORTH_PARTS 4  /* one in so many resident bytes */
#define HOLES_WORTH_PERCENT 30 /* of heap in use */
#define NEAR_LIMIT_PERCENT  90 /* of GOMEMLIMIT */
#define LIVE_BELOW_PERCENT  80 /* of GOMEMLIMIT: else it may well be a leak */

static bool is_size(int64_t bytes)
{
	return bytes >= 0 && bytes < MOST_BYTES;
}

bool has_go_figures(const struct explanation *e)
{
	const struct go_facts *go = &e->go;

	/* What the last collection left may be unknown: there was none, or the version is not
	 * known well enough. */
	return e->has_go && go->known && is_size(go->sys_bytes) && is_size(go->heap_inuse_bytes) &&
	       is_size(go->heap_idle_bytes) && is_size(go->heap_released_bytes) &&
	       go->heap_released_bytes <= go->heap_idle_bytes && go->heap_live_bytes < MOST_BYTES &&
	       go->heap_goal_bytes < INT64_MAX && go->heap_alloc_bytes < MOST_BYTES;
}

int64_t go_total_bytes(const struct go_facts *go)
{
	return go->sys_bytes - go->heap_released_bytes;
}

bool advise_go_free(const struct explanation *e, struct advice *out)
{
	const struct go_facts *go = &e->go;
	int64_t idle;
	char idle_text[UNIT_TEXT_MAX], used[UNIT_TEXT_MAX];

	if (!has_go_figures(e))
		return false;
	idle = go->span_idle_resident_bytes >= 0 ? go->span_idle_resident_bytes
						 : go->heap_idle_bytes - go->heap_released_bytes;
	if (idle <= 0 || !is_worth_saying(e, (uint64_t)idle))
		return false;
	out->id = "go-free-os-memory";
	snprintf(out->text, sizeof(out->text),
		 "Call debug.FreeOSMemory() after a phase that freed much; by itself the runtime "
		 "returns idle memory slowly, and only what its next goal does not need.");
	snprintf(out->evidence, sizeof(out->evidence),
		 "%s of the Go heap are idle and not returned; %s are in use",
		 units_format_bytes(idle_text, (uint64_t)idle),
		 units_format_bytes(used, (uint64_t)go->heap_inuse_bytes));
	snprintf(out->risk, sizeof(out->risk),
		 "it runs a whole collection; memory that is needed again faults in again");
	/* What the last collection left is no measure of what is live: what is allocated while it
	 * runs counts as marked (runtime/mgcmark.go, gcmarknewobject). Any of it may be garbage. */
	advice__predict(out, IDLE_LOW * (double)idle,
			IDLE_HIGH * (double)idle + (double)go->heap_inuse_bytes,
			"at least the idle part; how much of what is in use is garbage only a "
			"collection can tell");
	return true;
}

bool advise_gogc(const struct explanation *e, struct advice *out)
{
	const struct go_facts *go = &e->go;
	uint64_t heap = resident_of(e, LEDGER_GO_HEAP);
	double now, then, saved;
	char goal[UNIT_TEXT_MAX], live[UNIT_TEXT_MAX], resident[UNIT_TEXT_MAX];

	if (!has_go_figures(e) || go->gogc_off || go->gogc_percent < GOGC_WORTH_LOWERING ||
	    go->heap_live_bytes <= 0 || go->heap_goal_bytes <= go->heap_live_bytes)
		return false;
	now = 1 + (double)go->gogc_percent / 100;
	then = 1 + (double)go->gogc_percent / 200;
	saved = (double)heap * (1 - then / now);
	if (heap < (uint64_t)go->heap_live_bytes ||
	    heap - (uint64_t)go->heap_live_bytes < e->ledger.resident_bytes / GARBAGE_WORTH_PARTS ||
	    !is_worth_saying(e, (uint64_t)saved))
		return false;
	out->id = "gogc";
	snprintf(out->text, sizeof(out->text),
		 "Set GOGC=%lld: the heap then grows to %.3g times what is live before a "
		 "collection, not %.3g times.",
		 (long long)go->gogc_percent / 2, then, now);
	snprintf(out->evidence, sizeof(out->evidence),
		 "the last collection left %s live, the next one begins at %s; the Go heap has %s "
		 "resident",
		 units_format_bytes(live, (uint64_t)go->heap_live_bytes),
		 units_format_bytes(goal, (uint64_t)go->heap_goal_bytes),
		 units_format_bytes(resident, heap));
	snprintf(out->risk, sizeof(out->risk),
		 "collections come twice as often: twice their CPU time");
	/* Measured, 18 pairs of runs: 0.66 to 1.7 of what the goals' ratio says. */
	advice__predict(out, 0, 0,
			"how far the heap gets beyond its goal while a collection runs, and how "
			"soon that is returned, differs from run to run by more than a factor of "
			"two");
	return true;
}

/* The class that loses most to slots not used. */
static const struct go_class *worst_class(const struct go_facts *go)
{
	const struct go_class *worst = NULL;
	uint64_t most = 0;

	for (uint32_t i = 0; i < go->class_count && i < GO_CLASSES_MAX; i++) {
		const struct go_class *c = &go->classes[i];

		if (c->span_bytes > c->object_bytes && c->span_bytes - c->object_bytes > most) {
			most = c->span_bytes - c->object_bytes;
			worst = c;
		}
	}
	return worst;
}

bool advise_go_fragmentation(const struct explanation *e, struct advice *out)
{
	const struct go_facts *go = &e->go;
	const struct go_class *worst = worst_class(go);
	int64_t holes;
	char lost[UNIT_TEXT_MAX], used[UNIT_TEXT_MAX], in_class[UNIT_TEXT_MAX], class[128] = "";

	if (!has_go_figures(e) || go->heap_inuse_bytes <= 0 || go->heap_alloc_bytes < 0)
		return false;
	holes = go->heap_inuse_bytes - go->heap_alloc_bytes;
	if (holes <= 0 || !is_worth_saying(e, (uint64_t)holes) ||
	    holes < go->heap_inuse_bytes / 100 * HOLES_WORTH_PERCENT)
		return false;
	out->id = "go-heap-fragmentation";
	snprintf(out->text, sizeof(out->text),
		 "Let objects that live long not share spans with short-lived ones of the same "
		 "size: pool or allocate them together, or give their sizes a class of their own.");
	if (worst && worst->size_bytes)
		snprintf(class, sizeof(class), ", most in the class of %llu B: %s",
			 (unsigned long long)worst->size_bytes,
			 units_format_bytes(in_class, worst->span_bytes - worst->object_bytes));
	snprintf(out->evidence, sizeof(out->evidence),
		 "%s of the %s in use by the Go heap hold no object%s",
		 units_format_bytes(lost, (uint64_t)holes),
		 units_format_bytes(used, (uint64_t)go->heap_inuse_bytes), class);
	snprintf(out->risk, sizeof(out->risk), "a change of the program");
	advice__predict(out, 0, 0,
			"a span is returned only when its last object is gone; which objects will "
			"go together one look cannot tell");
	return true;
}

bool advise_go_bounded(const struct explanation *e, struct advice *out)
{
	const struct go_facts *go = &e->go;
	char limit[UNIT_TEXT_MAX], total[UNIT_TEXT_MAX], live[UNIT_TEXT_MAX];

	/* The order keeps a limit near INT64_MAX, which means none, out of the products. */
	if (!has_go_figures(e) || go->gomemlimit_bytes <= 0 || go->heap_live_bytes < 0 ||
	    go_total_bytes(go) < go->gomemlimit_bytes / 100 * NEAR_LIMIT_PERCENT ||
	    go->heap_live_bytes > go->gomemlimit_bytes / 100 * LIVE_BELOW_PERCENT)
		return false;
	out->id = "bounded-by-configuration";
	snprintf(out->text, sizeof(out->text),
		 "The Go heap has grown to GOMEMLIMIT and stays there: bounded by configuration, "
		 "not a leak.");
	snprintf(out->evidence, sizeof(out->evidence),
		 "the Go runtime has %s of %s, of which the last collection left %s live",
		 units_format_bytes(total, (uint64_t)go_total_bytes(go)),
		 units_format_bytes(limit, (uint64_t)go->gomemlimit_bytes),
		 units_format_bytes(live, (uint64_t)go->heap_live_bytes));
	advice__predict(out, 0, 0, "none is needed; a lower GOMEMLIMIT lowers it as far");
	return true;
}
