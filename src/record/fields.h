/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_RECORD_FIELDS_H
#define MEMDRIFT_RECORD_FIELDS_H

#include "output/result.h"
#include "record/codec.h"
#include "record/fact_log.h"

/*
 * The records of a recording, field by field, for both directions (see record/codec.h). What is
 * written is not changed. What is read goes into a structure that is empty, whose owner frees what
 * it got also when the codec refused the rest.
 */

/* Tables of struct trace_result; new ones come last. */
enum record_weights {
	RECORD_WEIGHTS_MMAP,
	RECORD_WEIGHTS_ALLOC,
	RECORD_WEIGHTS_TEMPORARY,
	RECORD_WEIGHTS_FAULT,
	RECORD_WEIGHTS_MAX
};

/* What is said of the trace as a whole, besides struct trace_result. */
struct record_head {
	char *version; /* of the memdrift that traced; owned */
	uint64_t started_ns;
	double interval_s;
	uint32_t intervals;
	uint32_t size_rules; /* enum size_rules; SIZE_RULES_LOG2: nothing by class */
	uint32_t tables;     /* bit of each enum record_weights that the trace took */
	uint64_t folded[RECORD_WEIGHTS_MAX]; /* of struct stack_weights */
	bool rows_by_process;                /* each process tells which rows it has probes for */
	uint64_t *large;                     /* sizes of --large; owned when read */
	size_t large_count;
};

/* host, duration, losses, rows, overhead and command of the result. What it points to belongs to
 * the reader: see record_head__free. */
void fields__head(struct codec *codec, struct record_head *head, struct trace_result *result);
void record_head__free(struct record_head *head, struct trace_result *result);

/* Reading: NULL when it was refused. */
struct space *fields__read_space(struct codec *codec);
void fields__write_space(struct codec *codec, const struct space *space);

struct live_view *fields__read_view(struct codec *codec);
void fields__write_view(struct codec *codec, const struct live_view *view);

/* Some of a group's items: most have no more than one record. */
#define RECORD_ITEMS_CHUNK 65536u

struct items_record {
	uint32_t view;  /* number of its record, from 1 on */
	uint32_t group; /* in the view's order, from 0 on */
	uint32_t count;
};

/* What the items' own fields follow. */
void fields__items(struct codec *codec, struct items_record *items, uint32_t views);
void fields__item(struct codec *codec, struct live_item *item);

/* How a process stands among the others. */
struct process_place {
	bool running;   /* in the model's table, else among the ended */
	uint32_t space; /* number of its record, from 1 on */
	uint32_t view;  /* 0: not tracked */
};

void fields__process(struct codec *codec, struct process *process);
/* How many spaces and views there are to refer to. */
void fields__place(struct codec *codec, struct process_place *place, uint32_t spaces,
		   uint32_t views);

struct weight_record {
	enum record_weights table;
	struct stack_weight_key key;
	uint64_t count, bytes;
};

/* By table, pid, start and stack: their order in the file. */
int weight_record__compare(const struct weight_record *a, const struct weight_record *b);
void fields__weight(struct codec *codec, struct weight_record *weight);

void fields__fact(struct codec *codec, struct fact *fact);

/* Most items of each kind; see the tables that they come from. */
#define RECORD_ROW_NAME_MAX  256
#define RECORD_ARGS_MAX      (1u << 20)
#define RECORD_ARG_MAX       (1u << 17) /* MAX_ARG_STRLEN of the kernel */
#define RECORD_PATH_MAX      (1u << 16)
#define RECORD_INTERVALS_MAX 4096
#define RECORD_LARGE_MAX     64
#define RECORD_GROUPS_MAX    (1u << 20)

#endif
