/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_RECORD_FACT_LOG_H
#define MEMDRIFT_RECORD_FACT_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "analysis/large.h"

/*
 * What struct large_facts answered. While a result is built for a recording it stands before the
 * one that asks the running process, and keeps each answer; where a recording is read it answers
 * from what was kept, and what was never asked is unknown.
 */
enum fact_kind { FACT_GO_HEAP, FACT_RESIDENT, FACT_PEEK };

struct fact_key {
	uint64_t start_ns;
	uint64_t address;
	uint64_t end; /* of FACT_PEEK the number of words */
	uint32_t pid;
	uint32_t kind; /* enum fact_kind */
};

/* Of struct large_facts only -ENODATA of a peek differs from not knowing. */
#define FACT_NOTHING (-1)
#define FACT_UNKNOWN (-2)

#define FACT_WORDS 4

struct fact {
	struct fact_key key;
	int32_t answer;             /* 0, FACT_*; of FACT_GO_HEAP what was answered */
	uint64_t words[FACT_WORDS]; /* of FACT_RESIDENT the first is the bytes */
	double age_s;
};

/* A host of 10,000 processes with 60 mappings asks 2 questions for each: 160 MB. */
#define FACTS_MAX (1u << 20)

struct fact_log;

/* NULL when memory is out. */
struct fact_log *fact_log__new(void);
void fact_log__free(struct fact_log *log);

/* Asks `inner`, which must live as long, and keeps what it says. */
struct large_facts fact_log__keep(struct fact_log *log, const struct large_facts *inner);
/* How many answers found no room. */
uint64_t fact_log__dropped(const struct fact_log *log);
/* The facts in the order of their keys; *n of them, valid until the next question. NULL: out of
 * memory. */
const struct fact *const *fact_log__sorted(struct fact_log *log, size_t *n);

int fact_key__compare(const struct fact_key *a, const struct fact_key *b);

/* Facts that were read, in that order. */
struct fact_list {
	struct fact *facts; /* owned */
	uint32_t count, room;
};

/* Answers from them; valid as long as the list. */
struct large_facts fact_list__answers(struct fact_list *list);

#endif
