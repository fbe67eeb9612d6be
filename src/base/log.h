/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BASE_LOG_H
#define MEMDRIFT_BASE_LOG_H

#include <stdbool.h>

/*
 * Messages for people, always on stderr: stdout belongs to the report.
 * A failure message says what was tried, on what, why it failed and what to do next.
 */
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* Process-wide, set once from the command line before any thread or child starts. */
void log_set_level(enum log_level level);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* What a service says once when it starts: shown as an error is, and is none. */
void log_notice(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Sends libbpf's own messages one level lower than it gives them: its warnings are our detail. */
void log_bridge_libbpf(void);

/*
 * One line of progress on stderr, redrawn in place; nothing unless stderr is a terminal.
 * An empty text removes the line. Other messages step around it.
 */
void log_progress(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
