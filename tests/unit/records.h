/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_RECORDS_H
#define MEMDRIFT_TESTS_RECORDS_H

#include <string.h>
#include <sys/mman.h>

#include "memdrift/record.h"
#include "model/model.h"

/* Records as the kernel's side makes them, for tests that feed the model. */
#define MB   (1ull << 20)
#define PAGE SPACE_PAGE_BYTES
#define RW   (PROT_READ | PROT_WRITE)
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

/* A boot time in whole clock ticks, as /proc gives it. */
#define START_NS 5000000000ull

static inline struct rec_header header(uint32_t type, uint32_t pid, uint32_t tid, uint64_t time_ns)
{
	return (struct rec_header){
		.type = type, .pid = pid, .tid = tid, .time_ns = time_ns, .start_ns = START_NS};
}

static inline struct rec_mapping mapping(uint32_t type, uint32_t pid, uint32_t tid,
					 uint64_t enter_ns, uint64_t time_ns)
{
	return (struct rec_mapping){
		.hdr = header(type, pid, tid, time_ns),
		.enter_ns = enter_ns,
		.fd = -1,
		.stack = STACK_NONE,
	};
}

static inline void feed(struct model *model, const struct rec_mapping *rec)
{
	model__handle(model, &rec->hdr, sizeof(*rec));
}

static inline void feed_process(struct model *model, uint32_t type, uint32_t flags, uint32_t pid,
				uint32_t tid, uint64_t time_ns, int32_t status, const char *comm)
{
	struct rec_process rec = {.hdr = header(type, pid, tid, time_ns), .status = status};

	rec.hdr.flags = flags;
	memccpy(rec.comm, comm, '\0', sizeof(rec.comm));
	model__handle(model, &rec.hdr, sizeof(rec));
}

static inline void feed_fork(struct model *model, uint32_t flags, uint32_t pid, uint32_t child,
			     uint64_t time_ns)
{
	struct rec_fork rec = {
		.hdr = header(REC_FORK, pid, pid, time_ns),
		.child_pid = flags & RECF_THREAD ? pid : child,
		.child_tid = child,
		.child_start_ns = START_NS + (flags & RECF_THREAD ? 0 : child * 10000000ull),
		.comm = "child",
	};

	rec.hdr.flags = flags;
	model__handle(model, &rec.hdr, sizeof(rec));
}

#endif
