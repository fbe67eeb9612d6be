// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Where samples lie: locations, their functions, and the files that these are mapped from. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "output/pprof_writer.h"

struct pprof_function {
	UT_hash_handle hh;
	struct {
		int64_t name, filename;
	} key;
	uint64_t id;
};

struct pprof_mapping {
	UT_hash_handle hh;
	const struct frame_file *file; /* the key */
	uint64_t id;
	bool has_functions, has_filenames, has_lines, has_inlined;
};

int pprof_writer__begin(struct pprof_writer *writer)
{
	writer->located = calloc(writer->profile->frame_count + 1, sizeof(*writer->located));
	return writer->located ? 0 : -ENOMEM;
}

void pprof_writer__end(struct pprof_writer *writer)
{
	struct pprof_function *function, *next_function;
	struct pprof_mapping *mapping, *next_mapping;

	HASH_ITER (hh, writer->functions, function, next_function) {
		HASH_DEL(writer->functions, function);
		free(function);
	}
	HASH_ITER (hh, writer->mappings, mapping, next_mapping) {
		HASH_DEL(writer->mappings, mapping);
		free(mapping);
	}
	string_set__free(&writer->strings);
	free(writer->located);
}

/* NULL for what is in no file, and when memory is out. */
static struct pprof_mapping *find_mapping(struct pprof_writer *writer,
					  const struct frame_file *file)
{
	struct pprof_mapping *mapping;

	if (!file)
		return NULL;
	HASH_FIND_PTR(writer->mappings, &file, mapping);
	if (mapping)
		return mapping;
	mapping = calloc(1, sizeof(*mapping));
	if (!mapping) {
		writer->err = -ENOMEM;
		return NULL;
	}
	mapping->file = file;
	mapping->id = ++writer->mapping_count;
	HASH_ADD_PTR(writer->mappings, file, mapping);
	return mapping;
}

/* Signs that no symbol table has: the name was demangled, and pprof must not shorten it. */
static bool is_symbol(const char *name)
{
	return !strpbrk(name, "<>()[]{}:, ");
}

static void put_function(struct pprof_writer *writer, const struct pprof_function *function,
			 const char *name)
{
	Pprof__Function message = PPROF__FUNCTION__INIT, *list = &message;
	Pprof__Profile part = PPROF__PROFILE__INIT;

	message.id = function->id;
	message.name = function->key.name;
	message.system_name = is_symbol(name) ? message.name : 0;
	message.filename = function->key.filename;
	part.n_function = 1;
	part.function = &list;
	pprof_writer__put(writer, &part);
}

static uint64_t function_id(struct pprof_writer *writer, const char *name, const char *source)
{
	struct pprof_function wanted = {0}, *function;

	wanted.key.name = pprof_writer__string(writer, name);
	wanted.key.filename = source ? pprof_writer__string(writer, source) : 0;
	HASH_FIND(hh, writer->functions, &wanted.key, sizeof(wanted.key), function);
	if (function)
		return function->id;
	function = calloc(1, sizeof(*function));
	if (!function) {
		writer->err = -ENOMEM;
		return 0;
	}
	function->key = wanted.key;
	function->id = ++writer->function_count;
	HASH_ADD(hh, writer->functions, key, sizeof(function->key), function);
	put_function(writer, function, name);
	return function->id;
}

/*
 * As the file's own program headers place it, so that binutils and symbol servers find it: 0 when
 * that is not known. Of a return address the call, whose last byte is before it.
 */
static uint64_t frame_address(const struct frame_name *frame)
{
	const struct frame_file *file = frame->file;
	uint64_t offset = frame->offset - (frame->is_return && frame->offset ? 1 : 0);

	if (!file || offset < file->text_offset || offset - file->text_offset >= file->text_bytes)
		return 0;
	return file->text_vaddr + (offset - file->text_offset);
}

static void put_location(struct pprof_writer *writer, Pprof__Location *location)
{
	Pprof__Profile part = PPROF__PROFILE__INIT;

	part.n_location = 1;
	part.location = &location;
	pprof_writer__put(writer, &part);
}

static void fill_line(struct pprof_writer *writer, const struct frame_name *frame,
		      struct pprof_mapping *mapping, Pprof__Line *line)
{
	*line = (Pprof__Line)PPROF__LINE__INIT;
	line->function_id =
		function_id(writer, frame->function ? frame->function : frame->text, frame->source);
	line->line = frame->line;
	if (!mapping)
		return;
	mapping->has_functions |= frame->function != NULL;
	mapping->has_filenames |= frame->source != NULL;
	mapping->has_lines |= frame->line != 0;
	mapping->has_inlined |= frame->is_inlined;
}

/* `count` entries of one offset: all but the last are inlined into the next. */
static void put_frames(struct pprof_writer *writer, const uint32_t *frames, size_t count)
{
	const struct profile *profile = writer->profile;
	const struct frame_name *last = &profile->frames[frames[count - 1]];
	struct pprof_mapping *mapping = find_mapping(writer, last->file);
	Pprof__Location location = PPROF__LOCATION__INIT;
	Pprof__Line *lines = calloc(count, sizeof(*lines)), **list = calloc(count, sizeof(*list));

	if (lines && list) {
		for (size_t i = 0; i < count; i++) {
			fill_line(writer, &profile->frames[frames[i]], mapping, &lines[i]);
			list[i] = &lines[i];
		}
		location.id = (uint64_t)frames[count - 1] + 1;
		location.mapping_id = mapping ? mapping->id : 0;
		location.address = frame_address(last);
		location.n_line = count;
		location.line = list;
		put_location(writer, &location);
	} else {
		writer->err = -ENOMEM;
	}
	free(lines);
	free(list);
}

/* "[no-stack]" and the like: ids behind those of all frames. */
static uint64_t locate_other(struct pprof_writer *writer, const struct profile_sample *sample)
{
	uint64_t id = (uint64_t)writer->profile->frame_count + 1 + sample->kind;
	Pprof__Location location = PPROF__LOCATION__INIT;
	Pprof__Line line = PPROF__LINE__INIT, *list = &line;

	if (writer->other_located[sample->kind])
		return id;
	writer->other_located[sample->kind] = true;
	location.id = id;
	line.function_id = function_id(writer, profile_sample__instead(sample), NULL);
	location.n_line = 1;
	location.line = &list;
	put_location(writer, &location);
	return id;
}

size_t pprof_writer__locations(struct pprof_writer *writer, const struct profile_sample *sample)
{
	const struct profile *profile = writer->profile;
	const uint32_t *stack = profile->stack_frames + sample->first;
	size_t n = 0;

	if (!sample->depth) {
		writer->location_ids[0] = locate_other(writer, sample);
		return 1;
	}
	for (uint32_t i = 0, end; i < sample->depth && !writer->err; i = end) {
		end = i + 1;
		while (end < sample->depth && profile->frames[stack[end - 1]].is_inlined)
			end++;
		if (!writer->located[stack[end - 1]])
			put_frames(writer, stack + i, end - i);
		writer->located[stack[end - 1]] = true;
		writer->location_ids[n++] = (uint64_t)stack[end - 1] + 1;
	}
	return n;
}

void pprof_writer__main_mappings(struct pprof_writer *writer)
{
	const struct profile *profile = writer->profile;
	const char *exe = profile->process_count ? profile->processes[0].exe : NULL;

	for (uint32_t i = 0; exe && i < profile->frame_count; i++) {
		const struct frame_file *file = profile->frames[i].file;

		if (file && !strcmp(file->path, exe))
			find_mapping(writer, file);
	}
}

void pprof_writer__mappings(struct pprof_writer *writer)
{
	for (struct pprof_mapping *mapping = writer->mappings; mapping;
	     mapping = mapping->hh.next) {
		const struct frame_file *file = mapping->file;
		Pprof__Mapping message = PPROF__MAPPING__INIT, *list = &message;
		Pprof__Profile part = PPROF__PROFILE__INIT;

		message.id = mapping->id;
		if (file->text_bytes) {
			message.memory_start = file->text_vaddr;
			message.memory_limit = file->text_vaddr + file->text_bytes;
			message.file_offset = file->text_offset;
		}
		message.filename = pprof_writer__string(writer, file->path);
		message.build_id = pprof_writer__string(writer, file->build_id);
		message.has_functions = mapping->has_functions;
		message.has_filenames = mapping->has_filenames;
		message.has_line_numbers = mapping->has_lines;
		message.has_inline_frames = mapping->has_inlined;
		part.n_mapping = 1;
		part.mapping = &list;
		pprof_writer__put(writer, &part);
	}
}
