// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What the reports say of size classes. */
#include "trace_fixture.h"

#include <jansson.h>

#include "analysis/size_class.h"

static enum rules_match match;
static const char *names[3];

static enum rules_match tell_match(const struct class_table *table, const struct process *process)
{
	return match;
}

static const char *tell_name(const struct process *process, unsigned int index)
{
	return names[index];
}

struct classes {
	struct class_table table;
	struct class_counts counts;
};

/* 1,000 requests of 100 bytes, 10 of 40,000, and one of more than can be had. */
static void count_classes(struct fixture *fix, struct classes *classes, enum size_rules rules)
{
	struct class_table *table = &classes->table;
	struct class_counts *counts = &classes->counts;

	memset(classes, 0, sizeof(*classes));
	size_class__fill_table(rules, table);
	counts->rows[table->rows[104 / CLASS_TABLE_STEP]] = (struct class_count){1000, 100000, 0};
	counts->rows[table->first_computed + (rules == SIZE_RULES_GLIBC ? 20 : 0)] =
		(struct class_count){10, 400000, 10 * size_class__bytes(rules, 40000)};
	fix->cal.classes = counts;
	fix->result.classes = table;
	fix->result.rules_match = tell_match;
	fix->result.allocator_name = tell_name;
	match = RULES_MATCH;
	names[0] = size_rules__name(rules);
	names[1] = NULL;
}

static char *text_report(struct fixture *fix)
{
	const struct text_options options = {.utf8 = true};
	char *text = NULL;

	FIX_CAPTURE(text, trace_text__write(out, &fix->result, &options));
	return text;
}

static json_t *json_classes(struct fixture *fix, json_t **root)
{
	char *text = NULL;
	json_t *classes;

	FIX_CAPTURE(text, trace_json__write(out, &fix->result));
	*root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	classes = json_object_get(json_array_get(json_object_get(*root, "processes"), 0),
				  "size_classes");
	assert_non_null(classes);
	return classes;
}

static int64_t integer(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	assert_true(json_is_integer(value));
	return json_integer_value(value);
}

#define assert_has(text, part)                                                 \
	do {                                                                   \
		if (!strstr((text), (part)))                                   \
			fail_msg("\"%s\" is missing in:\n%s", (part), (text)); \
	} while (0)

static void text_is_sorted_by_waste(void **state)
{
	struct classes classes;
	struct fixture fix;
	char *text;

	fix_init(&fix);
	count_classes(&fix, &classes, SIZE_RULES_JEMALLOC);
	fix_build(&fix);
	text = text_report(&fix);
	assert_has(text,
		   "\n  size class (jemalloc)  calls  requested  set aside    waste  of set aside\n"
		   "  112 B                  1,000    97.7 kB   109.4 kB  11.7 kB        10.7 %\n"
		   "  40,960 B                  10   390.6 kB   400.0 kB   9.4 kB         2.3 %\n"
		   "  all                    1,010   488.3 kB   509.4 kB  21.1 kB         4.1 %\n");
	assert_has(text, "By the rules of jemalloc 5");
	assert_null(strstr(text, "not the rules"));
	free(text);
	fix_free(&fix);
}

static void ranges_are_ranges(void **state)
{
	struct classes classes;
	struct fixture fix;
	char *text;

	fix_init(&fix);
	count_classes(&fix, &classes, SIZE_RULES_GLIBC);
	classes.counts.rows[CLASS_ROWS - 1] = (struct class_count){1, 1ull << 60, 1ull << 60};
	fix_build(&fix);
	text = text_report(&fix);
	assert_has(text, "\n  32,784 - 40,960 B ");
	assert_has(text, "\n  from ");
	free(text);
	fix_free(&fix);
}

static void other_rules_are_said(void **state)
{
	struct classes classes;
	struct fixture fix;
	char *text;

	fix_init(&fix);
	count_classes(&fix, &classes, SIZE_RULES_GO);
	classes.counts.header_unknown = 3;
	match = RULES_DIFFER;
	names[0] = "glibc";
	names[1] = "jemalloc";
	fix_build(&fix);
	text = text_report(&fix);
	assert_has(text,
		   "These are not the rules of its allocator: it has glibc, jemalloc mapped,");
	assert_has(text, "unknown of 3 requests");
	free(text);
	match = RULES_UNKNOWN;
	text = text_report(&fix);
	assert_has(text, "Which allocator it has is not known");
	free(text);
	fix_free(&fix);
	names[1] = NULL;
}

static void json_has_each_class(void **state)
{
	struct classes classes;
	json_t *root, *object, *rows;
	struct fixture fix;

	fix_init(&fix);
	count_classes(&fix, &classes, SIZE_RULES_JEMALLOC);
	classes.counts.rows[CLASS_ROWS - 1] = (struct class_count){1, 5, 5};
	fix_build(&fix);
	object = json_classes(&fix, &root);
	assert_string_equal(json_string_value(json_object_get(object, "rules")), "jemalloc");
	assert_string_equal(json_string_value(json_object_get(object, "matches_allocator")), "yes");
	assert_int_equal(json_array_size(json_object_get(object, "allocators")), 1);
	assert_int_equal(integer(object, "requested_bytes"), 500005);
	assert_int_equal(integer(object, "class_bytes"), 521605);
	assert_int_equal(integer(object, "waste_bytes"), 21600);
	assert_true(json_is_null(json_object_get(object, "header_unknown")));
	rows = json_object_get(object, "classes");
	assert_int_equal(json_array_size(rows), 3);
	assert_int_equal(integer(json_array_get(rows, 0), "class_bytes"), 112);
	assert_int_equal(integer(json_array_get(rows, 0), "count"), 1000);
	assert_int_equal(integer(json_array_get(rows, 0), "requested_bytes"), 100000);
	assert_int_equal(integer(json_array_get(rows, 0), "waste_bytes"), 12000);
	assert_int_equal(integer(json_array_get(rows, 1), "max_class_bytes"), 40960);
	assert_true(json_is_null(json_object_get(json_array_get(rows, 2), "max_class_bytes")));
	json_decref(root);
	match = RULES_UNKNOWN;
	object = json_classes(&fix, &root);
	assert_true(json_is_null(json_object_get(object, "allocators")));
	json_decref(root);
	fix_free(&fix);
}

static void nothing_is_null(void **state)
{
	struct classes classes;
	json_t *root, *object;
	struct fixture fix;
	char *text;

	fix_init(&fix);
	fix_build(&fix);
	object = json_classes(&fix, &root);
	assert_true(json_is_null(object));
	json_decref(root);
	text = text_report(&fix);
	assert_null(strstr(text, "size class"));
	free(text);
	/* Asked for, and not counted in this process. */
	count_classes(&fix, &classes, SIZE_RULES_GLIBC);
	fix.cal.classes = NULL;
	object = json_classes(&fix, &root);
	assert_true(json_is_null(object));
	json_decref(root);
	fix_free(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text_is_sorted_by_waste), cmocka_unit_test(ranges_are_ranges),
		cmocka_unit_test(other_rules_are_said),    cmocka_unit_test(json_has_each_class),
		cmocka_unit_test(nothing_is_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
