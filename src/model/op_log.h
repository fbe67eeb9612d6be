/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_MODEL_OP_LOG_H
#define MEMDRIFT_MODEL_OP_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The last mapping calls of an address space. The records of calls that overlapped in time, made by
 * two threads on one range, do not tell which took effect first: the log finds such pairs, and the
 * range is then read from /proc.
 */
enum op_kind {
	OP_REMOVE,  /* a call that unmaps has started; when it ended is not recorded */
	OP_ADD,     /* something was mapped where the kernel found room */
	OP_REPLACE, /* something was mapped over what was there */
	OP_PROTECT, /* protection changed */
	OP_BRK,
};

struct op {
	uint64_t start;
	uint64_t end;
	uint64_t enter_ns; /* when the call started */
	uint64_t time_ns;  /* when its record was made */
	uint64_t bytes;    /* OP_REMOVE: what the model took away */
	uint32_t tid;
	enum op_kind kind;
	bool whole; /* OP_REMOVE: all of the range was mapped */
};

/*
 * Calls last microseconds, so 64 reach back far enough for some dozens of busy threads; a call that
 * outlasts the log is settled by a re-read.
 */
#define OP_LOG_SIZE 64

struct op_log {
	struct op ops[OP_LOG_SIZE];
	uint64_t count; /* ever added */
	uint64_t
		horizon_ns; /* calls that started before this may have met some that are not kept */
	uint64_t settled_ns; /* removals that started before this have ended */
	uint64_t read_ns;    /* the space is ahead of the records from before this */
	uint32_t sole_tid;   /* the only thread seen so far; 0: several */
};

/* NULL when memory is out. Freed with free(). */
struct op_log *op_log__new(void);

/* False when an entry that was still of use had to go: the space must be read again. */
bool op_log__add(struct op_log *log, const struct op *op);

/*
 * Whether the call whose return record is `op` met another thread's on the same range in an order
 * that the records do not tell, or may have met one that is no longer kept. Ask before adding it.
 */
bool op_log__races(const struct op_log *log, const struct op *op);

/* The removal that this thread's call, started then, was entered as; NULL when not kept. */
const struct op *op_log__removal(const struct op_log *log, uint32_t tid, uint64_t enter_ns);

/* Records were lost up to now. */
void op_log__distrust(struct op_log *log, uint64_t now_ns);
/* The space was read from /proc: until read_ns, and at settled_ns (0: unknown) no call that removes
 * was under way. */
void op_log__note_reading(struct op_log *log, uint64_t settled_ns, uint64_t read_ns);

#endif
