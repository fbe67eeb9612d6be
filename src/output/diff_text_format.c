// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/text.h"
#include "output/diff_text.h"

const char *diff_text__delta(char buf[DIFF_TEXT_MAX], const struct diff_change *bytes)
{
	char delta[UNIT_TEXT_MAX], error[UNIT_TEXT_MAX];

	units_format_delta(delta, diff_change__delta(bytes));
	if (bytes->error == 0)
		snprintf(buf, DIFF_TEXT_MAX, "%s", delta);
	else if (isfinite(bytes->error) && bytes->error < 0x1p63)
		snprintf(buf, DIFF_TEXT_MAX, "%s ± %s", delta,
			 units_format_bytes(error, (uint64_t)bytes->error));
	else
		snprintf(buf, DIFF_TEXT_MAX, "%s ± unknown", delta);
	return buf;
}

const char *diff_text__count_delta(char buf[UNIT_TEXT_MAX + 1], const struct diff_change *count)
{
	int64_t delta = diff_change__delta(count);

	buf[0] = delta < 0 ? '-' : '+';
	units_format_count(buf + (delta != 0), delta < 0 ? -(uint64_t)delta : (uint64_t)delta);
	return buf;
}

const char *diff_text__mark(const struct diff_change *change)
{
	return diff_change__within_error(change) ? "within the error" : "";
}

/* "96 B", "16 kB", "1 MB": the ends of buckets are round in some unit. */
static void format_exact(char buf[UNIT_TEXT_MAX], uint64_t bytes)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	uint64_t value = bytes;
	int unit = 0;

	for (; value >= 1024 && value % 1024 == 0; value /= 1024)
		unit++;
	if (value < 10000)
		snprintf(buf, UNIT_TEXT_MAX, "%" PRIu64 " %s", value, units[unit]);
	else
		units_format_bytes(buf, bytes);
}

const char *diff_text__size(char buf[DIFF_TEXT_MAX], int64_t min_bytes, int64_t max_bytes)
{
	char low[UNIT_TEXT_MAX], high[UNIT_TEXT_MAX];

	/* From 1 kB on the upper end is the first size that is not in the bucket: a round number.
	 */
	format_exact(low, (uint64_t)min_bytes);
	format_exact(high, (uint64_t)max_bytes + (min_bytes >= 1024));
	if (min_bytes == max_bytes)
		snprintf(buf, DIFF_TEXT_MAX, "%s", low);
	else if (!strcmp(strchr(low, ' '), strchr(high, ' ')))
		snprintf(buf, DIFF_TEXT_MAX, "%.*s - %s", (int)strcspn(low, " "), low, high);
	else
		snprintf(buf, DIFF_TEXT_MAX, "%s - %s", low, high);
	return buf;
}

const char *diff_text__comm(char *buf, size_t room, const struct report_process *process)
{
	/* What is printable already stays as it is. */
	return text_printable(buf, room, process->comm ? process->comm : "unknown");
}

const char *diff_text__pair(char buf[DIFF_NAME_MAX], const struct diff_pair *pair)
{
	const struct report_process *one = pair->b ? pair->b : pair->a;
	char name[65];

	diff_text__comm(name, sizeof(name), one);
	if (pair->a && pair->b && pair->a->pid != pair->b->pid)
		snprintf(buf, DIFF_NAME_MAX, "%s (pid %" PRId64 " -> %" PRId64 ")", name,
			 pair->a->pid, pair->b->pid);
	else
		snprintf(buf, DIFF_NAME_MAX, "%s (pid %" PRId64 ")", name, one->pid);
	return buf;
}

const char *diff_text__stack(char buf[DIFF_STACK_MAX], const char *stack)
{
	size_t used = 0, room = DIFF_STACK_MAX - sizeof("…");

	buf[0] = '\0';
	while (stack && *stack) {
		size_t length = strcspn(stack, "\n");
		char frame[DIFF_STACK_MAX];

		snprintf(frame, sizeof(frame), "%s%.*s", used ? " < " : "", (int)length, stack);
		if (length > room || used + strlen(frame) > room) {
			/* At a whole character. */
			text_printable(buf + used, room - used + 1, frame);
			strcat(buf, "…");
			return buf;
		}
		strcpy(buf + used, frame);
		used += strlen(frame);
		stack += length + (stack[length] == '\n');
	}
	return used ? buf : "an unknown stack";
}
