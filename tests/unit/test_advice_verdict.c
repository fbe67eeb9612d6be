// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "advice_fixture.h"

static void the_cgo_case_is_fragmentation(void **state)
{
	static struct subject_of_advice s;
	struct verdict verdict;

	fix_cgo(&s);
	verdict__decide(&s.e, &verdict);
	assert_int_equal(verdict.main, LEDGER_MALLOC_ARENAS);
	assert_string_equal(
		verdict.text,
		"Glibc's malloc holds 1,012.0 MB of 1,016.5 MB (100 %): 973.0 MB free "
		"inside 16 arenas, 67.0 MB in use. Most of it is memory that was freed "
		"and not returned: fragmentation, not a leak; no more arenas can "
		"come (limit 16 from 8 x 2 online CPUs). The Go runtime has 2,560.0 kB.");
}

static void in_use_one_look_cannot_tell(void **state)
{
	static struct subject_of_advice s;
	struct verdict verdict;

	fix_small(&s);
	fix_arena(&s, 300 * MB, 10 * MB, MB, 4 * MB);
	fix_row(&s.e, LEDGER_BRK_HEAP, 310 * MB);
	verdict__decide(&s.e, &verdict);
	assert_int_equal(verdict.main, LEDGER_BRK_HEAP);
	assert_non_null(strstr(verdict.text, "300.0 MB in use."));
	assert_non_null(
		strstr(verdict.text, "one look cannot tell: memdrift trace --live -p 8212 can."));
	assert_null(strstr(verdict.text, "not a leak"));
}

static void a_go_heap(void **state)
{
	static struct subject_of_advice s;
	struct verdict verdict;

	fix_go(&s);
	verdict__decide(&s.e, &verdict);
	assert_int_equal(verdict.main, LEDGER_GO_HEAP);
	assert_non_null(strstr(verdict.text, "410.0 MB in use (203.0 MB live) and "
					     "30.0 MB idle, not returned."));
	assert_non_null(strstr(verdict.text, "--live -p 8212"));
	s.e.go.known = false;
	verdict__decide(&s.e, &verdict);
	assert_non_null(strstr(verdict.text, "could not be read"));
}

static void a_cache_of_its_own_mappings(void **state)
{
	static struct subject_of_advice s;
	struct verdict verdict;

	fix_small(&s);
	s.e.has_go = true;
	fix_row(&s.e, LEDGER_LARGE_ANONYMOUS, 960 * MB);
	fix_row(&s.e, LEDGER_GO_HEAP, 4 * MB);
	verdict__decide(&s.e, &verdict);
	assert_int_equal(verdict.main, LEDGER_LARGE_ANONYMOUS);
	assert_non_null(strstr(verdict.text, "fastcache"));
	assert_non_null(strstr(verdict.text, "The Go runtime has 4,096.0 kB."));
	assert_non_null(strstr(verdict.text, "one look cannot tell"));
}

static void another_allocator(void **state)
{
	static struct subject_of_advice s;
	struct allocator_facts *facts = &s.e.allocators.others[0];
	struct verdict verdict;

	fix_small(&s);
	s.e.has_glibc = false;
	s.e.allocators.other_count = 1;
	*facts = (struct allocator_facts){.name = "mimalloc", .in_use_bytes = 60 * MB};
	fix_row(&s.e, LEDGER_MIMALLOC, 145 * MB);
	verdict__decide(&s.e, &verdict);
	assert_null(strstr(verdict.text, "in use"));
	assert_non_null(strstr(verdict.text, "one look cannot tell"));
	facts->has_in_use = true;
	verdict__decide(&s.e, &verdict);
	assert_string_equal(verdict.text,
			    "mimalloc holds 145.0 MB of 147.0 MB (99 %): 60.0 MB in use. Most of "
			    "it is memory that was freed and not returned: not a leak.");
	facts->in_use_bytes = 100 * MB;
	verdict__decide(&s.e, &verdict);
	assert_non_null(strstr(verdict.text, "(99 %): 100.0 MB in use. Whether it"));
}

static void nothing_at_all(void **state)
{
	static struct subject_of_advice s;
	struct verdict verdict;

	fix_small(&s);
	verdict__decide(&s.e, &verdict);
	assert_int_equal(verdict.main, LEDGER_BINARY);
	memset(&s, 0, sizeof(s));
	verdict__decide(&s.e, &verdict);
	assert_string_equal(verdict.text, "Nothing is resident.");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_cgo_case_is_fragmentation),
		cmocka_unit_test(in_use_one_look_cannot_tell),
		cmocka_unit_test(a_go_heap),
		cmocka_unit_test(a_cache_of_its_own_mappings),
		cmocka_unit_test(another_allocator),
		cmocka_unit_test(nothing_at_all),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
