// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "trace_fixture.h"

#include <errno.h>

#include "output/derive.h"
#include "output/profile.h"

static char *fold(struct fixture *fix, enum profile_weight weight)
{
	struct profile *profile;
	char *text = NULL;

	assert_int_equal(profile__build(&fix->result, &profile), 0);
	FIX_CAPTURE(text, profile_folded__write(out, profile, weight));
	profile__free(profile);
	return text;
}

static uint64_t sum_lines(const char *text)
{
	uint64_t sum = 0;

	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		/* The weight is what follows the last blank of a line. */
		const char *blank = memrchr(line, ' ', strcspn(line, "\n"));

		assert_non_null(blank);
		sum += strtoull(blank + 1, NULL, 10);
	}
	return sum;
}

static void weights_are_known_by_name(void **state)
{
	enum profile_weight weight = WEIGHT_MMAP_BYTES;

	assert_int_equal(profile_weight__parse("alloc_count", &weight), 0);
	assert_int_equal(weight, WEIGHT_ALLOC_COUNT);
	assert_int_equal(profile_weight__parse("unreleased_bytes", &weight), 0);
	assert_int_equal(weight, WEIGHT_UNRELEASED_BYTES);
	assert_int_equal(profile_weight__parse("live_bytes", &weight), 0);
	assert_int_equal(weight, WEIGHT_LIVE_BYTES);
	assert_int_equal(profile_weight__parse("fault_bytes", &weight), 0);
	assert_int_equal(weight, WEIGHT_FAULT_BYTES);
	assert_int_equal(profile_weight__parse("", &weight), -EINVAL);
	assert_int_equal(profile_weight__parse("mmap_byte", &weight), -EINVAL);
	assert_int_equal(weight, WEIGHT_FAULT_BYTES);
}

static void lines_go_from_root_to_leaf_and_add_up(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	stack_weights__add(&fix.mmap_weights, 8212, fix.cal.start_ns, FIX_STACK_CHUNK, 1,
			   64 * FIX_MB);
	stack_weights__add(&fix.mmap_weights, 8212, fix.cal.start_ns, FIX_STACK_CHUNK, 1,
			   64 * FIX_MB);
	stack_weights__add(&fix.mmap_weights, 8212, fix.cal.start_ns, STACK_NONE, 1, FIX_MB);
	/* Another life of the pid is another process. */
	stack_weights__add(&fix.mmap_weights, 8212, 1, FIX_STACK_CHUNK, 1, FIX_MB);
	fix_build(&fix);
	text = fold(&fix, WEIGHT_MMAP_BYTES);
	assert_string_equal(text,
			    "cal-8212;main.main;github.com/VictoriaMetrics/fastcache.getChunk;"
			    "golang.org/x/sys/unix.mmap;syscall.Syscall6 134217728\n"
			    "cal-8212;[no-stack] 75497472\n");
	assert_true(sum_lines(text) == fix.cal.mapping.mmap_bytes);
	free(text);
	fix_free(&fix);
}

static void what_is_still_mapped_adds_up(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	fix_map_anonymous(&fix.cal, 0x7d0000000000, 4096, PROT_READ);
	fix_map_anonymous(&fix.cal, 0x7d1000000000, 8192, PROT_READ)->before_trace = true;
	fix_build(&fix);
	text = fold(&fix, WEIGHT_UNRELEASED_BYTES);
	assert_true(sum_lines(text) == 128 * FIX_MB + 4096);
	assert_true(sum_lines(text) == process__unreleased_bytes(&fix.cal));
	assert_non_null(strstr(text, "cal-8212;[no-stack] 4096\n"));
	assert_non_null(strstr(text, ";calloc;arena_get2 67108864\n"));
	free(text);
	fix_free(&fix);
}

static void allocations_are_weighed_by_count_and_bytes(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	stack_weights__set(&fix.alloc_weights, 8212, fix.cal.start_ns, FIX_STACK_ARENA, 5, 1);
	stack_weights__set(&fix.alloc_weights, 8212, fix.cal.start_ns, FIX_STACK_ARENA, 60000,
			   2400000000);
	fix_build(&fix);
	text = fold(&fix, WEIGHT_ALLOC_COUNT);
	assert_string_equal(text,
			    "cal-8212;main.main.func1;_cgo_0_Cfunc_calloc;calloc;arena_get2 60000\n"
			    "cal-8212;[no-stack] 300\n");
	free(text);
	text = fold(&fix, WEIGHT_ALLOC_BYTES);
	assert_true(sum_lines(text) == 2400007200);
	free(text);
	fix_free(&fix);
}

static void separators_inside_names_are_replaced(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	strcpy(fix.cal.comm, "a;b c\n");
	fix.cal.mapping.mmap_bytes = 3;
	stack_weights__add(&fix.mmap_weights, 8212, fix.cal.start_ns, FIX_STACK_HOSTILE, 1, 3);
	fix_build(&fix);
	text = fold(&fix, WEIGHT_MMAP_BYTES);
	assert_string_equal(text, "a:b_c\\x0a-8212;root\\xff;a_b:c\\x0a\\x1b[31m 3\n");
	free(text);
	fix_free(&fix);
}

static void no_weights_are_no_lines(void **state)
{
	struct fixture fix;
	char *text;

	fix_init(&fix);
	fix.cal.mapping.mmap_bytes = 0;
	fix.result.mmap_weights = NULL;
	fix_build(&fix);
	text = fold(&fix, WEIGHT_MMAP_BYTES);
	assert_string_equal(text, "");
	free(text);
	fix_free(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(weights_are_known_by_name),
		cmocka_unit_test(lines_go_from_root_to_leaf_and_add_up),
		cmocka_unit_test(what_is_still_mapped_adds_up),
		cmocka_unit_test(allocations_are_weighed_by_count_and_bytes),
		cmocka_unit_test(separators_inside_names_are_replaced),
		cmocka_unit_test(no_weights_are_no_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
