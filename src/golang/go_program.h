/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_GOLANG_GO_PROGRAM_H
#define MEMDRIFT_GOLANG_GO_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "census/subject.h"
#include "golang/go_layout.h"

/* Variables of the runtime, package runtime. */
enum go_variable {
	GO_CONTROLLER,        /* gcController, mgcpacer.go */
	GO_MEMSTATS,          /* memstats, mstats.go */
	GO_MHEAP,             /* mheap_, mheap.go */
	GO_PERSISTENT_CHUNKS, /* persistentChunks, malloc.go: a list of what metadata comes from */
	GO_BUCKHASH,          /* buckhash, mprof.go: hash table of the heap profile */
	GO_GC_BITS,           /* gcBitsArenas, mheap.go: lists of the spans' bitmaps */
	GO_VARIABLES
};

/* A Go program as its file has it, and where it is in one process. */
struct go_program {
	char version[64];   /* "go1.19.8"; "" unknown */
	bool has_cgo;       /* package runtime/cgo is linked in */
	uint64_t slide;     /* what is added to the addresses in the file */
	bool known;         /* layout and the first three variables are */
	bool by_version;    /* the layout is what was measured of this version */
	const char *source; /* how; a constant */
	const char *why_unknown;
	struct go_layout layout;
	uint64_t at[GO_VARIABLES]; /* in the process; 0: unknown */
};

/* 0, -ENOENT (not a Go program, or it cannot be looked at), -ESRCH, -ENOMEM. */
int go_program__read(struct subject *subject, struct go_program *program);

#endif
