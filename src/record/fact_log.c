// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "record/fact_log.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

_Static_assert(sizeof(struct fact_key) == 32, "fact_key has padding");

struct kept {
	UT_hash_handle hh;
	struct fact fact;
};

struct fact_log {
	struct large_facts inner;
	struct kept *kept; /* by key */
	uint64_t dropped;
	const struct fact **sorted;
};

struct fact_log *fact_log__new(void)
{
	return calloc(1, sizeof(struct fact_log));
}

void fact_log__free(struct fact_log *log)
{
	struct kept *kept, *next;

	if (!log)
		return;
	/* Takes the table away and leaves the items in their order. */
	kept = log->kept;
	HASH_CLEAR(hh, log->kept);
	for (; kept; kept = next) {
		next = kept->hh.next;
		free(kept);
	}
	free(log->sorted);
	free(log);
}

uint64_t fact_log__dropped(const struct fact_log *log)
{
	return log->dropped;
}

static struct fact_key make_key(const struct process *process, enum fact_kind kind,
				uint64_t address, uint64_t end)
{
	return (struct fact_key){.start_ns = process->start_ns,
				 .address = address,
				 .end = end,
				 .pid = process->pid,
				 .kind = kind};
}

static const struct fact *find_kept(const struct fact_log *log, const struct fact_key *key)
{
	struct kept *kept;

	HASH_FIND(hh, log->kept, key, sizeof(*key), kept);
	return kept ? &kept->fact : NULL;
}

/* What finds no room is asked again the next time. */
static void keep(struct fact_log *log, const struct fact *fact)
{
	struct kept *kept = HASH_COUNT(log->kept) < FACTS_MAX ? malloc(sizeof(*kept)) : NULL;

	if (!kept) {
		log->dropped++;
		return;
	}
	kept->fact = *fact;
	HASH_ADD(hh, log->kept, fact.key, sizeof(kept->fact.key), kept);
}

static int32_t answer_of(int err)
{
	if (!err)
		return 0;
	return err == -ENODATA ? FACT_NOTHING : FACT_UNKNOWN;
}

static int error_of(int32_t answer)
{
	if (!answer)
		return 0;
	return answer == FACT_NOTHING ? -ENODATA : -ESRCH;
}

static int give_resident(const struct fact *fact, uint64_t *bytes, double *age_s)
{
	*bytes = fact->words[0];
	*age_s = fact->age_s;
	return error_of(fact->answer);
}

static int give_words(const struct fact *fact, uint64_t *words, size_t n)
{
	memcpy(words, fact->words, n * sizeof(*words));
	return error_of(fact->answer);
}

static int keep_resident(void *ctx, const struct process *process, uint64_t start, uint64_t end,
			 uint64_t *bytes, double *age_s)
{
	struct fact_log *log = ctx;
	struct fact fact = {.key = make_key(process, FACT_RESIDENT, start, end)};
	const struct fact *known = find_kept(log, &fact.key);
	int err;

	if (known)
		return give_resident(known, bytes, age_s);
	err = log->inner.resident(log->inner.ctx, process, start, end, &fact.words[0], &fact.age_s);
	fact.answer = answer_of(err);
	if (err)
		fact.words[0] = 0;
	keep(log, &fact);
	return give_resident(&fact, bytes, age_s);
}

static int keep_peek(void *ctx, const struct process *process, uint64_t addr, uint64_t *words,
		     size_t n)
{
	struct fact_log *log = ctx;
	struct fact fact = {.key = make_key(process, FACT_PEEK, addr, n)};
	const struct fact *known = find_kept(log, &fact.key);

	if (n > FACT_WORDS)
		return log->inner.peek(log->inner.ctx, process, addr, words, n);
	if (known)
		return give_words(known, words, n);
	fact.answer = answer_of(log->inner.peek(log->inner.ctx, process, addr, fact.words, n));
	keep(log, &fact);
	return give_words(&fact, words, n);
}

static int keep_go_heap(void *ctx, const struct process *process)
{
	struct fact_log *log = ctx;
	struct fact fact = {.key = make_key(process, FACT_GO_HEAP, 0, 0)};
	const struct fact *known = find_kept(log, &fact.key);

	if (known)
		return known->answer;
	fact.answer = log->inner.go_heap(log->inner.ctx, process);
	keep(log, &fact);
	return fact.answer;
}

struct large_facts fact_log__keep(struct fact_log *log, const struct large_facts *inner)
{
	log->inner = *inner;
	return (struct large_facts){
		.ctx = log,
		.resident = inner->resident ? keep_resident : NULL,
		.peek = inner->peek ? keep_peek : NULL,
		.go_heap = inner->go_heap ? keep_go_heap : NULL,
	};
}

int fact_key__compare(const struct fact_key *a, const struct fact_key *b)
{
	if (a->pid != b->pid)
		return a->pid < b->pid ? -1 : 1;
	if (a->start_ns != b->start_ns)
		return a->start_ns < b->start_ns ? -1 : 1;
	if (a->address != b->address)
		return a->address < b->address ? -1 : 1;
	if (a->end != b->end)
		return a->end < b->end ? -1 : 1;
	return (a->kind > b->kind) - (a->kind < b->kind);
}

static int compare_facts(const void *a, const void *b)
{
	const struct fact *const *x = a, *const *y = b;

	return fact_key__compare(&(*x)->key, &(*y)->key);
}

const struct fact *const *fact_log__sorted(struct fact_log *log, size_t *n)
{
	size_t count = HASH_COUNT(log->kept);

	*n = 0;
	free(log->sorted);
	log->sorted = calloc(count + 1, sizeof(*log->sorted));
	if (!log->sorted)
		return NULL;
	for (const struct kept *kept = log->kept; kept; kept = kept->hh.next)
		log->sorted[(*n)++] = &kept->fact;
	qsort(log->sorted, count, sizeof(*log->sorted), compare_facts);
	return log->sorted;
}

static int compare_key(const void *key, const void *fact)
{
	return fact_key__compare(key, &((const struct fact *)fact)->key);
}

static const struct fact *find_read(const struct fact_list *list, const struct process *process,
				    enum fact_kind kind, uint64_t address, uint64_t end)
{
	struct fact_key key = make_key(process, kind, address, end);

	if (!list->count)
		return NULL;
	return bsearch(&key, list->facts, list->count, sizeof(*list->facts), compare_key);
}

static int read_resident(void *ctx, const struct process *process, uint64_t start, uint64_t end,
			 uint64_t *bytes, double *age_s)
{
	const struct fact *fact = find_read(ctx, process, FACT_RESIDENT, start, end);

	return fact ? give_resident(fact, bytes, age_s) : -ESRCH;
}

static int read_peek(void *ctx, const struct process *process, uint64_t addr, uint64_t *words,
		     size_t n)
{
	const struct fact *fact =
		n <= FACT_WORDS ? find_read(ctx, process, FACT_PEEK, addr, n) : NULL;

	return fact ? give_words(fact, words, n) : -ESRCH;
}

static int read_go_heap(void *ctx, const struct process *process)
{
	const struct fact *fact = find_read(ctx, process, FACT_GO_HEAP, 0, 0);

	return fact ? fact->answer : -ESRCH;
}

struct large_facts fact_list__answers(struct fact_list *list)
{
	return (struct large_facts){
		.ctx = list, .resident = read_resident, .peek = read_peek, .go_heap = read_go_heap};
}
