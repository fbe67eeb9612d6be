/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_DIFF_TEXT_H
#define MEMDRIFT_OUTPUT_DIFF_TEXT_H

#include "analysis/report_diff.h"
#include "base/units.h"
#include "output/text.h"

/* Shared by src/output/diff_text*.c only. */

#define DIFF_TEXT_MAX (2 * UNIT_TEXT_MAX + 8)
/* A name of up to 64 bytes, two PIDs of up to 19 digits. */
#define DIFF_NAME_MAX 128
/* Three lines of a report. */
#define DIFF_STACK_MAX 304

/* "+1.2 MB", "+1.2 MB ± 3.0 kB", "+1.2 MB ± unknown". */
const char *diff_text__delta(char buf[DIFF_TEXT_MAX], const struct diff_change *bytes);
/* "+1,204", "-3", "0". */
const char *diff_text__count_delta(char buf[UNIT_TEXT_MAX + 1], const struct diff_change *count);
/* "within the error" or nothing. */
const char *diff_text__mark(const struct diff_change *change);
/* "100 B", "16 - 31 B", "8 - 16 kB". */
const char *diff_text__size(char buf[DIFF_TEXT_MAX], int64_t min_bytes, int64_t max_bytes);
/* A comm cut to `room` bytes with its NUL, at a whole character. */
const char *diff_text__comm(char *buf, size_t room, const struct report_process *process);
/* "redis (pid 812)", "redis (pid 812 -> 913)". */
const char *diff_text__pair(char buf[DIFF_NAME_MAX], const struct diff_pair *pair);
/* Leaf first, "a < b < c", with an ellipsis where it was cut. */
const char *diff_text__stack(char buf[DIFF_STACK_MAX], const char *stack);

void diff_text__processes(struct text_writer *writer, const struct report_diff *diff);
void diff_text__details(struct text_writer *writer, const struct report_diff *diff);

#endif
