// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/growth.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"

/* Less than this is noise of a running program, and not worth a word in the answer. */
#define WORTH_SAYING_BYTES (1 << 20)
/* Nor is less than a twentieth of what moved in all. */
#define WORTH_SAYING_SHARE 20

/* Times this far apart are different moments: a busy process maps gigabytes a second. */
#define LATE_S 0.01

const char *growth_part__name(enum growth_part part)
{
	static const char *const names[GROWTH_PARTS] = {
		[GROWTH_ARENAS] = "malloc arenas",
		[GROWTH_DIRECT] = "direct mappings",
		[GROWTH_BRK] = "the brk heap",
		[GROWTH_GO_HEAP] = "the Go heap",
		[GROWTH_THREAD_STACKS] = "thread stacks",
		[GROWTH_FILES] = "files",
		[GROWTH_OTHER] = "other memory",
		[GROWTH_UNKNOWN] = "unknown memory",
	};

	return names[part];
}

static void spread(const struct residency *residency, int64_t parts[GROWTH_PARTS])
{
	parts[GROWTH_ARENAS] = (int64_t)residency->arenas;
	parts[GROWTH_DIRECT] = (int64_t)residency->direct;
	parts[GROWTH_BRK] = (int64_t)residency->brk;
	parts[GROWTH_GO_HEAP] = (int64_t)residency->go_heap;
	parts[GROWTH_THREAD_STACKS] = (int64_t)residency->thread_stacks;
	parts[GROWTH_FILES] = (int64_t)residency->file;
	parts[GROWTH_OTHER] = (int64_t)residency->other;
}

static int64_t sum_known(const int64_t parts[GROWTH_PARTS])
{
	int64_t sum = 0;

	for (int i = 0; i < GROWTH_UNKNOWN; i++)
		sum += parts[i];
	return sum;
}

/* A process that ran for no interval has no sample; a real one is never 0 bytes. */
static bool rss_sampled(const struct process *process)
{
	return process->rss_last.rss_bytes || process->rss_max.rss_bytes;
}

/* RSS this small at the first sample hides no part that would be worth a word. */
static bool began_empty(const struct process *process)
{
	uint64_t first = process->rss_first.rss_bytes;

	return rss_sampled(process) && first <= WORTH_SAYING_BYTES * 2 &&
	       first <= process->rss_last.rss_bytes / WORTH_SAYING_SHARE;
}

/*
 * The parts when RSS was sampled first. A process that starts during the trace is often read only
 * when it has grown: then they were at most what RSS was, which is taken for nothing where that is
 * small enough. False: not known.
 */
static bool find_start(const struct process *process, int64_t before[GROWTH_PARTS], double *from_s)
{
	const struct residency *start = &process->at_start;
	bool late = !start->known || start->t_s > process->rss_first.t_s + LATE_S;

	if (late && began_empty(process)) {
		*from_s = process->rss_first.t_s;
		return true;
	}
	/* One reading is no movement. */
	if (!start->known || (late && start->t_s >= process->at_end.t_s))
		return false;
	spread(start, before);
	*from_s = start->t_s;
	return true;
}

void growth__measure(const struct process *process, struct growth *growth)
{
	int64_t before[GROWTH_PARTS] = {0};
	int64_t rss_last = (int64_t)process->rss_last.rss_bytes;

	*growth = (struct growth){0};
	growth->rss_known = rss_sampled(process);
	growth->rss_bytes = rss_last - (int64_t)process->rss_first.rss_bytes;
	growth->held_known = process->at_end.known;
	if (!growth->held_known)
		return;
	growth->to_s = process->at_end.t_s;
	spread(&process->at_end, growth->held);
	if (growth->rss_known)
		growth->held[GROWTH_UNKNOWN] = rss_last - sum_known(growth->held);
	growth->moved_known = find_start(process, before, &growth->from_s);
	growth->is_partial =
		growth->rss_known &&
		(process->rss_last.t_s > growth->to_s + LATE_S ||
		 (growth->moved_known && growth->from_s > process->rss_first.t_s + LATE_S));
	if (!growth->moved_known)
		return;
	for (int i = 0; i < GROWTH_UNKNOWN; i++)
		growth->moved[i] = growth->held[i] - before[i];
	if (growth->rss_known)
		growth->moved[GROWTH_UNKNOWN] = growth->rss_bytes - sum_known(growth->moved);
}

/* Appends to a text of fixed room; what does not fit is cut. */
struct sentence {
	char *buf;
	size_t size;
	size_t used;
};

static void say(struct sentence *sentence, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void say(struct sentence *sentence, const char *fmt, ...)
{
	size_t left = sentence->size - sentence->used;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(sentence->buf + sentence->used, left, fmt, args);
	va_end(args);
	if (n > 0)
		sentence->used += (size_t)n < left ? (size_t)n : left - 1;
}

/* Parts by size of their figure, largest first; how many are worth saying. */
static int rank_parts(const int64_t parts[GROWTH_PARTS], int n, int64_t total,
		      int order[GROWTH_PARTS])
{
	int64_t least = llabs(total) / WORTH_SAYING_SHARE;
	int worth = 0;

	if (least < WORTH_SAYING_BYTES)
		least = WORTH_SAYING_BYTES;
	for (int i = 0; i < n; i++) {
		int at = i;

		for (; at > 0 && llabs(parts[order[at - 1]]) < llabs(parts[i]); at--)
			order[at] = order[at - 1];
		order[at] = i;
	}
	while (worth < n && llabs(parts[order[worth]]) >= least)
		worth++;
	return worth;
}

static void capitalise(struct sentence *sentence)
{
	if (sentence->buf[0] >= 'a' && sentence->buf[0] <= 'z')
		sentence->buf[0] -= 'a' - 'A';
}

/* The parts are of another span of time than RSS is. */
static void say_span(struct sentence *sentence, const struct growth *growth)
{
	char from[UNIT_TEXT_MAX], to[UNIT_TEXT_MAX], bytes[UNIT_TEXT_MAX];

	if (growth->is_partial && llabs(growth->moved[GROWTH_UNKNOWN]) >= WORTH_SAYING_BYTES)
		say(sentence, " That is from %s to %s of the trace; RSS moved by %s in all.",
		    units_format_seconds(from, growth->from_s),
		    units_format_seconds(to, growth->to_s),
		    units_format_delta(bytes, growth->rss_bytes));
}

/* "Malloc arenas hold the growth: +560.0 MB of +616.0 MB; +44.0 MB in the brk heap." */
static void say_moved(struct sentence *sentence, const struct growth *growth, bool is_go)
{
	/* What a late sample adds is no part: the parts are judged by their own sum then. */
	bool whole_rss = growth->rss_known && !growth->is_partial;
	int64_t total = whole_rss ? growth->rss_bytes : sum_known(growth->moved);
	int order[GROWTH_PARTS] = {0};
	int worth =
		rank_parts(growth->moved, whole_rss ? GROWTH_PARTS : GROWTH_UNKNOWN, total, order);
	bool go_said = false, top_holds;
	char moved[UNIT_TEXT_MAX], whole[UNIT_TEXT_MAX];
	int64_t top = growth->moved[order[0]];
	int said = 0;

	if (!worth) {
		say(sentence, "No part of its memory moved by 1 MB or more.");
		say_span(sentence, growth);
		return;
	}
	top_holds = total > 0 && top > total / 2;
	if (top_holds) {
		const char *name = growth_part__name(order[0]);
		size_t len = strlen(name);

		say(sentence, "%s %s the growth: %s of %s", name,
		    name[len - 1] == 's' ? "hold" : "holds", units_format_delta(moved, top),
		    units_format_delta(whole, total));
		capitalise(sentence);
		go_said = order[0] == GROWTH_GO_HEAP;
		said = 1;
	}
	for (; said < worth; said++) {
		say(sentence, "%s%s in %s",
		    said == 0   ? ""
		    : said == 1 ? "; "
				: ", ",
		    units_format_delta(moved, growth->moved[order[said]]),
		    growth_part__name(order[said]));
		go_said |= order[said] == GROWTH_GO_HEAP;
	}
	say(sentence, ".");
	if (is_go && !go_said) {
		units_format_delta(moved, growth->moved[GROWTH_GO_HEAP]);
		say(sentence, top_holds ? " The Go heap does not: %s." : " The Go heap: %s.",
		    moved);
	}
	say_span(sentence, growth);
}

/* Without a first reading only what is there can be told. */
static void say_held(struct sentence *sentence, const struct growth *growth, bool is_go)
{
	int64_t total = sum_known(growth->held);
	int order[GROWTH_PARTS] = {0};
	int worth = rank_parts(growth->held, growth->is_partial ? GROWTH_UNKNOWN : GROWTH_PARTS,
			       total, order);
	bool go_said = false;
	char held[UNIT_TEXT_MAX], when[64], at[UNIT_TEXT_MAX];
	int said = 0;

	if (growth->is_partial)
		snprintf(when, sizeof(when), "At %s of the trace ",
			 units_format_seconds(at, growth->to_s));
	else
		snprintf(when, sizeof(when), "At the end ");
	for (int i = 0; i < worth; i++) {
		if (growth->held[order[i]] <= 0)
			continue;
		say(sentence, "%s%s in %s", said++ ? ", " : when,
		    units_format_bytes(held, (uint64_t)growth->held[order[i]]),
		    growth_part__name(order[i]));
		go_said |= order[i] == GROWTH_GO_HEAP;
	}
	if (!said)
		say(sentence, "%sno part of its memory had 1 MB", when);
	if (is_go && !go_said)
		say(sentence, "; the Go heap had %s",
		    units_format_bytes(held, (uint64_t)growth->held[GROWTH_GO_HEAP]));
	say(sentence, ". What it had before is unknown.");
}

void growth__sentence(const struct growth *growth, bool is_go, char *buf, size_t size)
{
	struct sentence sentence = {.buf = buf, .size = size};

	buf[0] = '\0';
	if (growth->moved_known)
		say_moved(&sentence, growth, is_go);
	else if (growth->held_known)
		say_held(&sentence, growth, is_go);
	else
		say(&sentence, "Which part of its memory moved is unknown: it could not be read.");
}

uint64_t process__unreleased_bytes(const struct process *process)
{
	const struct mapping *piece;
	uint64_t bytes = 0;

	if (!process->space)
		return 0;
	space__for_each (piece, process->space) {
		if (!piece->origin->before_trace)
			bytes += piece->end - piece->start;
	}
	return bytes;
}

uint64_t process__unreleased_count(const struct process *process)
{
	const struct mapping *piece;
	uint64_t count = 0;

	if (!process->space)
		return 0;
	/* Each origin has one piece at its lowest address. */
	space__for_each (piece, process->space) {
		if (!piece->origin->before_trace && piece->start == piece->origin->address)
			count++;
	}
	return count;
}
