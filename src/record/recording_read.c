// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "analysis/size_class.h"
#include "base/text.h"
#include "record/recording_impl.h"

static void read_head(struct recording *recording, struct codec *codec)
{
	struct record_head *head = &recording->head;
	struct trace_result *result = &recording->result;

	if (recording->has_head) {
		codec__refuse(codec, "head", "it stands there twice");
		return;
	}
	recording->has_head = true;
	fields__head(codec, head, result);
	recording->model.started_ns = head->started_ns;
	recording->model.interval_s = head->interval_s;
	recording->model.intervals = head->intervals;
	for (int i = 0; i < RECORD_WEIGHTS_MAX; i++)
		recording->weights[i].folded = head->folded[i];
	if (head->size_rules == SIZE_RULES_LOG2)
		return;
	size_class__fill_table((enum size_rules)head->size_rules, &recording->classes);
	result->classes = &recording->classes;
}

static void read_space(struct recording *recording, struct codec *codec)
{
	struct shared_space *spaces =
		codec__grow(codec, recording->spaces, recording->space_count,
			    &recording->space_room, sizeof(*spaces), RECORD_ENTRIES_MAX);
	struct space *space;

	if (!spaces)
		return;
	recording->spaces = spaces;
	space = fields__read_space(codec);
	if (space)
		spaces[recording->space_count++] = shared_space__of(space);
}

static void read_view(struct recording *recording, struct codec *codec)
{
	struct live_view **views =
		codec__grow(codec, recording->views, recording->view_count, &recording->view_room,
			    sizeof(struct live_view *), RECORD_ENTRIES_MAX);
	struct live_view *view;

	if (!views)
		return;
	recording->views = views;
	view = fields__read_view(codec);
	if (view)
		views[recording->view_count++] = view;
}

static void place_process(struct recording *recording, struct process *process,
			  const struct process_place *place)
{
	struct model *model = &recording->model;

	process__set_space(process, space__ref(recording->spaces[place->space - 1].space));
	if (place->view)
		process__set_live(process, recording->views[place->view - 1]);
	model->process_count++;
	if (place->running) {
		/* Nobody looks for one by its pid. */
		HASH_ADD(hh, model->running, pid, sizeof(process->pid), process);
		return;
	}
	*recording->ended_tail = process;
	recording->ended_tail = &process->next_ended;
}

static void read_process(struct recording *recording, struct codec *codec)
{
	struct process_place place = {0};
	struct process *process;

	fields__place(codec, &place, recording->space_count, recording->view_count);
	/* A process has a space of its own until it gets the one that was read. */
	if (!codec__charge(codec, "process", sizeof(*process) + sizeof(struct space)))
		return;
	process = process__new(0, 0, NULL, 0, recording->model.intervals, NULL);
	if (!process) {
		codec__refuse(codec, "process", "out of memory");
		return;
	}
	fields__process(codec, process);
	if (codec->err || !recording__count(recording, codec, process, &place))
		process__free(process);
	else
		place_process(recording, process, &place);
}

/*
 * They come in order, and none is looked for by its key: the keys of a file could be chosen so that
 * a hash table is slow to search.
 */
static void read_weight(struct recording *recording, struct codec *codec)
{
	struct weight_record record = {0};
	struct stack_weights *weights;
	struct stack_weight *weight;

	fields__weight(codec, &record);
	if (!codec->err && recording->has_weight &&
	    weight_record__compare(&recording->last_weight, &record) >= 0)
		codec__refuse(codec, "weight", "one of process %u is out of order", record.key.pid);
	weight = codec__alloc(codec, "weight", 1, sizeof(*weight));
	if (!weight)
		return;
	recording->last_weight = record;
	recording->has_weight = true;
	weights = &recording->weights[record.table];
	weight->key = record.key;
	weight->count = record.count;
	weight->bytes = record.bytes;
	HASH_ADD(hh, weights->table, key, sizeof(weight->key), weight);
	weights->count++;
}

static void read_fact(struct recording *recording, struct codec *codec)
{
	struct fact_list *list = &recording->facts;
	struct fact *facts = codec__grow(codec, list->facts, list->count, &list->room,
					 sizeof(*facts), FACTS_MAX);
	struct fact fact = {0};

	if (!facts)
		return;
	list->facts = facts;
	fields__fact(codec, &fact);
	if (!codec->err && list->count &&
	    fact_key__compare(&facts[list->count - 1].key, &fact.key) >= 0)
		codec__refuse(codec, "fact", "one of process %u is out of order", fact.key.pid);
	if (!codec->err)
		facts[list->count++] = fact;
}

/* The group that the items belong to: the last one or one behind it. NULL: there is none. */
static struct live_group *find_group(struct recording *recording, const struct items_record *items)
{
	if (items->view != recording->items_view) {
		if (items->view < recording->items_view)
			return NULL;
		recording->items_view = items->view;
		recording->items_group = 0;
		recording->items_of = recording->views[items->view - 1]->groups;
	}
	if (items->group < recording->items_group)
		return NULL;
	while (recording->items_of && recording->items_group < items->group) {
		recording->items_of = recording->items_of->hh.next;
		recording->items_group++;
	}
	return recording->items_of;
}

static void read_items(struct recording *recording, struct codec *codec)
{
	struct items_record record = {0};
	struct live_group *group;

	fields__items(codec, &record, recording->view_count);
	/* Room doubles as they come. */
	if (!codec__charge(codec, "items", 2 * record.count * 3 * sizeof(uint64_t)))
		return;
	group = find_group(recording, &record);
	if (!group) {
		codec__refuse(codec, "items", "of a group that is not there, or out of order");
		return;
	}
	for (uint32_t i = 0; i < record.count && !codec->err; i++) {
		struct live_item item = {0};

		fields__item(codec, &item);
		if (!codec->err && !live_group__keep(group, &item))
			codec__refuse(codec, "items", "out of memory");
	}
}

static void read_record(struct recording *recording, struct record_reader *reader)
{
	struct codec *codec = &reader->codec;

	switch (reader->section) {
	case RECORD_HEAD:
		read_head(recording, codec);
		break;
	case RECORD_SPACES:
		read_space(recording, codec);
		break;
	case RECORD_VIEWS:
		read_view(recording, codec);
		break;
	case RECORD_PROCESSES:
		read_process(recording, codec);
		break;
	case RECORD_WEIGHTS:
		read_weight(recording, codec);
		break;
	case RECORD_FACTS:
		read_fact(recording, codec);
		break;
	case RECORD_ITEMS:
		read_items(recording, codec);
		break;
	default:
		recorded_stacks__read(&recording->stacks, codec, reader->section);
	}
}

static int read_sections(struct recording *recording, struct record_reader *reader)
{
	int got;

	while ((got = record_reader__next(reader)) > 0) {
		if (!recording->has_head && reader->section != RECORD_HEAD)
			return record_reader__refuse(reader, "the trace's figures were expected "
							     "before it");
		while (codec__more(&reader->codec))
			read_record(recording, reader);
	}
	if (!got && !recording->has_head)
		return record_reader__refuse(reader, "the trace's figures are missing");
	if (!got && !recording__is_bounded(recording))
		return record_reader__refuse(reader, "more to look through than a recording may "
						     "have");
	return got;
}

int recording__read(struct recording **out, FILE *in, const char *name,
		    char error[RECORD_ERROR_MAX])
{
	struct recording *recording = calloc(1, sizeof(*recording));
	struct record_reader reader;
	char printable[256];
	int err;

	*out = NULL;
	text_printable(printable, sizeof(printable), name);
	if (!recording) {
		snprintf(error, RECORD_ERROR_MAX, "cannot read %s: out of memory", printable);
		return -ENOMEM;
	}
	recording->ended_tail = &recording->model.ended;
	err = record_reader__begin(&reader, in, printable, error);
	if (!err)
		err = read_sections(recording, &reader);
	record_reader__free(&reader);
	if (err)
		recording__free(recording);
	else
		*out = recording;
	return err;
}
