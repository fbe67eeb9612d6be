// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "output/derive.h"
#include "output/profile.h"

/* A line and its weight: stacks whose names are equal are one line. */
struct line {
	UT_hash_handle hh;
	char *text;
	uint64_t weight;
};

struct folding {
	const struct profile *profile;
	struct line *lines; /* in the order in which they came */
	int err;
};

static void add_line(struct folding *folding, char *text, uint64_t weight)
{
	struct line *line;

	HASH_FIND_STR(folding->lines, text, line);
	if (line) {
		line->weight += weight;
		free(text);
		return;
	}
	line = calloc(1, sizeof(*line));
	if (!line) {
		free(text);
		folding->err = -ENOMEM;
		return;
	}
	line->text = text;
	line->weight = weight;
	HASH_ADD_KEYPTR(hh, folding->lines, line->text, strlen(line->text), line);
}

void folded_frame__put(FILE *out, const char *printable)
{
	for (const char *at = printable; *at; at++)
		fputc(*at == ';' ? ':' : *at == ' ' ? '_' : *at, out);
}

static int put_frame(FILE *out, const char *raw)
{
	char *text = text_printable_dup(raw);

	if (!text)
		return -ENOMEM;
	fputc(';', out);
	folded_frame__put(out, text);
	free(text);
	return 0;
}

static int put_sample(FILE *out, const struct profile *profile, const struct profile_sample *sample)
{
	const struct profile_process *process = &profile->processes[sample->process];
	const uint32_t *stack = profile->stack_frames + sample->first;
	int err = 0;

	folded_frame__put(out, process->comm);
	fprintf(out, "-%u", process->pid);
	for (uint32_t i = sample->depth; i && !err; i--)
		err = put_frame(out, profile->frames[stack[i - 1]].text);
	if (!sample->depth)
		fprintf(out, ";%s", profile_sample__instead(sample));
	return err;
}

static void fold_sample(struct folding *folding, const struct profile_sample *sample,
			uint64_t weight)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out) {
		folding->err = -ENOMEM;
		return;
	}
	folding->err = put_sample(out, folding->profile, sample);
	if (fclose(out) && !folding->err)
		folding->err = -ENOMEM;
	if (folding->err)
		free(text);
	else
		add_line(folding, text, weight);
}

int profile_folded__write(FILE *out, const struct profile *profile, enum profile_weight weight)
{
	struct folding folding = {.profile = profile};
	struct line *line, *next;

	for (size_t i = 0; i < profile->sample_count && !folding.err; i++) {
		const struct profile_sample *sample = &profile->samples[i];

		if (sample->values[weight])
			fold_sample(&folding, sample, sample->values[weight]);
	}
	HASH_ITER (hh, folding.lines, line, next) {
		if (!folding.err)
			fprintf(out, "%s %" PRIu64 "\n", line->text, line->weight);
		HASH_DEL(folding.lines, line);
		free(line->text);
		free(line);
	}
	if (folding.err)
		return folding.err;
	if (fflush(out))
		return -errno;
	return ferror(out) ? -EIO : 0;
}
