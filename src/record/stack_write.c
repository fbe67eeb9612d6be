// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "record/stack_book.h"
#include "record/stack_fields.h"

_Static_assert(sizeof(struct file_record) == 32, "file_record has padding");
_Static_assert(sizeof(struct frame_record) == 48, "frame_record has padding");

/* Bytes that are kept once, in the order in which they came. */
struct entry {
	UT_hash_handle hh;
	uint32_t number; /* from 1 on */
	uint32_t size;
	uint8_t bytes[];
};

struct interner {
	struct entry *entries;
};

struct identity {
	UT_hash_handle hh;
	struct identity_record record; /* its stack is 0 when it has no frames */
};

/* Of the record: start, pid and id, which have no padding between them. */
#define KEY_BYTES offsetof(struct identity_record, stack)
_Static_assert(KEY_BYTES == 16, "identity_record has padding");

struct stack_book {
	const struct stack_namer *namer;
	struct interner strings, files, frames, stacks;
	struct identity *identities;
	struct frame_name named[RECORD_STACK_FRAMES_MAX];
};

struct stack_book *stack_book__new(const struct stack_namer *namer)
{
	struct stack_book *book = calloc(1, sizeof(*book));

	if (book)
		book->namer = namer;
	return book;
}

static void free_entries(struct interner *interner)
{
	struct entry *entry, *next;

	/* Takes the table away and leaves the items in their order. */
	entry = interner->entries;
	HASH_CLEAR(hh, interner->entries);
	for (; entry; entry = next) {
		next = entry->hh.next;
		free(entry);
	}
}

void stack_book__free(struct stack_book *book)
{
	struct identity *identity, *next;

	if (!book)
		return;
	identity = book->identities;
	HASH_CLEAR(hh, book->identities);
	for (; identity; identity = next) {
		next = identity->hh.next;
		free(identity);
	}
	free_entries(&book->strings);
	free_entries(&book->files);
	free_entries(&book->frames);
	free_entries(&book->stacks);
	free(book);
}

/* The number of these bytes; 0 when memory is out. */
static uint32_t intern(struct interner *interner, const void *bytes, size_t size)
{
	struct entry *entry;

	HASH_FIND(hh, interner->entries, bytes, size, entry);
	if (entry)
		return entry->number;
	if (HASH_COUNT(interner->entries) >= RECORD_ENTRIES_MAX)
		return 0;
	entry = malloc(sizeof(*entry) + size + 1);
	if (!entry)
		return 0;
	entry->number = HASH_COUNT(interner->entries) + 1;
	entry->size = (uint32_t)size;
	memcpy(entry->bytes, bytes, size);
	entry->bytes[size] = '\0';
	HASH_ADD_KEYPTR(hh, interner->entries, entry->bytes, size, entry);
	return entry->number;
}

/* A longer one is cut: what reads it refuses it. */
static uint32_t intern_text(struct stack_book *book, const char *text)
{
	return intern(&book->strings, text, strnlen(text, RECORD_STRING_MAX));
}

static uint32_t intern_file(struct stack_book *book, const struct frame_file *file)
{
	struct file_record record = {
		.text_vaddr = file->text_vaddr,
		.text_offset = file->text_offset,
		.text_bytes = file->text_bytes,
		.path = intern_text(book, file->path),
		.build_id = intern_text(book, file->build_id),
	};

	return record.path && record.build_id ? intern(&book->files, &record, sizeof(record)) : 0;
}

/* Where there is one: whether it has a number now. */
static bool intern_optional(struct stack_book *book, const char *text, uint32_t *number)
{
	*number = text ? intern_text(book, text) : 0;
	return !text || *number;
}

static uint32_t intern_frame(struct stack_book *book, const struct frame_name *frame)
{
	struct frame_record record = {
		.offset = frame->offset,
		.function_start = frame->function_start,
		.text = intern_text(book, frame->text),
		.object = intern_text(book, frame->object),
		.file = frame->file ? intern_file(book, frame->file) : 0,
		.line = frame->line,
		.flags = (frame->is_inlined ? FRAME_INLINED : 0) |
			 (frame->is_return ? FRAME_RETURN : 0),
	};

	if (!record.text || !record.object || (frame->file && !record.file) ||
	    !intern_optional(book, frame->function, &record.function) ||
	    !intern_optional(book, frame->source, &record.source))
		return 0;
	return intern(&book->frames, &record, sizeof(record));
}

static int intern_stack(struct stack_book *book, struct identity_record *record)
{
	uint32_t frames[RECORD_STACK_FRAMES_MAX];
	size_t n = stack_namer__name(book->namer, record->pid, record->start_ns, record->id,
				     book->named, RECORD_STACK_FRAMES_MAX);

	for (size_t i = 0; i < n; i++) {
		frames[i] = intern_frame(book, &book->named[i]);
		if (!frames[i])
			return -ENOMEM;
	}
	if (!n)
		return 0;
	record->stack = intern(&book->stacks, frames, n * sizeof(*frames));
	return record->stack ? 0 : -ENOMEM;
}

int stack_book__add(struct stack_book *book, uint32_t pid, uint64_t start_ns, int32_t stack)
{
	struct identity_record record = {.start_ns = start_ns, .pid = pid, .id = stack};
	struct identity *identity;
	int err;

	if (stack < 0)
		return 0;
	HASH_FIND(hh, book->identities, &record, KEY_BYTES, identity);
	if (identity)
		return 0;
	err = intern_stack(book, &record);
	if (err)
		return err;
	identity = calloc(1, sizeof(*identity));
	if (!identity)
		return -ENOMEM;
	identity->record = record;
	HASH_ADD(hh, book->identities, record, KEY_BYTES, identity);
	return 0;
}

static int compare_identities(const struct identity *a, const struct identity *b)
{
	return identity_record__compare(&a->record, &b->record);
}

static void write_stack(struct codec *codec, const struct entry *entry, uint32_t frames)
{
	size_t n = codec__count(codec, "frames", entry->size / sizeof(uint32_t),
				RECORD_STACK_FRAMES_MAX, 1);

	for (size_t i = 0; i < n; i++) {
		uint32_t number;

		memcpy(&number, entry->bytes + i * sizeof(number), sizeof(number));
		codec__u32(codec, "frame", &number, frames);
	}
}

void stack_book__write(struct stack_book *book, struct record_writer *writer)
{
	uint32_t strings = HASH_COUNT(book->strings.entries);
	uint32_t files = HASH_COUNT(book->files.entries);
	uint32_t frames = HASH_COUNT(book->frames.entries);
	const struct entry *entry;

	for (entry = book->strings.entries; entry; entry = entry->hh.next) {
		char *text = (char *)entry->bytes;

		codec__string(record_writer__record(writer, RECORD_STRINGS), "text", &text,
			      RECORD_STRING_MAX);
	}
	for (entry = book->files.entries; entry; entry = entry->hh.next)
		fields__file(record_writer__record(writer, RECORD_FILES),
			     (struct file_record *)entry->bytes, strings);
	for (entry = book->frames.entries; entry; entry = entry->hh.next)
		fields__frame(record_writer__record(writer, RECORD_FRAMES),
			      (struct frame_record *)entry->bytes, strings, files);
	for (entry = book->stacks.entries; entry; entry = entry->hh.next)
		write_stack(record_writer__record(writer, RECORD_STACKS), entry, frames);
	HASH_SORT(book->identities, compare_identities);
	for (struct identity *at = book->identities; at; at = at->hh.next)
		if (at->record.stack)
			fields__identity(record_writer__record(writer, RECORD_IDENTITIES),
					 &at->record, HASH_COUNT(book->stacks.entries));
}
