/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_ANALYSIS_REPORT_JSON_H
#define MEMDRIFT_ANALYSIS_REPORT_JSON_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/*
 * Values of a JSON file that anyone may have written. The reader knows where it is, so that a
 * message names file, place and what was expected: "a.json: processes[3].live.bytes: expected …".
 * Every function returns 0 or a negative errno after writing the message, but where it says so.
 */
struct json_reader {
	char file[256]; /* printable */
	char place[128];
	char *error; /* not owned */
	size_t error_size;
	const char *command; /* of memdrift, whose report is expected: "trace" unless changed */
};

enum json_need {
	JSON_REQUIRED,
	JSON_OPTIONAL, /* may be null or missing */
};

#define JSON_NO_INDEX SIZE_MAX

void json_reader__init(struct json_reader *reader, const char *file, char *error, size_t size);

/* One object or other value and nothing after it; NULL with *err after a message. */
json_t *json_reader__load(struct json_reader *reader, FILE *in, uint64_t max_bytes, int *err);

/* Goes into a member, or into one of its elements; returns what leave() takes. */
size_t json_reader__enter(struct json_reader *reader, const char *key, size_t index);
void json_reader__leave(struct json_reader *reader, size_t mark);

/* Write the message and return its error. key NULL: the place itself. */
int json_reader__refuse(struct json_reader *reader, const char *key, const char *expected, ...)
	__attribute__((format(printf, 3, 4)));
int json_reader__found(struct json_reader *reader, const char *key, const char *expected,
		       const json_t *found);
int json_reader__no_memory(struct json_reader *reader);

int json_reader__object(struct json_reader *reader, const char *key, const json_t *value);
/* A whole number from 0 on; -1 when it is optional and not there. */
int json_reader__whole(struct json_reader *reader, const json_t *object, const char *key,
		       enum json_need need, int64_t *value);
/* An optional number from 0 to 2^63; NAN when it is not there. */
int json_reader__number(struct json_reader *reader, const json_t *object, const char *key,
			double *value);
/* An optional text, made printable, for free(); NULL when it is not there. */
int json_reader__text(struct json_reader *reader, const json_t *object, const char *key,
		      char **text);

#endif
