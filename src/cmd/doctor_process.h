/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_DOCTOR_PROCESS_H
#define MEMDRIFT_CMD_DOCTOR_PROCESS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What `memdrift trace -p PID` would find to probe in a process, and what a hit would cost. */
struct doctor_process;

struct named_objects;

/*
 * Reads it; measures probe costs when may_trace. named: functions of --object. 0, or a negative
 * errno after a message that names the reason. The caller frees *out.
 */
int doctor_process__read(uint32_t pid, bool may_trace, const struct named_objects *named,
			 struct doctor_process **out);
void doctor_process__free(struct doctor_process *process);

/* A new reference, or NULL when memory is out. */
json_t *doctor_process__json(const struct doctor_process *process);
void doctor_process__print(const struct doctor_process *process, FILE *out);

#endif
