// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a recording gives back. What it refuses is in test_recording_hostile.c. */
#include "recording_parts.h"

static void expect_same(const char *a, size_t a_size, const char *b, size_t b_size)
{
	size_t at = 0;

	while (at < a_size && at < b_size && a[at] == b[at])
		at++;
	if (at == a_size && at == b_size)
		return;
	fail_msg("they differ at byte %zu of %zu and %zu: \"%.60s\" and \"%.60s\"", at, a_size,
		 b_size, a + (at > 30 ? at - 30 : 0), b + (at > 30 ? at - 30 : 0));
}

static void outputs_are_the_traces_own(void **state)
{
	char error[RECORD_ERROR_MAX], *expected, *got;
	size_t expected_size, got_size;
	struct replayed replayed;
	struct recorded rec;

	rec_init(&rec);
	expected = rec_outputs(&rec.fix.result, &expected_size);
	if (rec_read(&replayed, rec.bytes, rec.size, error))
		fail_msg("%s", error);
	rec_build(&replayed, NULL, 0);
	got = rec_outputs(&replayed.result, &got_size);
	expect_same(got, got_size, expected, expected_size);
	/* The figures are in it, not two times nothing. */
	assert_non_null(strstr(got, "fastcache.getChunk"));
	assert_non_null(strstr(got, "\"live_bytes\": "));
	free(got);
	free(expected);
	rec_drop(&replayed);
	rec_free(&rec);
}

/* What the trace did not list can be listed of its recording. */
static void other_sizes_of_mappings_can_be_listed(void **state)
{
	static const uint64_t sizes[] = {3 * FIX_MB};
	char error[RECORD_ERROR_MAX], *expected, *got;
	size_t expected_size, got_size;
	struct replayed replayed;
	struct recorded rec;

	rec_init(&rec);
	if (rec_read(&replayed, rec.bytes, rec.size, error))
		fail_msg("%s", error);
	rec_build(&replayed, sizes, 1);
	trace_result__free(&rec.fix.result);
	assert_int_equal(trace_result__build(&rec.fix.result, sizes, 1, &rec.fix.facts), 0);
	expected = rec_outputs(&rec.fix.result, &expected_size);
	got = rec_outputs(&replayed.result, &got_size);
	assert_non_null(strstr(expected, "0x7c0000000000"));
	expect_same(got, got_size, expected, expected_size);
	free(got);
	free(expected);
	rec_drop(&replayed);
	rec_free(&rec);
}

/* Nothing is lost on the way, also of what no output shows. */
static void written_again_it_is_the_same(void **state)
{
	struct recording_source source = {.large = rec_sizes, .large_count = 2};
	char error[RECORD_ERROR_MAX], *again = NULL;
	struct large_facts facts, kept;
	struct replayed replayed;
	struct recorded rec;
	struct fact_log *log = fact_log__new();
	size_t size;

	assert_non_null(log);
	rec_init(&rec);
	if (rec_read(&replayed, rec.bytes, rec.size, error))
		fail_msg("%s", error);
	facts = recording__facts(replayed.recording);
	kept = fact_log__keep(log, &facts);
	assert_int_equal(trace_result__build(&replayed.result, rec_sizes, 2, &kept), 0);
	source.result = &replayed.result;
	source.facts = log;
	assert_int_equal(recording__ask(&source, &kept), 0);
	rec_write(&source, &again, &size);
	expect_same(again, size, rec.bytes, rec.size);
	free(again);
	fact_log__free(log);
	rec_drop(&replayed);
	rec_free(&rec);
}

/* As if the trace had been asked so: exact where no bucket is cut. */
static void filters_are_those_of_the_trace(void **state)
{
	const struct live_filter large = {.min_bytes = 4096, .max_bytes = UINT64_MAX};
	char error[RECORD_ERROR_MAX], *expected, *got;
	size_t expected_size, got_size;
	struct replayed replayed;
	struct recorded rec;

	rec_init(&rec);
	if (rec_read(&replayed, rec.bytes, rec.size, error))
		fail_msg("%s", error);
	assert_int_equal(recording__filter(replayed.recording, &large), 0);
	rec_build(&replayed, NULL, 0);
	got = rec_outputs(&replayed.result, &got_size);
	process__set_live(&rec.fix.cal, NULL);
	process__set_live(&rec.child, NULL);
	live_view__unref(rec.view);
	rec_fill_live(&rec, &large);
	process__set_live(&rec.child, rec.view);
	expected = rec_outputs(&rec.fix.result, &expected_size);
	expect_same(got, got_size, expected, expected_size);
	assert_non_null(strstr(got, "[not-listed]"));
	free(got);
	free(expected);
	rec_drop(&replayed);
	rec_free(&rec);
}

/* The first minor version had no items; everything else is read of it. */
static void an_older_minor_version_is_read(void **state)
{
	const struct live_filter any = {.max_bytes = UINT64_MAX};
	char error[RECORD_ERROR_MAX], *expected, *got, *bytes;
	size_t expected_size, got_size, size;
	struct replayed replayed;
	struct recorded rec;
	struct parts parts;

	rec_init(&rec);
	expected = rec_outputs(&rec.fix.result, &expected_size);
	take_apart(&rec, &parts);
	assert_int_equal(parts.sections[parts.count - 1].kind, RECORD_ITEMS);
	free(parts.sections[--parts.count].raw);
	parts.minor = 0;
	bytes = put_together(&parts, 0, &size);
	free_parts(&parts);
	if (rec_read(&replayed, bytes, size, error))
		fail_msg("%s", error);
	rec_build(&replayed, NULL, 0);
	got = rec_outputs(&replayed.result, &got_size);
	expect_same(got, got_size, expected, expected_size);
	assert_int_equal(recording__filter(replayed.recording, &any), -ENODATA);
	free(got);
	free(bytes);
	free(expected);
	rec_drop(&replayed);
	rec_free(&rec);
}

static void frames_come_back_with_all_that_is_known(void **state)
{
	struct frame_name expected[8] = {0}, got[8] = {0};
	char error[RECORD_ERROR_MAX];
	struct replayed replayed;
	struct recorded rec;
	size_t n;

	rec_init(&rec);
	if (rec_read(&replayed, rec.bytes, rec.size, error))
		fail_msg("%s", error);
	n = rec_name(NULL, 8212, rec.fix.cal.start_ns, FIX_STACK_CHUNK, expected, 8);
	assert_int_equal(n, 4);
	assert_int_equal(stack_namer__name(&replayed.result.namer, 8212, rec.fix.cal.start_ns,
					   FIX_STACK_CHUNK, got, 8),
			 n);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(got[i].text, expected[i].text);
		assert_string_equal(got[i].object, expected[i].object);
		assert_int_equal(!got[i].function, !expected[i].function);
		assert_int_equal(!got[i].source, !expected[i].source);
		assert_int_equal(!got[i].file, !expected[i].file);
		assert_true(got[i].offset == expected[i].offset);
		assert_true(got[i].function_start == expected[i].function_start);
		assert_int_equal(got[i].is_inlined, expected[i].is_inlined);
		assert_int_equal(got[i].is_return, expected[i].is_return);
		assert_int_equal(got[i].line, expected[i].line);
	}
	assert_string_equal(got[2].source, "src/cal.go");
	assert_string_equal(got[1].file->path, "/usr/bin/cal");
	assert_string_equal(got[1].file->build_id, "0123abcd");
	assert_true(got[1].file->text_vaddr == 0x1000 && got[1].file->text_offset == 0x400 &&
		    got[1].file->text_bytes == 0x2000);
	/* A stack of another life of the pid is not this one's. */
	assert_int_equal(
		stack_namer__name(&replayed.result.namer, 8212, 1, FIX_STACK_CHUNK, got, 8), 0);
	assert_int_equal(stack_namer__name(&replayed.result.namer, 8212, rec.fix.cal.start_ns,
					   FIX_STACK_CHUNK, got, 2),
			 2);
	rec_drop(&replayed);
	rec_free(&rec);
}

static void what_cannot_be_written_leaves_no_whole_file(void **state)
{
	struct recording_source source = {.large = rec_sizes, .large_count = 2};
	char error[RECORD_ERROR_MAX] = "", *bytes = NULL;
	struct replayed replayed;
	struct recorded rec;
	FILE *out;
	size_t size;

	rec_init(&rec);
	source.result = &rec.fix.result;
	source.facts = rec.log;
	/* A full disk. */
	out = fopen("/dev/full", "w");
	assert_non_null(out);
	assert_int_equal(recording__write(out, &source, error), -ENOSPC);
	assert_string_equal(error, strerror(ENOSPC));
	fclose(out);
	/* A figure that no reader would take. */
	rec.fix.cal.at_end.arenas = UINT64_MAX;
	out = open_memstream(&bytes, &size);
	assert_non_null(out);
	assert_int_equal(recording__write(out, &source, error), -EINVAL);
	assert_non_null(strstr(error, "arenas: 18446744073709551615 where at most"));
	assert_int_equal(fclose(out), 0);
	assert_int_equal(rec_read(&replayed, bytes, size, error), -EINVAL);
	assert_non_null(strstr(error, "cut short"));
	free(bytes);
	rec_free(&rec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outputs_are_the_traces_own),
		cmocka_unit_test(other_sizes_of_mappings_can_be_listed),
		cmocka_unit_test(written_again_it_is_the_same),
		cmocka_unit_test(filters_are_those_of_the_trace),
		cmocka_unit_test(an_older_minor_version_is_read),
		cmocka_unit_test(frames_come_back_with_all_that_is_known),
		cmocka_unit_test(what_cannot_be_written_leaves_no_whole_file),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
