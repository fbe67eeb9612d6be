/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_PROFILE_H
#define MEMDRIFT_OUTPUT_PROFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "output/result.h"
#include "stack/namer.h"

/*
 * Stacks and what they weigh, in all weights that a trace knows: what folded stacks, pprof files
 * and flame graphs are written from. Per process and weight the samples add up to the report's
 * total exactly; what had no stack is a sample of its own.
 */
enum profile_weight {
	WEIGHT_MMAP_BYTES,       /* total: mapping.mmap_bytes of all processes */
	WEIGHT_MMAP_COUNT,       /* mapping.mmap_calls */
	WEIGHT_UNRELEASED_BYTES, /* mapping.unreleased_bytes */
	WEIGHT_UNRELEASED_COUNT, /* mapping.unreleased_count */
	WEIGHT_ALLOC_BYTES,      /* allocator.requested_bytes */
	WEIGHT_ALLOC_COUNT,      /* allocator.requests */
	WEIGHT_LIVE_BYTES,       /* live.bytes */
	WEIGHT_LIVE_COUNT,       /* live.count */
	WEIGHT_ARENA_COUNT,      /* arenas.created */
	WEIGHT_FAULT_BYTES,      /* an estimate: sampled page faults x period x size of a page */
	WEIGHT_MAX
};

struct weight_info {
	const char *name;  /* of --weight */
	const char *title; /* "bytes that were mapped" */
	bool is_bytes;
	const char *pprof_type, *pprof_unit; /* as pprof calls it */
};

const struct weight_info *profile_weight__info(enum profile_weight weight);
/* 0, or -EINVAL for an unknown name. */
int profile_weight__parse(const char *name, enum profile_weight *weight);
/* "mmap_bytes, mmap_count, ...": those that can be asked for. Returns buf. */
#define PROFILE_WEIGHT_NAMES_MAX 256
const char *profile_weight__names(char buf[PROFILE_WEIGHT_NAMES_MAX]);

enum profile_kind {
	PROFILE_STACK,
	PROFILE_NO_STACK,  /* what had none */
	PROFILE_NOT_LISTED /* what a filter (--older, --min-size, ...) kept out of the groups */
};

struct profile_process {
	uint32_t pid;
	char comm[COMM_TEXT_MAX]; /* printable */
	const char *exe;          /* raw, NULL when unknown */
};

struct profile_sample {
	enum profile_kind kind;
	uint32_t process;            /* index */
	uint32_t first, depth;       /* into stack_frames, leaf first; depth 0 without a stack */
	uint64_t values[WEIGHT_MAX]; /* 0 for a weight that is not known */
};

struct profile {
	double duration_s;
	uint64_t started_unix_ns;    /* 0: unknown */
	uint64_t fault_period_bytes; /* what one sampled fault stands for; 0: none are sampled */
	bool known[WEIGHT_MAX];
	uint64_t totals[WEIGHT_MAX];

	struct profile_process *processes; /* in the report's order, all of them */
	uint32_t process_count;
	struct profile_sample *samples; /* by process */
	size_t sample_count;
	/* Distinct frames, which samples share. Strings and files are the namer's. */
	struct frame_name *frames;
	uint32_t frame_count;
	uint32_t *stack_frames;
	size_t stack_frame_count;
	/* For people: losses and which weights are estimates, one fact each. */
	char **notes;
	size_t note_count;
};

/*
 * Of a result that was built, which it shares names with: it must not outlive the result's namer
 * and model. *profile is the caller's, for profile__free(). 0 or -ENOMEM.
 */
int profile__build(const struct trace_result *result, struct profile **profile);
void profile__free(struct profile *profile);

/* "[no-stack]", "[not-listed]"; NULL of one that has frames. */
const char *profile_sample__instead(const struct profile_sample *sample);

/* "comm-PID;root;...;leaf weight" lines. 0, -ENOMEM or -EIO. */
int profile_folded__write(FILE *out, const struct profile *profile, enum profile_weight weight);
/*
 * A gzip'd profile.proto (github.com/google/pprof) with all known weights. 0, -ENOMEM or -EIO.
 */
int profile_pprof__write(FILE *out, const struct profile *profile);
/* A flame graph of one weight: an SVG that needs nothing else. 0, -ENOMEM or -EIO. */
int profile_svg__write(FILE *out, const struct profile *profile, enum profile_weight weight);

#endif
