// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/jit_map.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "stack/jit_names.h"

/* Longer lines are skipped: V8 writes a path and a function's name. */
#define LINE_MAX_BYTES 8192
#define PIECE_BYTES    65536

/*
 * New lines are looked through one by one until there are so many: sorting after each that comes
 * would take longer than all looking.
 */
#define UNSORTED_MAX 512

/* Code that lies around other code: of generations whose memory was used again. */
#define OVERLAPS_MAX 16

void jit_map__clear(struct jit_map *map)
{
	free(map->entries);
	*map = (struct jit_map){.max = map->max};
}

static int compare_entries(const void *a, const void *b)
{
	const struct jit_entry *x = a, *y = b;

	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

static void sort_entries(struct jit_map *map)
{
	if (map->count - map->sorted <= UNSORTED_MAX + map->sorted / 8)
		return;
	qsort(map->entries, map->count, sizeof(*map->entries), compare_entries);
	map->sorted = map->count;
}

static void add_entry(struct jit_map *map, uint64_t start, uint64_t size, const char *name,
		      size_t length, struct text_pool *names)
{
	struct jit_entry *entry;

	if (map->count >= map->max)
		return;
	if (map->count == map->room) {
		size_t room = map->room ? 2 * map->room : 256;
		struct jit_entry *bigger = reallocarray(map->entries, room, sizeof(*bigger));

		if (!bigger)
			return;
		map->entries = bigger;
		map->room = room;
	}
	entry = &map->entries[map->count];
	entry->start = start;
	entry->end = start + size;
	entry->number = map->lines;
	entry->name = text_pool__keep_bytes(names, name, length);
	map->count += !!entry->name;
}

/* Hexadecimal digits and the blanks behind them; *at moves past them. */
static bool read_number(const char **at, const char *end, uint64_t *value)
{
	const char *from;

	*value = 0;
	if (end - *at > 2 && (*at)[0] == '0' && ((*at)[1] | 0x20) == 'x')
		*at += 2;
	for (from = *at; *at < end; (*at)++) {
		char c = **at;
		unsigned int digit;

		if (c >= '0' && c <= '9')
			digit = (unsigned int)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			digit = (unsigned int)((c | 0x20) - 'a') + 10;
		else
			break;
		if (*value >> 60)
			return false;
		*value = *value << 4 | digit;
	}
	if (*at == from || *at == end || **at != ' ')
		return false;
	while (*at < end && **at == ' ')
		(*at)++;
	return true;
}

static void read_line(struct jit_map *map, const char *line, size_t length, struct text_pool *names)
{
	const char *end = line + length, *nul;
	uint64_t start, size;

	map->lines++;
	if (!read_number(&line, end, &start) || !read_number(&line, end, &size) || !size ||
	    size > UINT64_MAX - start || line == end)
		return;
	/* A name is a string for all who come after. */
	nul = memchr(line, '\0', (size_t)(end - line));
	if (nul)
		end = nul;
	if (end > line)
		add_entry(map, start, size, line, (size_t)(end - line), names);
}

/* Whole lines only; returns how many bytes they were. */
static size_t read_lines(struct jit_map *map, const char *bytes, size_t size,
			 struct text_pool *names)
{
	size_t done = 0;

	while (done < size) {
		const char *end = memchr(bytes + done, '\n', size - done);
		size_t length;

		if (!end)
			break;
		length = (size_t)(end - (bytes + done));
		if (length <= LINE_MAX_BYTES)
			read_line(map, bytes + done, length, names);
		done += length + 1;
	}
	/* No line is as long as the piece. */
	return done || size < PIECE_BYTES ? done : size;
}

bool jit_map__read(struct jit_map *map, int fd, struct text_pool *names)
{
	uint64_t before;
	struct stat st;
	char *piece;

	if (fstat(fd, &st) || st.st_size < 0)
		return false;
	if ((uint64_t)st.st_size < map->read_bytes)
		jit_map__clear(map);
	before = map->read_bytes;
	if ((uint64_t)st.st_size == before || before >= JIT_MAP_MAX_BYTES)
		return false;
	piece = malloc(PIECE_BYTES);
	while (piece && map->read_bytes < JIT_MAP_MAX_BYTES) {
		ssize_t got = pread(fd, piece, PIECE_BYTES, (off_t)map->read_bytes);
		size_t used = got > 0 ? read_lines(map, piece, (size_t)got, names) : 0;

		if (!used)
			break;
		map->read_bytes += used;
	}
	free(piece);
	sort_entries(map);
	return map->read_bytes != before;
}

static const struct jit_entry *find_sorted(const struct jit_map *map, uint64_t address)
{
	const struct jit_entry *found = NULL;
	size_t low = 0, high = map->sorted;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (map->entries[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t n = 0; low && n < OVERLAPS_MAX; low--, n++) {
		const struct jit_entry *entry = &map->entries[low - 1];

		if (address < entry->end && (!found || entry->number > found->number))
			found = entry;
	}
	return found;
}

const struct jit_entry *jit_map__find(const struct jit_map *map, uint64_t address)
{
	for (size_t i = map->count; i > map->sorted; i--) {
		const struct jit_entry *entry = &map->entries[i - 1];

		if (address >= entry->start && address < entry->end)
			return entry;
	}
	return find_sorted(map, address);
}
