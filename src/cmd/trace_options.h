/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_TRACE_OPTIONS_H
#define MEMDRIFT_CMD_TRACE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/large_option.h"
#include "cmd/named_options.h"
#include "cmd/profile_files.h"
#include "model/live_view.h"
#include "output/result.h"

/* What the command line of `memdrift trace` asks for. */
enum trace_target { TRACE_HOST, TRACE_PIDS, TRACE_CGROUP, TRACE_COMM, TRACE_COMMAND };

/* More PIDs than this are better named by --cgroup or --comm. */
#define TRACE_PIDS_MAX 256

struct trace_options {
	enum trace_target target;
	uint32_t pids[TRACE_PIDS_MAX];
	uint32_t pid_count;
	const char *cgroup;
	char comm[16];
	char **command;    /* NULL-terminated, into argv */
	double duration_s; /* negative: open */
	double interval_s;
	bool json;
	bool malloc;         /* --malloc */
	bool live;           /* --live: outstanding allocations */
	bool no_stacks;      /* of them */
	bool temporary;      /* --temporary: those freed before their thread's next one */
	uint64_t live_bytes; /* memory of the live set */
	struct live_filter live_filter;
	uint32_t top; /* rows of outstanding allocations */
	bool print;   /* a report after each interval */
	bool strict;
	bool faults;           /* --faults, or implied: page faults are sampled */
	uint32_t fault_period; /* every how manieth */
	bool all;              /* no short lists */
	double budget;         /* share; negative: none */
	bool budget_given;
	const char *output;           /* -o */
	const char *record;           /* --record */
	struct profile_paths profile; /* --folded, --pprof, --svg, --weight */
	bool lines;                   /* source lines and inlined functions of stacks */
	bool debuginfod;              /* ask servers for debug files */
	enum size_rules size_rules;   /* --buckets */
	uint64_t large[LARGE_OPTION_MAX];
	uint32_t large_count;
	uint64_t ring_bytes;
	struct named_options named;
	const char *dump_spaces;      /* developer: see trace_dump_spaces */
	unsigned int stack_hash_bits; /* developer: fewer than 64 make stacks collide */
	bool hold_reader; /* developer: do not read the ring until the end of each interval */
};

/* Returns -1 to go on, or an exit code (after a message, or the help text). */
int trace_options__parse(int argc, char **argv, struct trace_options *options);
/* -1, or an exit code after a message: options that do not go together. */
int trace_options__check(const struct trace_options *options);
void trace_options__free(struct trace_options *options);
/* Whether folded stacks or a flame graph are of this weight, or of allocator calls. */
bool trace_options__shows(const struct trace_options *options, enum profile_weight weight);
bool trace_options__shows_calls(const struct trace_options *options);
/* Whether allocator calls, and mappings of any size, are to be counted by stack. */
bool trace_options__weighs_calls(const struct trace_options *options);
bool trace_options__weighs_mappings(const struct trace_options *options);
/* Whether page faults are sampled. */
bool trace_options__samples_faults(const struct trace_options *options);
/* Whether allocator probes are wanted: on by default for all targets but the host. */
bool trace_options__counts_mallocs(const struct trace_options *options);

#endif
