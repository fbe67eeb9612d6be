/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_HISTORY_TEXT_H
#define MEMDRIFT_OUTPUT_HISTORY_TEXT_H

#include "base/units.h"
#include "output/history.h"
#include "output/text.h"

/* The parts of the text report on a history; shared by src/output/history_*.c only. */

#define HISTORY_TIME_MAX 32
#define HISTORY_NAME_MAX 256

/* "2026-11-27 16:00", local; "unknown" of NAN. */
const char *history_text__time(char buf[HISTORY_TIME_MAX], double t_unix);
/* "nginx.service", with its slot from the second on; printable. */
const char *history_text__name(char buf[HISTORY_NAME_MAX], const struct subject_name *name);
/* "902.1 MB", "unknown". */
const char *history_text__bytes(char buf[UNIT_TEXT_MAX], int64_t bytes);

/*
 * Resident and swapped-out memory over time, ten rows of 70 columns: each column is the mean of its
 * time, blank where nothing is known. Below it restarts ('r') and onsets ('!').
 */
void history_chart__write(const struct text_writer *writer, const struct history *history,
			  const struct history_subject *subject);

void history_process__write(struct text_writer *writer, const struct history *history,
			    const struct history_subject *subject);
/* Of a subject, or 0: of all; those that are open, or those that are over. */
size_t history_incidents__count(const struct history *history, int64_t subject, bool open);
void history_incidents__write(struct text_writer *writer, const struct history *history,
			      int64_t subject, bool open);

#endif
