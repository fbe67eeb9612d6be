// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>

#include "model/op_log.h"

struct op_log *op_log__new(void)
{
	return calloc(1, sizeof(struct op_log));
}

static uint64_t oldest(const struct op_log *log)
{
	return log->count > OP_LOG_SIZE ? log->count - OP_LOG_SIZE : 0;
}

static const struct op *op_at(const struct op_log *log, uint64_t i)
{
	return &log->ops[i % OP_LOG_SIZE];
}

/*
 * When the i-th call had ended at the latest. That of a removal is only known from what its thread
 * did next: a later call, or the return record of the same one.
 */
static uint64_t ended_ns(const struct op_log *log, uint64_t i)
{
	const struct op *op = op_at(log, i);

	if (op->kind != OP_REMOVE)
		return op->time_ns;
	for (uint64_t j = i + 1; j < log->count; j++) {
		const struct op *later = op_at(log, j);

		if (later->tid == op->tid)
			return later->enter_ns > op->enter_ns ? later->enter_ns : later->time_ns;
	}
	return op->enter_ns < log->settled_ns ? log->settled_ns : UINT64_MAX;
}

/*
 * A removal of what is not mapped throughout may meet one that is still under way: the kernel may
 * give out the common part between the two, and the earlier one then takes it away again.
 */
static void doubt_overlapping(struct op_log *log, const struct op *op)
{
	for (uint64_t i = log->count; i-- > oldest(log);) {
		struct op *earlier = &log->ops[i % OP_LOG_SIZE];

		if (earlier->kind == OP_REMOVE && earlier->whole && earlier->tid != op->tid &&
		    earlier->start < op->end && op->start < earlier->end &&
		    ended_ns(log, i) > op->enter_ns)
			earlier->whole = false;
	}
}

bool op_log__add(struct op_log *log, const struct op *op)
{
	struct op *slot = &log->ops[log->count % OP_LOG_SIZE];
	bool fine = true;

	if (!log->count)
		log->sole_tid = op->tid;
	else if (log->sole_tid != op->tid)
		log->sole_tid = 0;
	if (op->kind == OP_REMOVE && !op->whole && !log->sole_tid)
		doubt_overlapping(log, op);
	if (log->count >= OP_LOG_SIZE && !log->sole_tid) {
		/*
		 * Nothing can take the place of a removal of mapped memory before it is done, but
		 * what lands in a hole of its range may still be removed by it.
		 */
		if (slot->kind == OP_REMOVE && !slot->whole)
			fine = ended_ns(log, log->count - OP_LOG_SIZE) != UINT64_MAX;
		if (slot->time_ns > log->horizon_ns)
			log->horizon_ns = slot->time_ns;
	}
	*slot = *op;
	log->count++;
	return fine;
}

/* Whether `op` may have taken effect before the earlier record's call did. */
static bool order_unknown(const struct op_log *log, const struct op *earlier, const struct op *op)
{
	switch (earlier->kind) {
	case OP_REMOVE:
		/*
		 * Room that was mapped throughout could only be given out once it was free (but for
		 * what a reading of /proc had shown of this very call). A change of protection that
		 * succeeded found it mapped anew: the model knows by whom, or notices the
		 * contradiction.
		 */
		if (op->kind == OP_ADD)
			return !earlier->whole || op->enter_ns < log->read_ns;
		return !earlier->whole || op->kind != OP_PROTECT;
	case OP_ADD:
		/* The kernel gives no range twice; a removal in between has its own entry. */
		return op->kind != OP_ADD;
	default:
		return true;
	}
}

bool op_log__races(const struct op_log *log, const struct op *op)
{
	if (op->enter_ns < log->horizon_ns)
		return true;
	if (!log->count || log->sole_tid == op->tid)
		return false;
	for (uint64_t i = log->count; i-- > oldest(log);) {
		const struct op *earlier = op_at(log, i);

		if (earlier->start >= op->end || op->start >= earlier->end ||
		    earlier->tid == op->tid || !order_unknown(log, earlier, op))
			continue;
		if (ended_ns(log, i) > op->enter_ns)
			return true;
	}
	return false;
}

const struct op *op_log__removal(const struct op_log *log, uint32_t tid, uint64_t enter_ns)
{
	for (uint64_t i = log->count; i-- > oldest(log);) {
		const struct op *op = op_at(log, i);

		if (op->tid == tid && op->enter_ns == enter_ns && op->kind == OP_REMOVE)
			return op;
	}
	return NULL;
}

void op_log__distrust(struct op_log *log, uint64_t now_ns)
{
	log->horizon_ns = now_ns;
}

void op_log__note_reading(struct op_log *log, uint64_t settled_ns, uint64_t read_ns)
{
	if (settled_ns)
		log->settled_ns = settled_ns;
	log->read_ns = read_ns;
}
