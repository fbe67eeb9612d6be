/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_EXPLAIN_JSON_H
#define MEMDRIFT_OUTPUT_EXPLAIN_JSON_H

#include "output/explain.h"
#include "output/explain_text.h"
#include "output/json.h"

/* The parts of the JSON of an explanation; shared by src/output/explain_json*.c only. All return a
 * new value. */

/* null when the check was not made. */
json_t *json_check(const struct check *check);
/* null below 0: unknown, or none. */
json_t *json_signed(int64_t value);
/* null for an empty text. */
json_t *json_word(const char *raw);

/* Writes a value and a newline, and frees it. 0, -ENOMEM (for NULL, too) or what writing gave. */
int explain_json__dump(FILE *out, json_t *root);

/* Each null where the process has none of it. */
json_t *explain_json__glibc(const struct explanation *explanation);
json_t *explain_json__go(const struct explanation *explanation);
json_t *explain_json__jemalloc(const struct explanation *explanation);

#endif
