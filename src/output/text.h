/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_TEXT_H
#define MEMDRIFT_OUTPUT_TEXT_H

#include <string.h>

#include "output/derive.h"
#include "output/table.h"

/* The sections of the text report; shared by src/output/text*.c only. */
struct text_writer {
	FILE *out;
	const struct trace_result *result;
	const struct text_options *options;
	int err; /* of the first table that failed */
};

#define COLOUR_BOLD   "\033[1m"
#define COLOUR_YELLOW "\033[33m"
#define COLOUR_RESET  "\033[0m"

/* Rows of a list that is cut unless options->all; the rest is one line: "… 12 more". */
#define TOP_ARENAS    16
#define TOP_LARGE     16
#define TOP_CLASSES   12
#define TOP_ANSWERS   8
#define TOP_DETAILS   4
#define TOP_PROCESSES 20

/* `limit` rows at most of n, all when options->all. */
size_t text__top(const struct text_writer *writer, size_t n, size_t limit);
void text__more(const struct text_writer *writer, size_t n, size_t shown);
void text__table(struct text_writer *writer, struct table *table);
/* A paragraph, built as by printf. */
void text__say(const struct text_writer *writer, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The same in yellow: something that the reader has to know before trusting a figure. */
void text__warn(const struct text_writer *writer, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * A text of the report where the terminal's characters are not UTF-8: bytes above 0x7f could even
 * be control codes there, so that none are printed.
 */
void text__plain(FILE *out, const char *text);

/* The sizes of a bucket: "16 - 31 B", "1 - 2 kB". */
void text__bucket(char *buf, size_t size, unsigned int bucket);

/*
 * An estimate times a factor: its best value, or its interval, or "> " and its lower end, or
 * "unknown".
 */
typedef const char *(*estimate_format_fn)(char *buf, uint64_t value);
const char *estimate__format(char *buf, size_t size, const struct estimate_range *range,
			     double factor, estimate_format_fn format);
/* How sure the figures of a process that was seen in bursts are. */
void text_estimate__say(struct text_writer *writer, const struct process_result *process);
void text_estimate__write(struct text_writer *writer, const struct process_result *process);

void text_answer__write(struct text_writer *writer, const struct process_result *process);
void text_arenas__write(struct text_writer *writer, const struct process_result *process);
void text_large__write(struct text_writer *writer, const struct process_result *process);
void text_mapping__write(struct text_writer *writer, const struct process_result *process);
void text_live__write(struct text_writer *writer, const struct process_result *process);
void text_faults__write(struct text_writer *writer, const struct process_result *process);
void text_live__answer(const struct text_writer *writer, const struct process *process);
void text_buckets__write(struct text_writer *writer, const struct process_result *process);
void text_classes__write(struct text_writer *writer, const struct process_result *process);
void text_drift__write(struct text_writer *writer, const struct process_result *process);
/* Processes from `first` on, a line each. */
void text_others__write(struct text_writer *writer, size_t first);
void text_cost__write(struct text_writer *writer);

#endif
