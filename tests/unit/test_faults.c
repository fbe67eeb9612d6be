// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Page faults of a process in figures, in words and in JSON. */
#include "trace_fixture.h"

#include <jansson.h>

#include "output/faults.h"

static struct stack_weights faults;

static void sample(struct fixture *fix, int32_t stack, uint64_t count)
{
	stack_weights__add(&faults, 8212, fix->cal.start_ns, stack, count, 0);
}

static void init(struct fixture *fix, uint64_t period)
{
	fix_init(fix);
	faults = (struct stack_weights){0};
	fix->result.fault_weights = &faults;
	fix->result.fault_period = period;
	fix->cal.faults.before = 1000;
	fix->cal.faults.now = 8261;
}

static void end(struct fixture *fix)
{
	stack_weights__free(&faults);
	fix_free(fix);
}

static void figures_are_of_pages_and_periods(void **state)
{
	struct fault_figures figures;
	struct fixture fix;

	init(&fix, 61);
	process__faults(&fix.result, &fix.cal, &figures);
	assert_int_equal(figures.sampled, 0);
	assert_int_equal(figures.bytes, 0);
	/* 1.92 + 1.96 sqrt(0.96) = 3.84 samples: what the 95 % interval of none is known to be. */
	assert_in_range(figures.error_bytes, 3.84 * 61 * 4096 - 300, 3.84 * 61 * 4096 + 300);
	sample(&fix, FIX_STACK_CHUNK, 90);
	sample(&fix, STACK_NONE, 10);
	process__faults(&fix.result, &fix.cal, &figures);
	assert_int_equal(figures.sampled, 100);
	assert_int_equal(figures.bytes, 100 * 61 * 4096);
	/* Exact limits of a Poisson count of 100 are 81.4 and 121.6. */
	assert_in_range(figures.error_bytes, 21.5 * 61 * 4096, 21.8 * 61 * 4096);
	assert_true(figures.counted_known);
	assert_int_equal(figures.counted, 7261);
	end(&fix);
}

static void every_fault_is_no_estimate(void **state)
{
	struct fault_figures figures;
	struct fixture fix;

	init(&fix, 1);
	sample(&fix, FIX_STACK_CHUNK, 7261);
	process__faults(&fix.result, &fix.cal, &figures);
	assert_int_equal(figures.bytes, 7261 * 4096);
	assert_int_equal(figures.error_bytes, 0);
	end(&fix);
}

static void a_count_that_is_not_known_is_none(void **state)
{
	struct fault_figures figures;
	struct fixture fix;

	init(&fix, 61);
	fix.cal.faults.before = FAULTS_UNKNOWN;
	process__faults(&fix.result, &fix.cal, &figures);
	assert_false(figures.counted_known);
	fix.cal.faults.before = 9000;
	process__faults(&fix.result, &fix.cal, &figures);
	assert_false(figures.counted_known);
	end(&fix);
}

static void a_product_beyond_64_bits_is_left_out(void **state)
{
	struct fixture fix;

	init(&fix, 61);
	assert_int_equal(faults__bytes(&fix.result, UINT64_MAX), 0);
	assert_int_equal(faults__bytes(&fix.result, 2), 2 * 61 * 4096);
	end(&fix);
}

static void words_have_the_error_and_the_count(void **state)
{
	struct text_options options = {.utf8 = true, .top = 10};
	struct fixture fix;
	char *text = NULL;

	init(&fix, 61);
	sample(&fix, FIX_STACK_CHUNK, 90);
	sample(&fix, STACK_NONE, 10);
	fix_build(&fix);
	FIX_CAPTURE(text, trace_text__write(out, &fix.result, &options));
	assert_non_null(strstr(text,
			       "Page faults brought in 23.8 MB ± 5,273.8 kB (95 %): one of 61 "
			       "was sampled, 100 in all"));
	assert_non_null(strstr(text, "The kernel counted 7,261 faults of it, 28.4 MB."));
	assert_non_null(strstr(text, "90.0 %  fastcache.getChunk < "));
	assert_non_null(strstr(text, "10.0 %  no stack"));
	assert_null(strstr(text, "Transparent huge pages"));
	free(text);
	fix.result.huge_pages = true;
	FIX_CAPTURE(text, trace_text__write(out, &fix.result, &options));
	assert_non_null(strstr(text, "Transparent huge pages are on"));
	free(text);
	end(&fix);
}

static json_t *faults_of(struct fixture *fix, json_t **root)
{
	char *text = NULL;

	FIX_CAPTURE(text, trace_json__write(out, &fix->result));
	*root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	free(text);
	assert_non_null(*root);
	return json_object_get(json_array_get(json_object_get(*root, "processes"), 0), "faults");
}

static void json_has_every_stack(void **state)
{
	struct fixture fix;
	json_t *root, *object;
	json_int_t sampled, counted;

	init(&fix, 61);
	sample(&fix, FIX_STACK_CHUNK, 90);
	sample(&fix, STACK_NONE, 10);
	fix_build(&fix);
	object = faults_of(&fix, &root);
	assert_int_equal(
		json_unpack(object, "{s:I, s:I}", "sampled", &sampled, "counted", &counted), 0);
	assert_int_equal(sampled, 100);
	assert_int_equal(counted, 7261);
	assert_int_equal(json_array_size(json_object_get(object, "stacks")), 2);
	json_decref(root);
	fix.result.fault_weights = NULL;
	object = faults_of(&fix, &root);
	assert_true(json_is_null(object));
	json_decref(root);
	end(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_are_of_pages_and_periods),
		cmocka_unit_test(every_fault_is_no_estimate),
		cmocka_unit_test(a_count_that_is_not_known_is_none),
		cmocka_unit_test(a_product_beyond_64_bits_is_left_out),
		cmocka_unit_test(words_have_the_error_and_the_count),
		cmocka_unit_test(json_has_every_stack),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
