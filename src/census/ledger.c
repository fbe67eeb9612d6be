// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/ledger.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/param.h>

#include "census/ledger_rules.h"
#include "census/ledger_walk.h"

/* Pieces of one component side by side, one region of the ledger. */
struct summing {
	struct subject *subject;
	struct ledger *ledger;
	uint64_t end[LEDGER_COMPONENTS];     /* of each one's last region */
	uint64_t largest[LEDGER_COMPONENTS]; /* the claim that row.how is of */
	uint64_t vdso_bytes;
	bool has_swap;
	int err;
};

static int add_swapped(struct summing *sum, const struct ledger_piece *piece,
		       struct ledger_row *row)
{
	struct page_counts counts;
	int err = pagemap__count(sum->subject->pm, piece->start, piece->end, &counts);

	if (!err)
		row->swapped_bytes += counts.swapped_bytes;
	return err;
}

static void add_piece(void *ctx, const struct ledger_piece *piece)
{
	struct summing *sum = ctx;
	enum ledger_component component =
		piece->claim ? piece->claim->component : mapping_kind__component(piece->kind);
	struct ledger_row *row;

	if (component == LEDGER_COMPONENTS) {
		if (piece->kind == MAPPING_VDSO)
			sum->vdso_bytes += piece->resident_bytes;
		return;
	}
	row = &sum->ledger->rows[component];
	row->resident_bytes += piece->resident_bytes;
	row->reserved_bytes += piece->end - piece->start;
	row->regions += !row->regions || sum->end[component] != piece->start;
	sum->end[component] = piece->end;
	if (piece->claim && piece->end - piece->start > sum->largest[component]) {
		sum->largest[component] = piece->end - piece->start;
		row->how = piece->claim->how;
	}
	if (sum->has_swap && !sum->err)
		sum->err = add_swapped(sum, piece, row);
}

/* Whether Rss stays what it was when the pages were read: else there is nothing to compare. */
static bool stands_still(const struct subject *subject)
{
	struct page_runs runs = {0};
	struct smaps_rollup now;
	uint64_t before, after;
	bool same = page_runs__count(&subject->runs, 0, UINT64_MAX, &before) == 0 &&
		    entries__runs(subject->pm, subject->entries, subject->n, &runs) == 0 &&
		    page_runs__count(&runs, 0, UINT64_MAX, &after) == 0 && before == after &&
		    smaps_rollup__read(subject->pid, &now) == 0 &&
		    now.rss_bytes == subject->rollup.rss_bytes;

	page_runs__free(&runs);
	return same;
}

static void check_sum(const struct subject *subject, uint64_t vdso_bytes, struct ledger *ledger)
{
	struct check *rss = &ledger->rss;

	rss->found = ledger->resident_bytes;
	if (!subject->has_rollup)
		return;
	rss->expected = subject->rollup.rss_bytes - MIN(vdso_bytes, subject->rollup.rss_bytes);
	rss->ok = rss->found == rss->expected;
	rss->done = rss->ok || stands_still(subject);
}

int ledger__sum(struct subject *subject, const struct claims *claims, struct ledger *ledger)
{
	struct summing sum = {.subject = subject, .ledger = ledger};
	/* The bounds of the readers before do not count: these are a few KiB of each library. */
	struct memory memory = {.pid = subject->memory.pid, .runs = &subject->runs};
	struct mapping_rules rules;
	struct ledger_walk walk = {
		.rules = &rules,
		.claims = claims,
		.runs = &subject->runs,
		.pm = subject->pm,
		.fn = add_piece,
		.ctx = &sum,
	};
	int err = mapping_rules__open(&rules, subject->pid, subject->entries, subject->n,
				      subject->stat.start_brk, &memory);

	subject->memory.bytes_read += memory.bytes_read;
	if (err)
		return err;
	memset(ledger, 0, sizeof(*ledger));
	sum.has_swap = !subject->has_rollup || subject->rollup.swap_bytes;
	err = ledger_walk__each(&walk);
	mapping_rules__close(&rules);
	if (!err)
		err = sum.err;
	if (err)
		return err;
	for (size_t i = 0; i < LEDGER_COMPONENTS; i++)
		ledger->resident_bytes += ledger->rows[i].resident_bytes;
	check_sum(subject, sum.vdso_bytes, ledger);
	return 0;
}
