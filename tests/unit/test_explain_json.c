// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "explain_fixture.h"

static json_t *build(const struct explain_fixture *fixture)
{
	json_t *root, *copy;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(explain_json__write(out, &fixture->report), 0);
	fclose(out);
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	assert_int_equal(text[size - 1], '\n');
	free(text);
	/* What is written is what is built. */
	copy = explain_json__build(&fixture->report);
	assert_non_null(copy);
	json_decref(copy);
	return root;
}

/* "glibc.per_arena.0.threads" */
static const json_t *at(const json_t *value, const char *path)
{
	char name[64];

	while (*path) {
		size_t length = strcspn(path, ".");

		snprintf(name, sizeof(name), "%.*s", (int)length, path);
		if (json_is_array(value))
			value = json_array_get(value, strtoul(name, NULL, 10));
		else
			value = json_object_get(value, name);
		if (!value)
			fail_msg("there is no %s", path);
		path += length + (path[length] == '.');
	}
	return value;
}

static void expect_int(const json_t *root, const char *path, int64_t value)
{
	const json_t *found = at(root, path);

	if (!json_is_integer(found) || json_integer_value(found) != value)
		fail_msg("%s is %lld, not %lld", path, (long long)json_integer_value(found),
			 (long long)value);
}

static void expect_text(const json_t *root, const char *path, const char *value)
{
	const char *found = json_string_value(at(root, path));

	if (!found || strcmp(found, value))
		fail_msg("%s is \"%s\", not \"%s\"", path, found ? found : "no text", value);
}

static void expect_null(const json_t *root, const char *path)
{
	if (!json_is_null(at(root, path)))
		fail_msg("%s is not null", path);
}

static void expect_bool(const json_t *root, const char *path, bool value)
{
	if (at(root, path) != (value ? json_true() : json_false()))
		fail_msg("%s is not %s", path, value ? "true" : "false");
}

static void the_process(void **state)
{
	struct explain_fixture fixture;
	json_t *root;

	explain_fixture__fill(&fixture);
	root = build(&fixture);
	expect_text(root, "schema", "memdrift.explain/1");
	expect_int(root, "pid", 8212);
	expect_int(root, "start_time_ticks", 12345);
	expect_text(root, "comm", "cal");
	expect_text(root, "exe", "/srv/cal");
	expect_int(root, "rss_bytes", 1016 * MB + 200 * KB);
	expect_int(root, "pss_bytes", 1015 * MB);
	expect_int(root, "page_table_bytes", 2 * MB);
	expect_int(root, "swap_bytes", 0);
	expect_int(root, "huge_bytes", 0);
	expect_int(root, "thread_stacks.live", 6);
	expect_int(root, "thread_stacks.live_resident_bytes", 180 * KB);
	expect_int(root, "thread_stacks.cached_resident_bytes", 20 * KB);
	expect_int(root, "thread_stacks.stack_bytes", 8 * MB);
	expect_text(root, "malloc_owner", "glibc");
	expect_null(root, "malloc_object");
	expect_null(root, "no_glibc");
	expect_null(root, "jemalloc");
	expect_int(root, "cpus_online", 64);
	expect_int(root, "cost.bytes_read", 12 * MB);
	assert_float_equal(json_real_value(at(root, "cost.cpu_s")), 0.14, 1e-9);
	expect_text(root, "verdict.component", "malloc-arenas");
	json_decref(root);
}

/* Every component has its row, in the order of the contract's names, and they add up to the RSS. */
static void rows_add_up_to_rss(void **state)
{
	struct explain_fixture fixture;
	json_int_t sum = 0;
	json_t *root;

	explain_fixture__fill(&fixture);
	root = build(&fixture);
	assert_int_equal(json_array_size(at(root, "ledger")), LEDGER_COMPONENTS);
	for (size_t i = 0; i < LEDGER_COMPONENTS; i++) {
		const json_t *row = json_array_get(at(root, "ledger"), i);

		expect_text(row, "component", ledger_component__name((enum ledger_component)i));
		sum += json_integer_value(at(row, "resident_bytes"));
		if (i == LEDGER_MALLOC_ARENAS) {
			expect_int(row, "reserved_bytes", 960 * MB);
			expect_int(row, "regions", 15);
			expect_text(row, "how", "heap_info headers, ring of arenas");
		}
	}
	expect_int(root, "rss_bytes", sum);
	expect_bool(root, "checks.rss.ok", true);
	expect_int(root, "checks.rss.found_bytes", sum);
	json_decref(root);
}

static void glibc_by_arena(void **state)
{
	struct explain_fixture fixture;
	json_t *root;

	explain_fixture__fill(&fixture);
	fixture.arenas[1].threads = -1;
	fixture.arenas[2].walked = (struct check){0};
	root = build(&fixture);
	expect_int(root, "glibc.arenas", 16);
	expect_int(root, "glibc.arena_limit", 512);
	expect_text(root, "glibc.limit_source", "8 x 64 online CPUs");
	expect_int(root, "glibc.in_use_bytes", 64 * MB);
	expect_int(root, "glibc.in_use_error_bytes", 0);
	expect_int(root, "glibc.free_bytes", 840 * MB);
	expect_int(root, "glibc.cached_bytes", 64 * KB);
	expect_int(root, "glibc.top_bytes", 1 * MB);
	expect_int(root, "glibc.trimmable_bytes", 824 * MB);
	expect_int(root, "glibc.unwalked_bytes", 0);
	expect_int(root, "glibc.mmapped_bytes", 5 * MB);
	expect_int(root, "glibc.mmapped_chunks", 3);
	expect_null(root, "glibc.mmap_threshold_bytes");
	expect_bool(root, "glibc.checks.mmapped.ok", true);
	expect_bool(root, "glibc.checks.ring_closed", true);
	expect_int(root, "glibc.checks.arenas_agreeing", 15);
	expect_null(root, "checks.glibc_walked");
	assert_int_equal(json_array_size(at(root, "glibc.per_arena")), 16);
	expect_text(root, "glibc.per_arena.1.address", "0x7f1ec4000030");
	expect_bool(root, "glibc.per_arena.0.is_main", true);
	expect_int(root, "glibc.per_arena.0.threads", 0);
	expect_null(root, "glibc.per_arena.1.threads");
	expect_int(root, "glibc.per_arena.1.heaps", 1);
	expect_int(root, "glibc.per_arena.1.system_bytes", 63 * MB);
	expect_int(root, "glibc.per_arena.1.in_use_bytes", 4 * MB);
	expect_int(root, "glibc.per_arena.1.free_bytes", 59 * MB);
	expect_int(root, "glibc.per_arena.1.trimmable_bytes", 58 * MB);
	expect_int(root, "glibc.per_arena.1.unwalked_bytes", 0);
	expect_null(root, "glibc.per_arena.2.checks.walked");
	json_decref(root);
}

static void go_figures(void **state)
{
	struct explain_fixture fixture;
	struct go_facts *go = &fixture.explanation.go;
	json_t *root;

	explain_fixture__fill(&fixture);
	root = build(&fixture);
	expect_text(root, "go.version", "go1.19.8");
	expect_text(root, "go.source", "symbols and DWARF");
	expect_int(root, "go.heap_inuse_bytes", 1 * MB);
	expect_int(root, "go.heap_idle_bytes", 3 * MB);
	expect_int(root, "go.heap_released_bytes", 2 * MB);
	expect_int(root, "go.heap_alloc_bytes", 768 * KB);
	expect_int(root, "go.heap_live_bytes", 512 * KB);
	expect_int(root, "go.fragmentation_bytes", 256 * KB);
	expect_int(root, "go.stacks_inuse_bytes", 320 * KB);
	expect_int(root, "go.sys_bytes", 12 * MB);
	/* As the runtime has it, and as debug.SetMemoryLimit(-1) says it. */
	expect_int(root, "go.gomemlimit_bytes", INT64_MAX);
	expect_bool(root, "go.gomemlimit_set", false);
	expect_int(root, "go.gogc_percent", 100);
	expect_bool(root, "go.gogc_off", false);
	expect_int(root, "go.num_gc", 7);
	expect_null(root, "go.span_idle_resident_bytes");
	expect_int(root, "go.classes.0.size_bytes", 64);
	expect_int(root, "go.classes.0.objects", 1000);
	expect_null(root, "go.classes.1.size_bytes");
	json_decref(root);

	go->gogc_off = true;
	go->gogc_percent = -1;
	go->gomemlimit_bytes = (int64_t)(600 * MB);
	root = build(&fixture);
	expect_int(root, "go.gogc_percent", -1);
	expect_bool(root, "go.gogc_off", true);
	expect_bool(root, "go.gomemlimit_set", true);
	json_decref(root);

	/* Whatever is left in the figures of a set that failed its invariants is not told. */
	go->known = false;
	go->why_unknown = "it is stripped";
	go->class_count = 0;
	root = build(&fixture);
	expect_text(root, "go.why_unknown", "it is stripped");
	expect_null(root, "go.heap_inuse_bytes");
	expect_null(root, "go.fragmentation_bytes");
	expect_null(root, "go.gomemlimit_bytes");
	expect_null(root, "go.gomemlimit_set");
	expect_null(root, "go.gogc_percent");
	expect_null(root, "go.source");
	expect_null(root, "go.classes");
	json_decref(root);
}

static void the_control_group(void **state)
{
	struct explain_fixture fixture;
	json_t *root;

	explain_fixture__fill(&fixture);
	root = build(&fixture);
	expect_int(root, "cgroup.version", 2);
	expect_int(root, "cgroup.limit_bytes", 2048 * MB);
	expect_text(root, "cgroup.limit_path", "/kubepods");
	expect_int(root, "cgroup.usage_bytes", 1100 * MB);
	expect_null(root, "cgroup.high_bytes");
	assert_float_equal(json_real_value(at(root, "cgroup.cpu_quota")), 4, 0);
	expect_null(root, "cgroup.cpuset_cpus");
	expect_text(root, "cgroup.container_id", "0123456789abcdef");
	expect_null(root, "cgroup.unit");
	json_decref(root);

	/* Of no memory controller no figure means anything. */
	fixture.explanation.cgroup = (struct cgroup_facts){0};
	root = build(&fixture);
	expect_null(root, "cgroup.version");
	expect_null(root, "cgroup.path");
	expect_null(root, "cgroup.limit_bytes");
	expect_null(root, "cgroup.usage_bytes");
	expect_null(root, "cgroup.high_bytes");
	expect_null(root, "cgroup.cpu_quota");
	json_decref(root);
}

static void advice_with_its_sum(void **state)
{
	struct explain_fixture fixture;
	json_t *root;

	explain_fixture__fill(&fixture);
	root = build(&fixture);
	expect_text(root, "advice.0.id", "malloc-arena-max");
	expect_int(root, "advice.0.saving_low_bytes", 500 * MB);
	expect_int(root, "advice.0.saving_high_bytes", 800 * MB);
	expect_text(root, "advice.0.risk", "threads wait for each other");
	expect_null(root, "advice.0.terms");
	expect_null(root, "advice.0.gomemlimit_bytes");
	expect_null(root, "advice.1.saving_low_bytes");
	expect_null(root, "advice.1.risk");
	expect_text(root, "advice.1.why_no_saving", "it bounds the Go heap, which is small");
	expect_int(root, "advice.1.gomemlimit_bytes", 600 * MB);
	expect_int(root, "advice.1.terms.0.bytes", 2048 * MB);
	expect_int(root, "advice.1.terms.1.bytes", -1048 * (int64_t)MB);
	json_decref(root);
}

static void what_is_not_there_is_null(void **state)
{
	struct explain_fixture fixture;
	json_t *root;

	explain_fixture__fill(&fixture);
	fixture.explanation.has_glibc = false;
	fixture.explanation.no_glibc = "its libc is musl";
	fixture.explanation.has_go = false;
	fixture.explanation.exe = NULL;
	fixture.explanation.cpus_online = 0;
	fixture.explanation.thread_stack_bytes = -1;
	fixture.explanation.thp_mode[0] = '\0';
	fixture.explanation.has_rollup = fixture.explanation.has_status = false;
	root = build(&fixture);
	expect_null(root, "glibc");
	expect_null(root, "swap_bytes");
	expect_null(root, "huge_bytes");
	expect_null(root, "pss_bytes");
	expect_null(root, "page_table_bytes");
	expect_null(root, "rss_peak_bytes");
	expect_text(root, "no_glibc", "its libc is musl");
	expect_null(root, "go");
	expect_null(root, "exe");
	expect_null(root, "cpus_online");
	expect_null(root, "thread_stacks.stack_bytes");
	expect_null(root, "thp_mode");
	json_decref(root);
}

static void other_allocators(void **state)
{
	struct explain_fixture fixture;
	struct allocators *allocators = &fixture.explanation.allocators;
	json_t *root;

	explain_fixture__fill(&fixture);
	allocators->has_jemalloc = true;
	allocators->jemalloc = (struct jemalloc_facts){
		.layout = "5.3",
		.active_bytes = 90 * MB,
		.allocated_bytes = 50 * MB,
		.dirty_bytes = 2 * MB,
		.retained_bytes = 10 * MB,
		.extents = 1234,
		.extents_in_mappings = check_of(99 * MB, 100 * MB),
	};
	allocators->others[0] = (struct allocator_facts){
		.name = "pymalloc", .bytes = 60 * MB, .in_use_bytes = MB, .has_in_use = true};
	allocators->others[1] = (struct allocator_facts){.name = "v8", .bytes = 60 * MB};
	allocators->other_count = 2;
	root = build(&fixture);
	expect_int(root, "jemalloc.active_bytes", 90 * MB);
	expect_int(root, "jemalloc.allocated_bytes", 50 * MB);
	expect_int(root, "jemalloc.dirty_bytes", 2 * MB);
	expect_int(root, "jemalloc.retained_bytes", 10 * MB);
	expect_null(root, "jemalloc.metadata_bytes");
	expect_bool(root, "jemalloc.checks.extents_in_mappings.ok", false);
	expect_int(root, "checks.jemalloc_extents.expected_bytes", 100 * MB);
	expect_int(root, "allocators.0.in_use_bytes", MB);
	expect_null(root, "allocators.1.in_use_bytes");
	json_decref(root);
}

/* Any bytes in a name make valid JSON without control characters. */
static void any_bytes_make_valid_json(void **state)
{
	static char path[] = "/a\033[2J\xff\"\\\n";
	struct explain_fixture fixture;
	json_t *root;

	explain_fixture__fill(&fixture);
	strcpy(fixture.explanation.comm, "\xfe\"}\n");
	fixture.explanation.exe = path;
	fixture.explanation.cgroup.path = path;
	strcpy(fixture.explanation.go.version, "\033\xff");
	root = build(&fixture);
	expect_text(root, "comm", "\\xfe\"}\\x0a");
	expect_text(root, "exe", "/a\\x1b[2J\\xff\"\\\\x0a");
	json_decref(root);
}

static void a_full_disk_is_an_error(void **state)
{
	struct explain_fixture fixture;
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(full);
	explain_fixture__fill(&fixture);
	assert_true(explain_json__write(full, &fixture.report) < 0);
	assert_true(explain_text__write(full, &fixture.report, &(struct text_options){0}) < 0);
	fclose(full);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_process),
		cmocka_unit_test(rows_add_up_to_rss),
		cmocka_unit_test(glibc_by_arena),
		cmocka_unit_test(go_figures),
		cmocka_unit_test(the_control_group),
		cmocka_unit_test(advice_with_its_sum),
		cmocka_unit_test(what_is_not_there_is_null),
		cmocka_unit_test(other_allocators),
		cmocka_unit_test(any_bytes_make_valid_json),
		cmocka_unit_test(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
