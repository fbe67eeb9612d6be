// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "record/fields.h"
#include "record/recording.h"
#include "record/stack_book.h"

/* Spaces and views, which processes share, by their number in the file. */
struct shared {
	UT_hash_handle hh;
	const void *object;
	uint32_t number;
};

struct writing {
	const struct recording_source *source;
	const struct trace_result *result;
	struct record_writer writer;
	struct stack_book *book;
	struct shared *spaces, *views;
	int err;
};

typedef int (*process_fn)(struct writing *writing, const struct process *process, bool running);

/* Running ones first, then those that ended, newest first: the model's order. */
static int each_process(struct writing *writing, process_fn visit)
{
	const struct model *model = writing->result->model;
	const struct process *process;
	int err = 0;

	for (process = model->running; process && !err; process = process->hh.next)
		err = visit(writing, process, true);
	for (process = model->ended; process && !err; process = process->next_ended)
		err = visit(writing, process, false);
	return err;
}

/* The number of an object; a new one is the last and *is_new. 0: out of memory. */
static uint32_t number_of(struct shared **table, const void *object, bool *is_new)
{
	struct shared *shared;

	*is_new = false;
	HASH_FIND_PTR(*table, &object, shared);
	if (shared)
		return shared->number;
	shared = calloc(1, sizeof(*shared));
	if (!shared)
		return 0;
	shared->object = object;
	shared->number = HASH_COUNT(*table) + 1;
	HASH_ADD_PTR(*table, object, shared);
	*is_new = true;
	return shared->number;
}

static void free_shared(struct shared **table)
{
	struct shared *shared, *next;

	/* Takes the table away and leaves the items in their order. */
	shared = *table;
	HASH_CLEAR(hh, *table);
	for (; shared; shared = next) {
		next = shared->hh.next;
		free(shared);
	}
}

/* Every stack that something of the process refers to. */
static int gather_stacks(struct writing *writing, const struct process *process, bool running)
{
	const struct live_view *view = process->live;
	const struct mapping *piece;
	int err = 0;

#define GATHER(id) \
	(err = err ? err : stack_book__add(writing->book, process->pid, process->start_ns, (id)))
	for (uint32_t i = 0; i < process->arenas.event_count; i++)
		GATHER(process->arenas.events[i].stack);
	space__for_each (piece, process->space)
		GATHER(piece->origin->stack);
	if (!view)
		return err;
	for (const struct live_group *group = view->groups; group; group = group->hh.next)
		GATHER(group->key.stack);
	for (size_t i = 0; i < view->peak_group_count; i++)
		GATHER(view->peak_groups[i].key.stack);
#undef GATHER
	return err;
}

static int gather_weights(struct writing *writing, const struct stack_weights *weights)
{
	int err = 0;

	for (const struct stack_weight *weight = weights ? weights->table : NULL; weight && !err;
	     weight = weight->hh.next)
		err = stack_book__add(writing->book, weight->key.pid, weight->key.start_ns,
				      weight->key.stack);
	return err;
}

static const struct stack_weights *table_of(const struct trace_result *result,
					    enum record_weights table)
{
	switch (table) {
	case RECORD_WEIGHTS_MMAP:
		return result->mmap_weights;
	case RECORD_WEIGHTS_ALLOC:
		return result->alloc_weights;
	case RECORD_WEIGHTS_TEMPORARY:
		return result->temporary_weights;
	default:
		return result->fault_weights;
	}
}

static int gather(struct writing *writing)
{
	int err = each_process(writing, gather_stacks);

	for (int i = 0; i < RECORD_WEIGHTS_MAX && !err; i++)
		err = gather_weights(writing, table_of(writing->result, (enum record_weights)i));
	return err;
}

static void write_head(struct writing *writing)
{
	const struct recording_source *source = writing->source;
	const struct model *model = writing->result->model;
	/* Writing changes nothing of either. */
	struct trace_result result = *writing->result;
	struct record_head head = {
		.version = (char *)(result.version ? result.version : MEMDRIFT_VERSION),
		.started_ns = model->started_ns,
		.interval_s = model->interval_s,
		.intervals = model->intervals,
		.size_rules = result.classes ? result.classes->rules : SIZE_RULES_LOG2,
		.rows_by_process = result.probed_rows,
		.large = (uint64_t *)source->large,
		.large_count = source->large_count,
	};

	for (int i = 0; i < RECORD_WEIGHTS_MAX; i++) {
		const struct stack_weights *weights = table_of(&result, (enum record_weights)i);

		head.tables |= weights ? 1u << i : 0;
		head.folded[i] = weights ? weights->folded : 0;
	}
	fields__head(record_writer__record(&writing->writer, RECORD_HEAD), &head, &result);
}

static int write_space(struct writing *writing, const struct process *process, bool running)
{
	bool is_new;

	if (!number_of(&writing->spaces, process->space, &is_new))
		return -ENOMEM;
	if (is_new)
		fields__write_space(record_writer__record(&writing->writer, RECORD_SPACES),
				    process->space);
	return 0;
}

static int write_view(struct writing *writing, const struct process *process, bool running)
{
	bool is_new;

	if (!process->live)
		return 0;
	if (!number_of(&writing->views, process->live, &is_new))
		return -ENOMEM;
	if (is_new)
		fields__write_view(record_writer__record(&writing->writer, RECORD_VIEWS),
				   process->live);
	return 0;
}

static int write_process(struct writing *writing, const struct process *process, bool running)
{
	struct codec *codec = record_writer__record(&writing->writer, RECORD_PROCESSES);
	bool is_new;
	struct process_place place = {
		.running = running,
		.space = number_of(&writing->spaces, process->space, &is_new),
		.view = process->live ? number_of(&writing->views, process->live, &is_new) : 0,
	};

	fields__place(codec, &place, HASH_COUNT(writing->spaces), HASH_COUNT(writing->views));
	/* Writing changes nothing of it. */
	fields__process(codec, (struct process *)process);
	return 0;
}

static void write_items(struct writing *writing, uint32_t view, uint32_t number,
			const struct live_group *group)
{
	for (size_t at = 0; at < group->born_count;) {
		size_t left = group->born_count - at;
		struct codec *codec = record_writer__record(&writing->writer, RECORD_ITEMS);
		struct items_record record = {
			.view = view,
			.group = number,
			.count = left < RECORD_ITEMS_CHUNK ? (uint32_t)left : RECORD_ITEMS_CHUNK};
		size_t end = at + record.count;

		fields__items(codec, &record, HASH_COUNT(writing->views));
		for (; at < end; at++) {
			struct live_item item = {.size = group->sizes[at],
						 .weight = group->weights[at],
						 .born_s = group->born[at]};

			fields__item(codec, &item);
		}
	}
}

/* In the order of the views. */
static void write_all_items(struct writing *writing)
{
	for (const struct shared *shared = writing->views; shared; shared = shared->hh.next) {
		const struct live_view *view = shared->object;
		const struct live_group *group;
		uint32_t number = 0;

		for (group = view->groups; group; group = group->hh.next)
			write_items(writing, shared->number, number++, group);
	}
}

static int compare_weights(const void *a, const void *b)
{
	return weight_record__compare(a, b);
}

static int write_weights(struct writing *writing, enum record_weights table)
{
	const struct stack_weights *weights = table_of(writing->result, table);
	struct weight_record *sorted;
	size_t n = 0;

	if (!weights || !weights->table)
		return 0;
	sorted = calloc(HASH_COUNT(weights->table), sizeof(*sorted));
	if (!sorted)
		return -ENOMEM;
	for (const struct stack_weight *weight = weights->table; weight; weight = weight->hh.next)
		sorted[n++] = (struct weight_record){.table = table,
						     .key = weight->key,
						     .count = weight->count,
						     .bytes = weight->bytes};
	qsort(sorted, n, sizeof(*sorted), compare_weights);
	for (size_t i = 0; i < n; i++)
		fields__weight(record_writer__record(&writing->writer, RECORD_WEIGHTS), &sorted[i]);
	free(sorted);
	return 0;
}

static int write_facts(struct writing *writing)
{
	const struct fact *const *facts;
	size_t n;

	if (!writing->source->facts)
		return 0;
	facts = fact_log__sorted(writing->source->facts, &n);
	if (!facts)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		fields__fact(record_writer__record(&writing->writer, RECORD_FACTS),
			     (struct fact *)facts[i]);
	return 0;
}

static int write_sections(struct writing *writing)
{
	int err = gather(writing);

	if (err)
		return err;
	write_head(writing);
	stack_book__write(writing->book, &writing->writer);
	err = write_facts(writing);
	if (!err)
		err = each_process(writing, write_space);
	if (!err)
		err = each_process(writing, write_view);
	if (!err)
		err = each_process(writing, write_process);
	for (int i = 0; i < RECORD_WEIGHTS_MAX && !err; i++)
		err = write_weights(writing, (enum record_weights)i);
	if (!err)
		write_all_items(writing);
	return err;
}

int recording__write(FILE *out, const struct recording_source *source, char error[RECORD_ERROR_MAX])
{
	struct writing writing = {.source = source, .result = source->result};
	int err = record_writer__begin(&writing.writer, out), end_err;

	writing.book = stack_book__new(&source->result->namer);
	if (!err)
		err = writing.book ? write_sections(&writing) : -ENOMEM;
	stack_book__free(writing.book);
	free_shared(&writing.spaces);
	free_shared(&writing.views);
	if (err) {
		/* It stays without an end, so that nobody takes it for whole. */
		record_writer__drop(&writing.writer);
		snprintf(error, RECORD_ERROR_MAX, "%s", strerror(-err));
		return err;
	}
	end_err = record_writer__end(&writing.writer, error);
	if (end_err || !fflush(out))
		return end_err;
	err = -errno;
	snprintf(error, RECORD_ERROR_MAX, "%s", strerror(-err));
	return err;
}
