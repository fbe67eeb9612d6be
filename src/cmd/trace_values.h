/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_TRACE_VALUES_H
#define MEMDRIFT_CMD_TRACE_VALUES_H

#include <stdint.h>

#include "cmd/trace_options.h"

/* The values of trace's options. Each returns -1 to go on, or an exit code after a message. */
int trace_usage(const char *what, const char *value, const char *wanted);
int trace_value__target(struct trace_options *options, enum trace_target target);
int trace_value__pids(struct trace_options *options, char *text);
int trace_value__large(struct trace_options *options, char *text);
int trace_value__budget(struct trace_options *options, const char *text);
int trace_value__weight(struct trace_options *options, const char *text);
int trace_value__time(const char *option, const char *text, double least, double most,
		      double *seconds);
int trace_value__ring(struct trace_options *options, const char *text);
int trace_value__size(const char *option, const char *text, uint64_t *bytes);
int trace_value__fault_period(struct trace_options *options, const char *text);
int trace_value__top(struct trace_options *options, const char *text);
int trace_value__live_memory(struct trace_options *options, const char *text);

void trace_help__print(void);

#endif
