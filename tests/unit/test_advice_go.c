// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Advice on Go programs: the sum behind GOMEMLIMIT, and outcomes that were measured. */
#include "advice_fixture.h"

static int64_t sum_of_terms(const struct advice_list *list)
{
	int64_t sum = 0;

	for (size_t i = 0; i < list->term_count; i++)
		sum += list->terms[i].bytes;
	return sum;
}

static void the_sum_is_limit_less_what_is_not_go_less_margin(void **state)
{
	static struct subject_of_advice s;
	struct advice_list list;

	fix_cgo(&s);
	s.e.cgroup.limit_bytes = 4096 * (int64_t)MB;
	s.e.page_table_bytes = 3 * MB;
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	expect_sound(&list);
	/* 4096 - arenas 902 - brk 110 - binaries 2 - page tables 3 - margin 400. */
	assert_int_equal(list.gomemlimit_bytes, (4096 - 902 - 110 - 2 - 3 - 400) * (int64_t)MB);
	assert_int_equal(sum_of_terms(&list), list.gomemlimit_bytes);
	assert_int_equal(list.term_count, 6);
	assert_string_equal(list.terms[0].name, "limit of the container");
	assert_string_equal(list.terms[1].name, "malloc-arenas");
	assert_int_equal(list.terms[1].bytes, -902 * (int64_t)MB);
	assert_string_equal(list.terms[4].name, "page tables");
	assert_string_equal(list.terms[5].name, "margin");
	assert_int_equal(list.terms[5].bytes, -400 * (int64_t)MB);
	assert_non_null(strstr(find_advice(&list, "gomemlimit")->text, "GOMEMLIMIT=2679MiB"));
	/* Its figures could not be read: the formula stands, no saving is promised. */
	expect_unpredicted(&list, "gomemlimit", "could not be read");
}

static void every_component_has_a_line(void **state)
{
	static struct subject_of_advice s;
	struct advice_list list;

	fix_go(&s);
	for (enum ledger_component c = 0; c < LEDGER_COMPONENTS; c++)
		if (c != LEDGER_GO_HEAP && c != LEDGER_GO_RUNTIME)
			fix_row(&s.e, c, MB);
	s.e.page_table_bytes = MB;
	s.e.cgroup.limit_bytes = 2000 * (int64_t)MB;
	advice__give(&s.e, 100 * MB, &list);
	assert_int_equal(list.term_count, LEDGER_COMPONENTS - 2 + 3);
	assert_int_equal(list.gomemlimit_bytes, (2000 - 18 - 1 - 100) * (int64_t)MB);
	assert_int_equal(sum_of_terms(&list), list.gomemlimit_bytes);
}

static void a_limit_that_bites_saves_what_is_above_it(void **state)
{
	static struct subject_of_advice s;
	struct advice_list list;

	fix_go(&s);
	s.e.cgroup.limit_bytes = 401 * (int64_t)MB;
	advice__give(&s.e, 100 * MB, &list);
	expect_sound(&list);
	assert_int_equal(list.gomemlimit_bytes, 300 * (int64_t)MB);
	expect_holds(&list, "gomemlimit", (462488ULL - 300788) * 1024);
	/* 217 MB that are live or the runtime's would leave no room. */
	s.e.cgroup.limit_bytes = 351 * (int64_t)MB;
	advice__give(&s.e, 100 * MB, &list);
	assert_int_equal(list.gomemlimit_bytes, 0);
	assert_int_equal(list.term_count, 0);
	assert_non_null(strstr(find_advice(&list, "gomemlimit")->text,
			       "No GOMEMLIMIT fits below the container's limit: raise that limit, "
			       "or lower the margin, by 21.2 MB."));
	/* Far away it saves nothing now. */
	s.e.cgroup.limit_bytes = 4096 * (int64_t)MB;
	advice__give(&s.e, 100 * MB, &list);
	expect_unpredicted(&list, "gomemlimit", "nothing now");
}

static void no_limit_no_sum(void **state)
{
	static struct subject_of_advice s;
	struct advice_list list;

	fix_go(&s);
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	assert_null(find_advice(&list, "gomemlimit"));
	s.e.cgroup.limit_bytes = 1024 * (int64_t)MB;
	snprintf(s.e.go.version, sizeof(s.e.go.version), "go1.18.3");
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	assert_null(find_advice(&list, "gomemlimit"));
	snprintf(s.e.go.version, sizeof(s.e.go.version), "go1.24.4");
	s.e.go.gomemlimit_bytes = 600 * (int64_t)MB; /* 623 would be advised */
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	assert_null(find_advice(&list, "gomemlimit"));
	assert_int_equal(list.term_count, 0);
	s.e.go.gomemlimit_bytes = 900 * (int64_t)MB;
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	assert_int_equal(list.gomemlimit_bytes, 623 * (int64_t)MB);
	assert_non_null(strstr(find_advice(&list, "gomemlimit")->evidence, "900.0 MB is set"));
	s.e.cgroup.high_bytes = 1000 * (int64_t)MB;
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	assert_string_equal(list.terms[0].name, "memory.high of the container");
	assert_int_equal(list.gomemlimit_bytes, 599 * (int64_t)MB);
	s.e.has_go = false;
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	assert_int_equal(list.count, 0);
}

static void half_the_gogc(void **state)
{
	static struct subject_of_advice s;
	struct advice_list list;

	fix_go(&s);
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	expect_sound(&list);
	/* Of 18 pairs of runs, this one: 462,488 KiB, 328,844 with GOGC=50. */
	expect_unpredicted(&list, "gogc", "differs from run to run");
	s.e.go.gogc_off = true;
	s.e.go.gogc_percent = -1;
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	assert_null(find_advice(&list, "gogc"));
}

/* 200 MB dropped and collected: 207,248 KiB, after FreeOSMemory 13,316. */
static void what_was_dropped_is_idle(void **state)
{
	static struct subject_of_advice s;
	struct advice_list list;

	fix_go(&s);
	s.e.go.heap_inuse_bytes = s.e.go.heap_alloc_bytes = 3 * (int64_t)MB;
	s.e.go.heap_live_bytes = 2 * (int64_t)MB;
	s.e.go.heap_goal_bytes = 4 * (int64_t)MB;
	s.e.go.heap_idle_bytes = 200 * (int64_t)MB;
	s.e.go.heap_released_bytes = 8 * (int64_t)MB;
	s.e.go.sys_bytes = 212 * (int64_t)MB;
	fix_row(&s.e, LEDGER_GO_HEAP, 192 * MB);
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	expect_sound(&list);
	expect_holds(&list, "go-free-os-memory", (207248ULL - 13316) * 1024);
}

static void spans_with_few_objects(void **state)
{
	static struct subject_of_advice s;
	struct advice_list list;
	struct go_facts *go = &s.e.go;

	fix_go(&s);
	go->heap_alloc_bytes = 100 * (int64_t)MB;
	go->class_count = 2;
	go->classes[0] =
		(struct go_class){.size_bytes = 64, .span_bytes = 50 * MB, .object_bytes = 40 * MB};
	go->classes[1] = (struct go_class){
		.size_bytes = 112, .span_bytes = 300 * MB, .object_bytes = 20 * MB};
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	expect_unpredicted(&list, "go-heap-fragmentation", "span");
	assert_non_null(
		strstr(find_advice(&list, "go-heap-fragmentation")->evidence,
		       "310.0 MB of the 410.0 MB in use by the Go heap hold no object, most "
		       "in the class of 112 B: 280.0 MB"));
}

static void at_gomemlimit_it_is_bounded(void **state)
{
	static struct subject_of_advice s;
	struct advice_list list;

	fix_go(&s);
	s.e.go.gomemlimit_bytes = 470 * (int64_t)MB;
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	assert_non_null(find_advice(&list, "bounded-by-configuration"));
	/* Live nearly all of it: that may be a leak. */
	s.e.go.heap_live_bytes = 440 * (int64_t)MB;
	advice__give(&s.e, MEMLIMIT_MARGIN_BYTES, &list);
	assert_null(find_advice(&list, "bounded-by-configuration"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_sum_is_limit_less_what_is_not_go_less_margin),
		cmocka_unit_test(every_component_has_a_line),
		cmocka_unit_test(a_limit_that_bites_saves_what_is_above_it),
		cmocka_unit_test(no_limit_no_sum),
		cmocka_unit_test(half_the_gogc),
		cmocka_unit_test(what_was_dropped_is_idle),
		cmocka_unit_test(spans_with_few_objects),
		cmocka_unit_test(at_gomemlimit_it_is_bounded),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
