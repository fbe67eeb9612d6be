// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "analysis/report_json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"

void json_reader__init(struct json_reader *reader, const char *file, char *error, size_t size)
{
	*reader = (struct json_reader){.error = error, .error_size = size, .command = "trace"};
	text_printable(reader->file, sizeof(reader->file), file);
}

struct source {
	FILE *in;
	uint64_t left;
	bool too_large;
	bool empty;
	int err;
};

static size_t read_some(void *buffer, size_t size, void *ctx)
{
	struct source *source = ctx;
	size_t n;

	errno = 0;
	n = fread(buffer, 1, size, source->in);
	if (ferror(source->in)) {
		source->err = errno ? -errno : -EIO;
		return (size_t)-1;
	}
	if (n)
		source->empty = false;
	if (n > source->left) {
		source->too_large = true;
		return (size_t)-1;
	}
	source->left -= n;
	return n;
}

json_t *json_reader__load(struct json_reader *reader, FILE *in, uint64_t max_bytes, int *err)
{
	struct source source = {.in = in, .left = max_bytes, .empty = true};
	char why[4 * JSON_ERROR_TEXT_LENGTH];
	json_error_t error;
	/* jansson itself gives up at a depth of 2,048, so that neither stack nor memory runs out.
	 */
	json_t *root = json_load_callback(read_some, &source, JSON_REJECT_DUPLICATES, &error);

	*err = 0;
	if (root)
		return root;
	*err = -EINVAL;
	if (source.err) {
		*err = source.err;
		snprintf(reader->error, reader->error_size, "cannot read %s: %s", reader->file,
			 strerror(-source.err));
	} else if (source.too_large) {
		*err = -EFBIG;
		snprintf(reader->error, reader->error_size,
			 "%s: more than %" PRIu64 " MB, too large for a report", reader->file,
			 max_bytes >> 20);
	} else if (source.empty) {
		snprintf(reader->error, reader->error_size,
			 "%s: the file is empty; expected a report of `memdrift %s --json`",
			 reader->file, reader->command);
	} else if (json_error_code(&error) == json_error_out_of_memory) {
		*err = json_reader__no_memory(reader);
	} else {
		snprintf(reader->error, reader->error_size,
			 "%s: line %d, column %d: expected a report in JSON: %s", reader->file,
			 error.line, error.column, text_printable(why, sizeof(why), error.text));
	}
	return NULL;
}

size_t json_reader__enter(struct json_reader *reader, const char *key, size_t index)
{
	size_t mark = strlen(reader->place);

	/* The names are our own and nest three deep: 128 bytes hold any. */
	if (index == JSON_NO_INDEX)
		snprintf(reader->place + mark, sizeof(reader->place) - mark, "%s%s",
			 mark ? "." : "", key);
	else
		snprintf(reader->place + mark, sizeof(reader->place) - mark, "%s%s[%zu]",
			 mark ? "." : "", key, index);
	return mark;
}

void json_reader__leave(struct json_reader *reader, size_t mark)
{
	reader->place[mark] = '\0';
}

static void write_error(struct json_reader *reader, const char *key, const char *what)
{
	bool both = *reader->place && key;

	snprintf(reader->error, reader->error_size, "%s: %s%s%s: expected %s", reader->file,
		 reader->place, both ? "." : "", key ? key : "", what);
}

int json_reader__refuse(struct json_reader *reader, const char *key, const char *expected, ...)
{
	char what[256];
	va_list args;

	va_start(args, expected);
	vsnprintf(what, sizeof(what), expected, args);
	va_end(args);
	write_error(reader, key, what);
	return -EINVAL;
}

#define FOUND_MAX 64

static const char *describe(char buf[FOUND_MAX], const json_t *value)
{
	static const char *const kinds[] = {
		[JSON_OBJECT] = "an object", [JSON_ARRAY] = "a list", [JSON_STRING] = "a text",
		[JSON_TRUE] = "true",        [JSON_FALSE] = "false",  [JSON_NULL] = "null",
	};

	if (!value)
		snprintf(buf, FOUND_MAX, "it is missing");
	else if (json_is_integer(value))
		snprintf(buf, FOUND_MAX, "it is %lld", (long long)json_integer_value(value));
	else if (json_is_real(value))
		snprintf(buf, FOUND_MAX, "it is %g", json_real_value(value));
	else
		snprintf(buf, FOUND_MAX, "it is %s", kinds[json_typeof(value)]);
	return buf;
}

int json_reader__found(struct json_reader *reader, const char *key, const char *expected,
		       const json_t *found)
{
	char is[FOUND_MAX];

	return json_reader__refuse(reader, key, "%s; %s", expected, describe(is, found));
}

int json_reader__no_memory(struct json_reader *reader)
{
	snprintf(reader->error, reader->error_size, "%s: out of memory", reader->file);
	return -ENOMEM;
}

int json_reader__object(struct json_reader *reader, const char *key, const json_t *value)
{
	return json_is_object(value) ? 0 : json_reader__found(reader, key, "an object", value);
}

int json_reader__whole(struct json_reader *reader, const json_t *object, const char *key,
		       enum json_need need, int64_t *value)
{
	const json_t *found = json_object_get(object, key);

	*value = -1;
	if (need == JSON_OPTIONAL && (!found || json_is_null(found)))
		return 0;
	if (!json_is_integer(found) || json_integer_value(found) < 0)
		return json_reader__found(reader, key, "a whole number from 0 to 2^63 - 1", found);
	*value = json_integer_value(found);
	return 0;
}

int json_reader__number(struct json_reader *reader, const json_t *object, const char *key,
			double *value)
{
	const json_t *found = json_object_get(object, key);

	*value = NAN;
	if (!found || json_is_null(found))
		return 0;
	/* json_number_value() of anything else is 0. */
	*value = json_number_value(found);
	if (!json_is_number(found) || !(*value >= 0 && *value <= 0x1p63))
		return json_reader__found(reader, key, "a number from 0 to 2^63, or null", found);
	return 0;
}

int json_reader__text(struct json_reader *reader, const json_t *object, const char *key,
		      char **text)
{
	const json_t *found = json_object_get(object, key);

	*text = NULL;
	if (!found || json_is_null(found))
		return 0;
	if (!json_is_string(found))
		return json_reader__found(reader, key, "a text, or null", found);
	*text = text_printable_dup(json_string_value(found));
	return *text ? 0 : json_reader__no_memory(reader);
}
