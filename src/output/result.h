/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_RESULT_H
#define MEMDRIFT_OUTPUT_RESULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "analysis/growth.h"
#include "analysis/large.h"
#include "memdrift/config.h"
#include "memdrift/loss.h"
#include "memdrift/row_set.h"
#include "memdrift/size_class.h"
#include "model/model.h"
#include "stack/namer.h"
#include "stack/weights.h"

/*
 * All that a report of `memdrift trace` is made of. The command fills the upper part, then
 * trace_result__build() derives the processes from the model; text, JSON and folded stacks read
 * it and change nothing. It owns only what build made: free with trace_result__free().
 */

enum row_kind { ROW_ALLOC, ROW_FREE };

/* One row of alloc_counts.calls. */
struct call_row {
	const char *name; /* "malloc", "aligned_alloc|memalign"; NULL: the row is unused */
	enum row_kind kind;
};

struct trace_overhead {
	double hit_ns;   /* cost of one hit, as calibrated; NAN when there were no probes */
	uint64_t hits;   /* of allocator probes in the processes that were meant */
	double stack_ns; /* what a call stack adds to a hit; 0: none are taken; NAN: unknown */
	double frame_ns; /* and each frame of it */
	uint64_t stacks; /* that these hits walked, and their frames */
	uint64_t frames;
	uint64_t bystander_hits; /* the same in processes that were not targets */
	double covered;          /* share 0..1 of the trace during which the probes were attached */
	double cost_share;       /* hits x cost / CPU time of the targets; NAN when unknown */
	double budget;           /* share, 0.05 by default; NAN with --budget none */
	double detached_at_s;    /* when probes were first taken off to keep it; negative: never */
	uint64_t bursts;         /* how often they came back */
	uint32_t detached;       /* processes that this happened to: their figures are estimates */
	double attach_ns; /* CPU time that their coming cost the targets, part of cost_share */
	double detach_ns; /* and their going */
};

struct trace_command {
	char *const *argv; /* NULL-terminated, raw; NULL when no command was run */
	bool ended;
	int wait_status; /* valid when ended */
};

struct process_result {
	const struct process *process; /* of the model */
	struct row_set probed_rows;    /* with a probe here; empty when !counted */
	int is_go;                     /* 1, 0; negative: unknown */
	struct growth growth;
	struct large_mapping *large; /* by address; owned */
	size_t large_count;
};

/* Whether the rules of --buckets are those of the allocators that a process has mapped. */
enum rules_match {
	RULES_UNKNOWN, /* what it had mapped was not seen */
	RULES_MATCH,
	RULES_MIXED, /* it has that allocator, and others whose requests are counted along */
	RULES_DIFFER,
};

struct trace_result {
	/* Filled by the command. */
	const char *version; /* of the memdrift that traced; NULL: this one */
	struct {
		char kernel[65]; /* utsname.release */
		uint32_t cpus_online;
		uint32_t page_bytes;
	} host;
	double duration_s;
	uint64_t ended_ns;        /* CLOCK_MONOTONIC at the end of the trace */
	uint64_t started_unix_ns; /* CLOCK_REALTIME at its beginning; 0: unknown */
	const char *ended_by; /* "after 30 s", "interrupted", "every target ended"; may be NULL */
	const struct model *model;
	uint64_t losses[LOSS_MAX]; /* of kernel and user space together */
	struct call_row rows[CALL_ROWS];
	bool mallocs_counted;              /* allocator probes were asked for at all */
	const struct class_table *classes; /* of --buckets; NULL: log2, nothing by class */
	/* With classes: how they fit, and the names of its allocators; NULL past the last. */
	enum rules_match (*rules_match)(const struct class_table *classes,
					const struct process *process);
	const char *(*allocator_name)(const struct process *process, unsigned int index);
	struct trace_overhead overhead;
	struct trace_command command;
	struct stack_namer namer;
	/* Each NULL when the run took no such stacks. */
	const struct stack_weights *mmap_weights;  /* successful mmaps */
	const struct stack_weights *alloc_weights; /* allocator calls */
	const struct stack_weights *fault_weights; /* count: sampled page faults; no bytes */
	bool huge_pages;       /* large memory of most processes is in transparent huge pages */
	uint64_t fault_period; /* page faults for which a sampled one stands; 0: none are sampled */
	/* Freed before their thread's next allocation; NULL: that was not asked for. */
	const struct stack_weights *temporary_weights;
	/* Which rows have probes in a process; NULL: all named rows. */
	const struct row_set *(*probed_rows)(void *ctx, const struct process *process);
	void *probed_ctx;

	/* Made by trace_result__build(): processes that matter first. */
	struct process_result *processes;
	size_t process_count;
};

/*
 * Derives and orders the processes: targets, then those that matter, each by growth of RSS (in
 * whole MB: less is noise) and by bytes mapped.
 * 0 or -ENOMEM.
 */
int trace_result__build(struct trace_result *result, const uint64_t *large_sizes,
			size_t large_size_count, const struct large_facts *facts);
void trace_result__free(struct trace_result *result);
/* Whether anything happened to a process that a reader would look for, or it was asked for. */
bool process_result__matters(const struct process_result *process);

uint64_t trace_result__losses(const struct trace_result *result); /* total */
const char *loss__name(enum loss loss);                           /* JSON key */
const char *loss__text(enum loss loss);                           /* what was lost */

/* Of a process's name in its printable form. */
#define COMM_TEXT_MAX 80

struct text_options {
	bool colour;
	bool utf8;      /* bars of eighth blocks; else '#' */
	bool all;       /* no top lists: every process, arena, mapping */
	size_t top;     /* rows of outstanding allocations */
	size_t columns; /* of a line; 0: REPORT_COLUMNS */
};

size_t text_options__columns(const struct text_options *options);

/* The report for people, 100 columns wide. 0 or -EIO when `out` failed. */
int trace_text__write(FILE *out, const struct trace_result *result,
		      const struct text_options *options);
/* One JSON object and a newline: schema memdrift.trace/1. 0, -ENOMEM or -EIO. */
int trace_json__write(FILE *out, const struct trace_result *result);

/*
 * The progress line of a running trace: "12.0 s  3 processes  RSS 1,018.3 MB (+20.5 MB/s)  ...".
 * At most `columns` wide. Reads the model only. Returns buf.
 */
const char *trace_progress(char *buf, size_t size, const struct model *model, double now_s,
			   double duration_s /* negative: open */, uint64_t losses,
			   const struct trace_overhead *overhead /* NULL: no probes */,
			   unsigned int columns);

#endif
