// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which incident gets a burst of tracing, how long, and what of it is kept. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/units.h"
#include "watch/stack_text.h"
#include "watch/watch_impl.h"

/* Wall time between two bursts, whatever they cost. */
#define DISTANCE_NS 1000000000ull
/* Lengths of a burst. The first is the shortest in which the process should grow by WORTH_BYTES, or
 * a minute; when nothing is seen in it the next one is tried. */
static const double lengths_s[] = {2, 5, 10, 60, 300};
#define LENGTHS     (sizeof(lengths_s) / sizeof(*lengths_s))
#define FIRST_MAX   3
#define WORTH_BYTES (512 << 10)
#define BURSTS_MAX  4 /* for one incident */
/* Frames of the stack that the evidence is told with, innermost first. */
#define FRAMES_MAX 12

static unsigned int first_length(const struct watch *watch, const struct followed *followed)
{
	double bytes_per_s = followed->state.slope_bytes_per_h / 3600 * watch->options->speed;

	for (unsigned int i = 0; i < FIRST_MAX; i++)
		if (bytes_per_s * lengths_s[i] >= WORTH_BYTES)
			return i;
	return FIRST_MAX;
}

static bool wants_burst(const struct watch *watch, const struct followed *followed)
{
	return watch->has_burst && followed->state.incident &&
	       followed->state.bursts < BURSTS_MAX &&
	       first_length(watch, followed) + followed->state.bursts < LENGTHS;
}

bool evidence__burst_comes(const struct watch *watch, const struct followed *followed)
{
	return wants_burst(watch, followed) ||
	       (burst__runs(&watch->burst) && watch->burst_incident == followed->state.incident);
}

bool evidence__comes(const struct watch *watch, const struct followed *followed)
{
	return evidence__burst_comes(watch, followed) ||
	       evidence_mappings__awaited(watch, followed);
}

struct search {
	const struct watch *watch;
	int64_t subject;
	struct followed *found;
};

static void find_next(void *ctx, struct watched *watched)
{
	struct followed *followed = watched->user;
	struct search *search = ctx;

	if (!followed || !wants_burst(search->watch, followed))
		return;
	/* Who has had the fewest is next. */
	if (!search->found || followed->state.bursts < search->found->state.bursts)
		search->found = followed;
}

static void start_next(struct watch *watch)
{
	struct search search = {.watch = watch};
	uint64_t now_ns = monotonic_ns();
	struct followed *next;
	double length_s;
	int err;

	if (!watch->has_burst || burst__runs(&watch->burst) || now_ns < watch->burst_next_ns ||
	    !budget__has(&watch->bursts, now_ns))
		return;
	sampler__each(watch->sampler, find_next, &search);
	next = search.found;
	if (!next)
		return;
	length_s = lengths_s[first_length(watch, next) + next->state.bursts];
	err = burst__start(&watch->burst, next->watched->pid, next->watched->start_time, length_s);
	next->state.bursts++;
	watch__save_state(watch, next);
	if (err) {
		watch->cost.losses[WATCH_LOSS_bursts_failed]++;
		return;
	}
	watch->burst_incident = next->state.incident;
	watch->burst_subject = next->subject;
	watch->burst_expected_bytes =
		next->state.slope_bytes_per_h / 3600 * watch->options->speed * length_s;
	watch->cost.bursts++;
}

static const char *const result_texts[BURST_RESULT_MAX] = {
	[BURST_LIVE] = "allocated in its first half and not freed, by",
	[BURST_UNRELEASED] = "mapped and not unmapped, by",
	[BURST_FAULTS] = "came into memory by page faults (sampled), by",
};

struct heaviest {
	char *stack; /* NULL: none */
	uint64_t weight;
};

void evidence__keep_file(struct watch *watch, int64_t incident, const char *name, const void *bytes,
			 size_t size)
{
	if (watch__begin(watch))
		watch__store_error(watch,
				   store__put_evidence(watch->store, incident, name, bytes, size),
				   "keep evidence");
}

/* Allocations say more of a cause than mappings, these more than faults, when there is enough of
 * them. */
static void write_lines(FILE *out, const struct heaviest heaviest[BURST_RESULT_MAX], uint64_t most)
{
	for (int small = 0; small < 2; small++)
		for (int i = 0; i < BURST_RESULT_MAX; i++) {
			char text[UNIT_TEXT_MAX];

			if (!heaviest[i].stack || (heaviest[i].weight < most / 2) != small)
				continue;
			fprintf(out, "%s %s: ", units_format_bytes(text, heaviest[i].weight),
				result_texts[i]);
			stack_text__write(out, heaviest[i].stack, FRAMES_MAX);
			fputc('\n', out);
		}
	if (!most)
		fputs("nothing that stayed was allocated, mapped or faulted in meanwhile.\n", out);
}

static void keep_summary(struct watch *watch, const struct heaviest *heaviest, uint64_t most)
{
	char *summary = NULL, expected[UNIT_TEXT_MAX];
	size_t size = 0;
	FILE *out = open_memstream(&summary, &size);

	if (!out)
		return;
	fprintf(out,
		"A burst of tracing, %.0f s long, of process %u, in which it grows by %s at its "
		"slope:\n",
		watch->burst.seconds, watch->burst.pid,
		units_format_bytes(expected, units_whole(watch->burst_expected_bytes)));
	write_lines(out, heaviest, most);
	if (!fclose(out))
		evidence__keep_file(watch, watch->burst_incident, "growing.txt", summary, size);
	free(summary);
}

/* A program that allocates much and grows little: that the heaviest stack is what grows would be a
 * guess. */
#define PLAUSIBLE 4

static bool is_plausible(const struct watch *watch, const struct heaviest *heaviest)
{
	double weight = (double)heaviest->weight, expected = watch->burst_expected_bytes;

	return heaviest->stack && weight >= expected / PLAUSIBLE && weight <= expected * PLAUSIBLE;
}

static const struct heaviest *find_cause(const struct watch *watch,
					 const struct heaviest heaviest[BURST_RESULT_MAX],
					 uint64_t most)
{
	for (int i = 0; i < BURST_RESULT_MAX; i++)
		if (heaviest[i].weight >= most / 2 && is_plausible(watch, &heaviest[i]))
			return &heaviest[i];
	return NULL;
}

static void read_results(struct watch *watch, struct heaviest heaviest[BURST_RESULT_MAX])
{
	for (int i = 0; i < BURST_RESULT_MAX; i++) {
		void *bytes;
		size_t size;
		int err = burst__read(&watch->burst, i, &bytes, &size);

		if (err == -EFBIG)
			watch->cost.losses[WATCH_LOSS_evidence_dropped]++;
		if (err)
			continue;
		evidence__keep_file(watch, watch->burst_incident, burst_result__name(i), bytes,
				    size);
		if (result_texts[i])
			folded__heaviest(bytes, size, &heaviest[i].stack, &heaviest[i].weight);
		free(bytes);
	}
}

/* What a burst has brought to light. */
struct shown {
	bool cause;  /* what grows */
	bool mapper; /* by the traces of mapping calls */
};

static struct shown keep_results(struct watch *watch)
{
	struct heaviest heaviest[BURST_RESULT_MAX] = {0};
	const struct heaviest *cause;
	struct shown shown;
	const char *stack;
	char *mapper;
	uint64_t most = 0;

	read_results(watch, heaviest);
	mapper = evidence_mappings__keep(watch, watch->burst_incident, watch->burst.pid,
					 watch->burst.start_time);
	for (int i = 0; i < BURST_RESULT_MAX; i++)
		most = heaviest[i].weight > most ? heaviest[i].weight : most;
	keep_summary(watch, heaviest, most);
	cause = find_cause(watch, heaviest, most);
	stack = cause ? cause->stack : mapper;
	if (stack)
		incidents__add_stack(watch, watch->burst_subject, watch->burst_incident, stack);
	shown = (struct shown){.cause = stack, .mapper = mapper};
	for (int i = 0; i < BURST_RESULT_MAX; i++)
		free(heaviest[i].stack);
	free(mapper);
	return shown;
}

static void find_subject(void *ctx, struct watched *watched)
{
	struct followed *followed = watched->user;
	struct search *search = ctx;

	if (followed && followed->subject == search->subject)
		search->found = followed;
}

static void finish(struct watch *watch, int err, uint64_t used_ns)
{
	struct search search = {.subject = watch->burst_subject};
	struct shown shown = {0};

	if (!err)
		shown = keep_results(watch);
	budget__spend(&watch->bursts, used_ns);
	watch->burst_next_ns = monotonic_ns() + DISTANCE_NS;
	if (err) {
		watch->cost.losses[WATCH_LOSS_bursts_failed]++;
		log_info("no evidence from process %u: %s", watch->burst.pid, strerror(-err));
	}
	sampler__each(watch->sampler, find_subject, &search);
	if (!search.found || search.found->state.incident != watch->burst_incident)
		return;
	/* What has been seen need not be seen again. */
	if (shown.cause)
		search.found->state.bursts = BURSTS_MAX;
	if (!search.found->state.told && !wants_burst(watch, search.found) &&
	    (shown.mapper || !evidence_mappings__awaited(watch, search.found)))
		incidents__tell_of(watch, search.found);
	watch__save_state(watch, search.found);
}

void evidence__work(struct watch *watch)
{
	uint64_t used_ns = 0;
	int err;

	if (burst__runs(&watch->burst)) {
		err = burst__work(&watch->burst, monotonic_ns(), &used_ns);
		if (err != -EAGAIN)
			finish(watch, err, used_ns);
	}
	start_next(watch);
}
