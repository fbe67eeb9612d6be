// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/strings.h"

#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "base/text.h"

struct string_entry {
	UT_hash_handle hh;
	uint32_t number;
	char text[];
};

static int make_room(struct string_set *set)
{
	size_t room = set->room ? 2 * set->room : 256;
	const char **bigger;

	if (set->count < set->room)
		return 0;
	bigger = reallocarray(set->list, room, sizeof(*bigger));
	if (!bigger)
		return -1;
	set->list = bigger;
	set->room = room;
	return 0;
}

uint32_t string_set__add(struct string_set *set, const char *text)
{
	size_t length = strlen(text);
	struct string_entry *entry;

	HASH_FIND(hh, set->table, text, length, entry);
	if (entry)
		return entry->number;
	if (set->count == STRING_NONE || make_room(set))
		return STRING_NONE;
	entry = malloc(sizeof(*entry) + length + 1);
	if (!entry)
		return STRING_NONE;
	memset(entry, 0, sizeof(*entry));
	memcpy(entry->text, text, length + 1);
	entry->number = set->count;
	set->list[set->count++] = entry->text;
	HASH_ADD_KEYPTR(hh, set->table, entry->text, length, entry);
	return entry->number;
}

uint32_t string_set__add_printable(struct string_set *set, const char *raw)
{
	char *text = text_printable_dup(raw);
	uint32_t number = text ? string_set__add(set, text) : STRING_NONE;

	free(text);
	return number;
}

void string_set__free(struct string_set *set)
{
	struct string_entry *entry, *next;

	HASH_ITER (hh, set->table, entry, next) {
		HASH_DEL(set->table, entry);
		free(entry);
	}
	free(set->list);
	*set = (struct string_set){0};
}
