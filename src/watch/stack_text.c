// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/stack_text.h"

#include <bsd/string.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "output/derive.h"

/* The number after a line's last space, which ends at `end`. */
static const char *weight_of(const char *line, const char *end, uint64_t *weight)
{
	const char *space = memrchr(line, ' ', (size_t)(end - line));
	uint64_t value = 0;

	if (!space || space + 1 == end)
		return NULL;
	for (const char *at = space + 1; at < end; at++) {
		if (*at < '0' || *at > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, *at - '0', &value))
			return NULL;
	}
	*weight = value;
	return space;
}

/* What an option of the report left out, in one. */
#define NOT_LISTED ";" FOLDED_NOT_LISTED

int folded__heaviest(const char *text, size_t size, char **stack, uint64_t *weight)
{
	const char *end = text + size, *best = NULL, *best_end = NULL;

	*stack = NULL;
	*weight = 0;
	for (const char *line = text; line < end;) {
		const char *stop = memchr(line, '\n', (size_t)(end - line));
		const char *frames = memchr(line, ';', (size_t)((stop ? stop : end) - line));
		const char *space;
		uint64_t value;

		if (!stop)
			stop = end;
		space = frames ? weight_of(frames, stop, &value) : NULL;
		if (space && strncmp(frames, NOT_LISTED, strlen(NOT_LISTED)) && value > *weight) {
			*weight = value;
			best = frames + 1;
			best_end = space;
		}
		line = stop + 1;
	}
	if (!best)
		return -ENOENT;
	*stack = strndup(best, (size_t)(best_end - best));
	return *stack ? 0 : -ENOMEM;
}

/* Frames are read from the leaf: *end is behind the one, and is set behind the next one. NULL: that
 * was the root. */
static const char *next_frame(const char *stack, const char **end)
{
	const char *semicolon = *end > stack ? memrchr(stack, ';', (size_t)(*end - stack)) : NULL;

	*end = semicolon;
	return semicolon ? semicolon + 1 : stack;
}

static void printable_frame(const char *frame, const char *end, char *buf, size_t size)
{
	char raw[256];
	size_t length = (size_t)(end - frame);

	length = length < sizeof(raw) - 1 ? length : sizeof(raw) - 1;
	memcpy(raw, frame, length);
	raw[length] = '\0';
	text_printable(buf, size, raw);
}

void stack_text__write(FILE *out, const char *stack, unsigned int frames)
{
	const char *end = stack + strlen(stack);

	for (unsigned int i = 0; end && i < frames; i++) {
		const char *behind = end, *frame = next_frame(stack, &end);
		char text[512];

		printable_frame(frame, behind, text, sizeof(text));
		fprintf(out, "%s%s", i ? " < " : "", text);
	}
	if (end)
		fputs(" < ...", out);
}

/* Who hands memory out, not who keeps it. */
static bool is_allocator(const char *frame)
{
	static const char *const names[] = {
		"malloc",    "calloc",      "realloc",      "memalign", "aligned_alloc",
		"sysmalloc", "_int_malloc", "_int_realloc", "mmap",     "__mmap",
		"mremap",    "brk",         "sbrk",         "memset",   "memcpy"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (!strcmp(frame, names[i]))
			return true;
	return !strncmp(frame, "runtime.", 8) || !strncmp(frame, "operator new", 12) ||
	       !strncmp(frame, "__mem", 5) || !strncmp(frame, "je_", 3) ||
	       !strncmp(frame, "tc_", 3);
}

#define CAUSE_FRAMES 4

void stack_text__cause(const char *stack, char *buf, size_t size)
{
	const char *end = stack + strlen(stack);
	unsigned int count = 0;

	*buf = '\0';
	while (end && count < CAUSE_FRAMES) {
		const char *behind = end, *frame = next_frame(stack, &end);
		char text[256];

		printable_frame(frame, behind, text, sizeof(text));
		if (!count && end && is_allocator(text))
			continue;
		/* Whole frames only. */
		if (strlen(buf) + strlen(text) + 4 > size)
			return;
		if (count++)
			strlcat(buf, " < ", size);
		strlcat(buf, text, size);
	}
}
