/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_STRINGS_H
#define MEMDRIFT_OUTPUT_STRINGS_H

#include <stddef.h>
#include <stdint.h>

/* Strings, each once, by their number from 0 on. */
struct string_set {
	struct string_entry *table;
	const char **list; /* by number; owned by the set */
	uint32_t count;
	size_t room;
};

#define STRING_NONE UINT32_MAX

/* The number of a string, which is copied when it is new; STRING_NONE: out of memory. */
uint32_t string_set__add(struct string_set *set, const char *text);
/* The same of its printable form. */
uint32_t string_set__add_printable(struct string_set *set, const char *raw);
void string_set__free(struct string_set *set);

#endif
