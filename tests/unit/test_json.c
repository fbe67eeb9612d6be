// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "trace_fixture.h"

#include <jansson.h>

static json_t *report(struct fixture *fix)
{
	json_error_t error;
	char *text = NULL;
	json_t *root;

	FIX_CAPTURE(text, trace_json__write(out, &fix->result));
	/* One object, nothing after it, every key once. */
	root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	if (!root)
		fail_msg("%s at %d:%d in\n%s", error.text, error.line, error.column, text);
	assert_string_equal(text + strlen(text) - 2, "}\n");
	free(text);
	return root;
}

static json_t *first_process(json_t *root)
{
	return json_array_get(json_object_get(root, "processes"), 0);
}

static json_t *at(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	if (!value)
		fail_msg("no \"%s\"", key);
	return value;
}

static void assert_integer(json_t *object, const char *key, int64_t expected)
{
	json_t *value = at(object, key);

	if (!json_is_integer(value) || json_integer_value(value) != expected)
		fail_msg("\"%s\" is %lld, not %lld", key, (long long)json_integer_value(value),
			 (long long)expected);
}

static void assert_null_at(json_t *object, const char *key)
{
	if (!json_is_null(at(object, key)))
		fail_msg("\"%s\" is not null", key);
}

static void every_name_of_the_contract_is_there(void **state)
{
	static const char *const top[] = {"schema", "version",  "duration_s", "host",
					  "losses", "overhead", "processes"};
	static const char *const process_keys[] = {
		"pid",     "start_time_ticks", "comm",    "exe",    "rss",
		"mapping", "allocator",        "buckets", "arenas", "large_mappings"};
	static const char *const mapping_keys[] = {
		"mmap_calls",      "mmap_bytes",   "munmap_calls",
		"munmap_bytes",    "mremap_calls", "brk_calls",
		"brk_delta_bytes", "mapped_bytes", "mapped_delta_bytes"};
	static const char *const large_keys[] = {"address",
						 "reserved_bytes",
						 "committed_bytes",
						 "resident_bytes",
						 "age_s",
						 "before_attach",
						 "kind",
						 "tid",
						 "stack"};
	struct fixture fix;
	json_t *root, *process, *large;

	fix_init(&fix);
	fix_build(&fix);
	root = report(&fix);
	for (size_t i = 0; i < sizeof(top) / sizeof(*top); i++)
		at(root, top[i]);
	assert_string_equal(json_string_value(at(root, "schema")), "memdrift.trace/1");
	process = first_process(root);
	for (size_t i = 0; i < sizeof(process_keys) / sizeof(*process_keys); i++)
		at(process, process_keys[i]);
	for (size_t i = 0; i < sizeof(mapping_keys) / sizeof(*mapping_keys); i++)
		at(at(process, "mapping"), mapping_keys[i]);
	large = json_array_get(at(process, "large_mappings"), 0);
	for (size_t i = 0; i < sizeof(large_keys) / sizeof(*large_keys); i++)
		at(large, large_keys[i]);
	json_decref(root);
	fix_free(&fix);
}

static void figures_are_those_of_the_model(void **state)
{
	struct fixture fix;
	json_t *root, *process, *event, *large, *bucket;

	fix_init(&fix);
	fix_build(&fix);
	root = report(&fix);
	assert_integer(at(root, "host"), "cpus_online", 2);
	assert_integer(at(root, "losses"), "total", 0);
	assert_integer(at(root, "losses"), "ring_full", 0);
	assert_integer(at(root, "overhead"), "hits", 110300);
	assert_integer(at(root, "overhead"), "stacks", 60000);
	assert_integer(at(root, "overhead"), "frames", 900000);
	assert_true(json_real_value(at(at(root, "overhead"), "stack_ns")) == 420);
	assert_true(json_real_value(at(at(root, "overhead"), "frame_ns")) == 41.5);
	assert_null_at(at(root, "overhead"), "detached_at_s");
	assert_true(json_is_false(at(at(root, "overhead"), "estimated")));
	assert_null_at(root, "command");
	process = first_process(root);
	assert_integer(process, "pid", 8212);
	assert_integer(process, "start_time_ticks", 8212);
	assert_null_at(process, "ended");
	assert_integer(at(process, "rss"), "start_bytes", 402 * FIX_MB);
	assert_integer(at(process, "rss"), "end_bytes", 1002 * FIX_MB);
	assert_true(fabs(json_real_value(at(at(process, "rss"), "slope_bytes_per_s")) -
			 20 * FIX_MB) < 1);
	assert_integer(at(process, "growth"), "arenas_bytes", 550 * FIX_MB);
	assert_integer(at(process, "mapping"), "mapped_bytes", 128 * FIX_MB);
	assert_integer(at(process, "mapping"), "unreleased_bytes", 128 * FIX_MB);
	assert_integer(at(process, "mapping"), "brk_delta_bytes", 44 * FIX_MB);
	bucket = json_array_get(at(process, "buckets"), 0);
	assert_int_equal(json_array_size(at(process, "buckets")), 2);
	assert_integer(bucket, "min_bytes", 16);
	assert_integer(bucket, "max_bytes", 31);
	assert_integer(bucket, "count", 300);
	assert_null_at(bucket, "live_bytes");
	assert_int_equal(json_array_size(at(bucket, "series")), 2);
	assert_int_equal(json_integer_value(json_array_get(at(bucket, "series"), 1)), 20);
	assert_integer(at(process, "allocator"), "requested_bytes", 300 * 24 + 60000 * 40000LL);
	assert_null_at(at(process, "allocator"), "freed_bytes");
	assert_null_at(at(process, "allocator"), "live_bytes");
	assert_null_at(at(process, "allocator"), "estimate");
	assert_null_at(bucket, "estimate");
	assert_integer(at(process, "arenas"), "created", 1);
	assert_null_at(at(process, "arenas"), "reused");
	assert_string_equal(json_string_value(at(at(process, "arenas"), "source")), "mapping");
	event = json_array_get(at(at(process, "arenas"), "events"), 0);
	assert_string_equal(json_string_value(at(event, "address")), "0x7f1ecc000000");
	assert_string_equal(json_string_value(json_array_get(at(event, "stack"), 3)),
			    "main.main.func1");
	large = json_array_get(at(process, "large_mappings"), 0);
	assert_string_equal(json_string_value(at(large, "kind")), "fastcache");
	assert_integer(large, "resident_bytes", 32 * FIX_MB);
	json_decref(root);
	fix_free(&fix);
}

static void what_was_not_seen_is_null_and_not_zero(void **state)
{
	struct fixture fix;
	json_t *root, *process;

	fix_init(&fix);
	fix.resident_unknown = true;
	fix.cal.counted = false;
	fix.cal.at_start.known = false;
	fix.cal.arenas.present = fix.cal.arenas.limit = -1;
	fix.cal.exe = NULL;
	fix.events[0].stack = STACK_NONE;
	fix.events[0].tid = 0;
	fix.cal.rss_first = fix.cal.rss_last = fix.cal.rss_min = fix.cal.rss_max =
		(struct rss_sample){0};
	fix.result.mallocs_counted = false;
	fix.result.overhead.hit_ns = NAN;
	fix_build(&fix);
	root = report(&fix);
	process = first_process(root);
	assert_null_at(process, "exe");
	assert_null_at(process, "buckets");
	assert_null_at(at(process, "allocator"), "requested_bytes");
	assert_null_at(at(at(process, "allocator"), "calls"), "malloc");
	assert_null_at(at(process, "arenas"), "present");
	assert_null_at(at(process, "arenas"), "limit");
	assert_null_at(at(process, "rss"), "start_bytes");
	assert_null_at(at(process, "rss"), "slope_bytes_per_s");
	assert_null_at(at(process, "growth"), "arenas_bytes");
	assert_null_at(json_array_get(at(process, "large_mappings"), 0), "resident_bytes");
	assert_null_at(json_array_get(at(at(process, "arenas"), "events"), 0), "stack");
	assert_null_at(json_array_get(at(at(process, "arenas"), "events"), 0), "tid");
	assert_null_at(at(root, "overhead"), "hit_ns");
	assert_null_at(at(root, "overhead"), "stack_ns");
	assert_null_at(at(root, "overhead"), "frame_ns");
	assert_null_at(at(root, "overhead"), "stacks");
	assert_null_at(at(root, "overhead"), "covered");
	json_decref(root);
	fix_free(&fix);
}

static double real(json_t *object, const char *name)
{
	return json_number_value(at(object, name));
}

static void estimates_stand_beside_what_was_seen(void **state)
{
	struct alloc_estimate estimate = {
		.bursts = 38,
		.covered_s = 1.5,
		.covered_cpu = 0.25,
		.calls = {2e6, 2.5e6, 3e6},
		.calls_per_s = {1e5, NAN, NAN},
		.requests_per_call = 0.5,
		.bytes_per_request = 64,
		.row_share = {[0] = 0.25},
		.request_share = {[5] = 0.125},
		.byte_share = {[5] = 0.5},
	};
	struct fixture fix;
	json_t *root, *process, *told, *bucket;

	fix_init(&fix);
	fix.cal.estimate = &estimate;
	fix.result.overhead.detached = 1;
	fix.result.overhead.bursts = 37;
	fix_build(&fix);
	root = report(&fix);
	fix.cal.estimate = NULL;
	assert_true(json_is_true(at(at(root, "overhead"), "estimated")));
	assert_integer(at(root, "overhead"), "bursts", 37);
	process = first_process(root);
	/* What was seen is untouched. */
	bucket = json_array_get(at(process, "buckets"), 0);
	assert_integer(bucket, "count", 300);
	assert_true(real(at(bucket, "estimate"), "count_share") == 0.125);
	assert_true(real(at(bucket, "estimate"), "bytes_share") == 0.5);
	told = at(at(process, "allocator"), "estimate");
	assert_integer(told, "bursts", 38);
	assert_true(real(told, "covered_share_cpu") == 0.25);
	assert_true(real(at(told, "calls"), "best") == 2.5e6);
	assert_true(real(at(told, "requests"), "low") == 1e6);
	assert_true(real(at(told, "requested_bytes"), "high") == 96e6);
	assert_true(real(at(told, "calls_per_s"), "low") == 1e5);
	assert_null_at(at(told, "calls_per_s"), "best");
	assert_null_at(at(told, "calls_per_s"), "high");
	json_decref(root);
	fix_free(&fix);
}

static const struct row_set *probe_only_malloc(void *ctx, const struct process *process)
{
	static const struct row_set first = {{1}};

	return &first;
}

static void rows_without_a_probe_here_are_null(void **state)
{
	struct fixture fix;
	json_t *root, *calls;

	fix_init(&fix);
	fix.result.probed_rows = probe_only_malloc;
	fix_build(&fix);
	root = report(&fix);
	calls = at(at(first_process(root), "allocator"), "calls");
	assert_integer(calls, "malloc", 300);
	assert_null_at(calls, "calloc");
	assert_null_at(calls, "aligned_alloc|memalign");
	json_decref(root);
	fix_free(&fix);
}

static void bytes_that_are_not_text_are_sanitised(void **state)
{
	char *argv[] = {(char *)"./cal", (char *)"\xff\x1b", NULL};
	struct fixture fix;
	json_t *root;

	fix_init(&fix);
	memcpy(fix.cal.comm, "\xff\xfe\"\\\x01", 6);
	fix.cal.exe = (char *)"/tmp/\x80/x";
	fix.events[0].stack = FIX_STACK_HOSTILE;
	fix.result.command.argv = argv;
	fix.result.command.ended = true;
	fix.result.command.wait_status = 3 << 8;
	fix_build(&fix);
	root = report(&fix);
	assert_string_equal(json_string_value(at(first_process(root), "exe")), "/tmp/\\x80/x");
	assert_int_equal(json_array_size(at(at(root, "command"), "argv")), 2);
	assert_integer(at(root, "command"), "exit_code", 3);
	assert_null_at(at(root, "command"), "signal");
	json_decref(root);
	fix_free(&fix);
}

static void an_ended_process_says_how(void **state)
{
	struct fixture fix;
	json_t *root, *ended;

	fix_init(&fix);
	fix.cal.end = PROCESS_EXITED;
	fix.cal.exit_status = 9;
	fix.cal.oom_killed = true;
	fix.cal.ended_ns = FIX_STARTED + 12000000000ULL;
	fix_build(&fix);
	root = report(&fix);
	ended = at(first_process(root), "ended");
	assert_string_equal(json_string_value(at(ended, "reason")), "oom");
	assert_integer(ended, "signal", 9);
	assert_null_at(ended, "status");
	assert_true(fabs(json_real_value(at(ended, "t_s")) - 12) < 1e-9);
	json_decref(root);
	fix_free(&fix);
}

static void a_trace_without_processes_is_an_object_too(void **state)
{
	struct model model = {.started_ns = FIX_STARTED};
	struct fixture fix;
	json_t *root;

	fix_init(&fix);
	fix.result.model = &model;
	fix_build(&fix);
	root = report(&fix);
	assert_int_equal(json_array_size(at(root, "processes")), 0);
	json_decref(root);
	fix_free(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_of_the_contract_is_there),
		cmocka_unit_test(figures_are_those_of_the_model),
		cmocka_unit_test(what_was_not_seen_is_null_and_not_zero),
		cmocka_unit_test(estimates_stand_beside_what_was_seen),
		cmocka_unit_test(rows_without_a_probe_here_are_null),
		cmocka_unit_test(bytes_that_are_not_text_are_sanitised),
		cmocka_unit_test(an_ended_process_says_how),
		cmocka_unit_test(a_trace_without_processes_is_an_object_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
