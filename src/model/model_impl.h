/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_MODEL_IMPL_H
#define MEMDRIFT_MODEL_MODEL_IMPL_H

#include "model/model.h"

/* What the files of the model share. */

uint64_t model__now(const struct model *model);
double model__seconds(const struct model *model, uint64_t time_ns);

/*
 * The process that a record is about. One that is not known is added, with what /proc shows; NULL
 * when there is no room.
 */
struct process *model__process_of(struct model *model, const struct rec_header *hdr);

/* Enters a process whose space is known (a reference that is taken over). NULL: no room. */
struct process *model__enter(struct model *model, uint32_t pid, uint64_t start_ns, const char *comm,
			     uint64_t time_ns, struct space *space);
/* First reading of its maps; a failure is counted. */
void model__seed(struct model *model, struct process *process);
/* Reads its maps and makes its space equal. Ranges that differed, or a negative errno. */
int model__read(struct model *model, struct process *process);

/* From here on its state does not change any more. */
void process__freeze(struct process *process, uint64_t time_ns);

/* Handlers of records; size and type have been checked. */
void handle_mapping(struct model *model, const struct rec_mapping *rec);
void handle_fork(struct model *model, const struct rec_fork *rec);
void handle_process(struct model *model, const struct rec_process *rec);
void handle_arena(struct model *model, const struct rec_arena *rec);

#endif
