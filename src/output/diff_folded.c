// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "output/derive.h"
#include "output/diff.h"

struct line {
	char *text;
	int64_t a, b;
};

struct folding {
	struct line *lines;
	size_t count, room;
	int err;
};

static void add_line(struct folding *folding, char *text, const struct diff_change *bytes)
{
	if (folding->count == folding->room) {
		size_t room = folding->room ? 2 * folding->room : 256;
		struct line *bigger = reallocarray(folding->lines, room, sizeof(*bigger));

		if (!bigger) {
			folding->err = -ENOMEM;
			free(text);
			return;
		}
		folding->lines = bigger;
		folding->room = room;
	}
	folding->lines[folding->count++] = (struct line){text, bytes->a, bytes->b};
}

/* "redis-812", or "redis-812/913" of two processes. */
static void put_process(FILE *out, const struct diff_pair *pair)
{
	const struct report_process *one = pair->b ? pair->b : pair->a;

	folded_frame__put(out, one->comm ? one->comm : "[unknown]");
	fprintf(out, "-%" PRId64, pair->a ? pair->a->pid : pair->b->pid);
	if (pair->a && pair->b && pair->a->pid != pair->b->pid)
		fprintf(out, "/%" PRId64, pair->b->pid);
}

/* Frames are kept leaf first, folded ones begin with the root. */
static int put_stack(FILE *out, const char *stack)
{
	char *frames = strdup(stack), *last;

	if (!frames)
		return -ENOMEM;
	while ((last = strrchr(frames, '\n'))) {
		fputc(';', out);
		folded_frame__put(out, last + 1);
		*last = '\0';
	}
	fputc(';', out);
	folded_frame__put(out, frames);
	free(frames);
	return 0;
}

/* stack NULL: the frame `instead` alone. */
static void fold(struct folding *folding, const struct diff_pair *pair, const char *stack,
		 const char *instead, const struct diff_change *bytes)
{
	char *text = NULL;
	size_t size;
	FILE *out;

	if (folding->err || (!bytes->a && !bytes->b))
		return;
	out = open_memstream(&text, &size);
	if (!out) {
		folding->err = -ENOMEM;
		return;
	}
	put_process(out, pair);
	if (stack)
		folding->err = put_stack(out, stack);
	else
		fprintf(out, ";%s", instead);
	if (fclose(out) && !folding->err)
		folding->err = -ENOMEM;
	if (folding->err)
		free(text);
	else
		add_line(folding, text, bytes);
}

/* An unmatched process has no groups of differences: its own are folded against nothing. */
static void fold_unmatched(struct folding *folding, const struct diff_pair *pair)
{
	const struct report_live *live = pair->a ? &pair->a->live : &pair->b->live;

	for (size_t i = 0; i < live->group_count; i++) {
		const struct report_group *group = &live->groups[i];
		struct diff_change bytes = {pair->a ? group->bytes : 0, pair->a ? 0 : group->bytes,
					    0};

		fold(folding, pair, group->stack, FOLDED_NO_STACK, &bytes);
	}
}

static void fold_pair(struct folding *folding, const struct diff_pair *pair)
{
	if (!pair->live_known)
		return;
	if (!pair->match)
		fold_unmatched(folding, pair);
	for (size_t i = 0; i < pair->group_count; i++)
		fold(folding, pair, pair->groups[i].stack, FOLDED_NO_STACK, &pair->groups[i].bytes);
	fold(folding, pair, NULL, FOLDED_NOT_LISTED, &pair->unlisted);
}

static int compare_lines(const void *left, const void *right)
{
	const struct line *a = left, *b = right;

	return strcmp(a->text, b->text);
}

/* Stacks of several sizes, or whose names became equal, are one line. */
static void print_lines(FILE *out, struct folding *folding)
{
	for (size_t i = 0, next; i < folding->count; i = next) {
		int64_t a = 0, b = 0;

		for (next = i; next < folding->count &&
			       !strcmp(folding->lines[i].text, folding->lines[next].text);
		     next++) {
			a += folding->lines[next].a;
			b += folding->lines[next].b;
		}
		fprintf(out, "%s %" PRId64 " %" PRId64 "\n", folding->lines[i].text, a, b);
	}
}

int diff_folded__write(FILE *out, const struct report_diff *diff)
{
	struct folding folding = {0};

	for (size_t i = 0; i < diff->pair_count && !folding.err; i++)
		fold_pair(&folding, &diff->pairs[i]);
	if (!folding.err && folding.count) {
		qsort(folding.lines, folding.count, sizeof(*folding.lines), compare_lines);
		print_lines(out, &folding);
	}
	for (size_t i = 0; i < folding.count; i++)
		free(folding.lines[i].text);
	free(folding.lines);
	if (folding.err)
		return folding.err;
	if (fflush(out))
		return -errno;
	return ferror(out) ? -EIO : 0;
}
