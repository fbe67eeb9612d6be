/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_JSON_H
#define MEMDRIFT_OUTPUT_JSON_H

#include <jansson.h>

#include "output/result.h"

/* The parts of the JSON report; shared by src/output/json*.c only. All return a new value. */

/* null for NAN and infinities. */
json_t *json_number(double value);
/* Sanitised; null for NULL. */
json_t *json_text(const char *raw);
/* Values past 2^63 - 1, which JSON's integers here cannot hold, become that. */
json_t *json_count(uint64_t value);
/* null when not known. */
json_t *json_count_if(bool known, uint64_t value);
json_t *json_number_if(bool known, double value);
json_t *json_address(uint64_t address);
/* Frames' names, leaf first; null without a stack. */
json_t *json_stack(const struct trace_result *result, const struct process *process, int32_t stack);

/* One entry of "processes"; NULL when memory is out. */
json_t *json_process(const struct trace_result *result, const struct process_result *process);
/* Its "allocator" and "buckets". */
json_t *json_allocator(const struct trace_result *result, const struct process_result *process);
json_t *json_buckets(const struct process *process);
/* What it has not freed; null when that was not tracked. */
json_t *json_live(const struct trace_result *result, const struct process *process);
/* Its "size_classes": null without --buckets, and when they were not counted. */
json_t *json_size_classes(const struct trace_result *result, const struct process *process);
/* Its "faults": null when page faults were not sampled. */
json_t *json_faults(const struct trace_result *result, const struct process *process);

#endif
