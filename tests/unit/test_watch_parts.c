// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Small parts of watch: text of stacks, its clock, its budgets, what a group covers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "watch/stack_text.h"
#include "watch/watch_impl.h"

#define S 1000000000ull

static void expect_heaviest(const char *text, const char *stack, uint64_t weight)
{
	uint64_t got_weight;
	char *got;
	int err = folded__heaviest(text, strlen(text), &got, &got_weight);

	if (!stack) {
		assert_int_equal(err, -ENOENT);
		assert_null(got);
		return;
	}
	assert_int_equal(err, 0);
	assert_string_equal(got, stack);
	assert_int_equal(got_weight, weight);
	free(got);
}

static void the_heaviest_stack_is_found(void **state)
{
	expect_heaviest("a-1;main;f 10\na-1;main;g 300\na-1;main;h 20\n", "main;g", 300);
	/* Frames have blanks; the last line may have no end. */
	expect_heaviest("a b-1;operator new(unsigned long) 7", "operator new(unsigned long)", 7);
	expect_heaviest("", NULL, 0);
	expect_heaviest("\n\n;\n \n", NULL, 0);
	expect_heaviest("a-1;[not-listed] 7\na-1;f 3\n", "f", 3);
	/* No stack, no weight, no number, more than a number holds. */
	expect_heaviest("a-1 5\n", NULL, 0);
	expect_heaviest("a-1;f\n", NULL, 0);
	expect_heaviest("a-1;f \n", NULL, 0);
	expect_heaviest("a-1;f -5\n", NULL, 0);
	expect_heaviest("a-1;f 99999999999999999999\na-1;g 2\n", "g", 2);
}

static void expect_cause(const char *stack, const char *text)
{
	char got[256];

	stack_text__cause(stack, got, sizeof(got));
	assert_string_equal(got, text);
}

static void a_cause_is_no_allocator(void **state)
{
	char small[16];

	expect_cause("main;run;leak;malloc;_int_malloc;sysmalloc", "leak < run < main");
	expect_cause("a;b;c;d;e;f", "f < e < d < c");
	expect_cause("runtime.main;main.main;runtime.mallocgc", "main.main < runtime.main");
	/* An allocator alone is better than nothing. */
	expect_cause("malloc", "malloc");
	expect_cause("", "");
	expect_cause("main;a\nb", "a\\x0ab < main");
	stack_text__cause("main;caller_name;a_name", small, sizeof(small));
	assert_string_equal(small, "a_name");
}

static void stacks_are_written_from_the_leaf(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	stack_text__write(out, "main;f;g", 12);
	fputc('\n', out);
	stack_text__write(out, "main;f;g", 2);
	fputc('\n', out);
	stack_text__write(out, "", 2);
	fclose(out);
	assert_string_equal(text, "g < f < main\ng < f < ...\n");
	free(text);
}

static void the_clock_runs_faster_and_never_back(void **state)
{
	struct series_clock clock;
	double first, later, wall = (double)time(NULL);
	uint64_t began_ns, took_ns;

	series_clock__start(&clock, 1, 0);
	assert_true(fabs(series_clock__now(&clock) - wall) < 5);
	/* What the database has lies ahead: it begins there. */
	series_clock__start(&clock, 3600, wall + 86400);
	first = series_clock__now(&clock);
	began_ns = monotonic_ns();
	assert_true(first >= wall + 86400);
	while (monotonic_ns() - began_ns < 20000000)
		;
	took_ns = monotonic_ns() - began_ns;
	later = series_clock__now(&clock);
	assert_true(later - first >= 3600 * 0.019);
	assert_true(took_ns > 0 && later > first);
}

static void a_budget_is_a_share_of_time(void **state)
{
	struct budget budget;
	uint64_t now_ns;

	budget__init(&budget, 0.01, 1, S);
	now_ns = budget.filled_ns;
	assert_true(budget__has(&budget, now_ns));
	budget__spend(&budget, 2 * S);
	assert_false(budget__has(&budget, now_ns));
	/* A second is owed: at 1 % that is a hundred. */
	assert_false(budget__has(&budget, now_ns + 99 * S));
	assert_true(budget__has(&budget, now_ns + 101 * S));
	/* No more than so much is saved up. */
	assert_true(budget__has(&budget, now_ns + 1000000 * S));
	budget__spend(&budget, S + 1);
	assert_false(budget__has(&budget, now_ns + 1000000 * S));
	/* Faster time, more work; never more than half a CPU. */
	budget__init(&budget, 0.01, 3600, S);
	assert_true(budget.share == BUDGET_SHARE_MAX);
}

static void a_group_covers_those_below(void **state)
{
	struct subject_name name = {.cgroup = "/system.slice/a.service"};

	assert_true(watch__covers(NULL, &name));
	assert_true(watch__covers("/", &name));
	assert_true(watch__covers("/system.slice", &name));
	assert_true(watch__covers("/system.slice/a.service", &name));
	assert_false(watch__covers("/system.slice/a", &name));
	assert_false(watch__covers("/user.slice", &name));
	assert_false(watch__covers("/system.slice/a.service/b", &name));
}

static void bursts_keep_to_a_private_directory(void **state)
{
	char base[] = "/tmp/memdrift-burst.XXXXXX", path[64], file[128];
	struct burst burst;
	void *bytes;
	size_t size;
	int fd;

	assert_non_null(mkdtemp(base));
	snprintf(path, sizeof(path), "%s/burst", base);
	assert_int_equal(burst__init(&burst, path), 0);
	assert_int_equal(burst__deadline_ns(&burst), UINT64_MAX);
	assert_int_equal(burst__read(&burst, BURST_LIVE, &bytes, &size), -ENOENT);
	assert_int_equal(burst__start(&burst, (uint32_t)getpid(), 1, 1), -ESRCH);
	/* What a burst that was killed has left goes. */
	snprintf(file, sizeof(file), "%s/%s", path, burst_result__name(BURST_LIVE));
	fd = open(file, O_CREAT | O_WRONLY, 0600);
	assert_int_equal(write(fd, "a-1;f 1\n", 8), 8);
	close(fd);
	assert_int_equal(burst__read(&burst, BURST_LIVE, &bytes, &size), 0);
	assert_int_equal(size, 8);
	free(bytes);
	burst__free(&burst);
	assert_int_equal(access(path, F_OK), -1);
	/* A link, or a directory that others may write to, is not taken. */
	assert_int_equal(symlink("/tmp", path), 0);
	assert_int_equal(burst__init(&burst, path), -EPERM);
	free(burst.directory);
	unlink(path);
	mkdir(path, 0700);
	chmod(path, 0777);
	assert_int_equal(burst__init(&burst, path), -EPERM);
	free(burst.directory);
	rmdir(path);
	rmdir(base);
}

static void mappings_are_told_by_pid(void **state)
{
	char base[] = "/tmp/memdrift-maps.XXXXXX", path[64], *folded;
	struct mappings mappings = {.directory = base, .pidfd = -1};
	size_t size;
	FILE *file;

	assert_non_null(mkdtemp(base));
	snprintf(path, sizeof(path), "%s/mappings.3.folded", base);
	file = fopen(path, "w");
	fputs("a-12;main;f 1\na-1;main;g 2\nb-12-1;h 3\nc 4\nd-12;i 5\n-12 6\n", file);
	fclose(file);
	assert_int_equal(mappings__of(&mappings, 12, 0, &folded, &size), 0);
	assert_string_equal(folded, "a-12;main;f 1\nd-12;i 5\n");
	free(folded);
	assert_int_equal(mappings__of(&mappings, 13, 0, &folded, &size), -ENOENT);
	/* Another process had the pid then. */
	assert_int_equal(mappings__of(&mappings, 12, (double)time(NULL) + 60, &folded, &size),
			 -ENOENT);
	unlink(path);
	rmdir(base);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_heaviest_stack_is_found),
		cmocka_unit_test(a_cause_is_no_allocator),
		cmocka_unit_test(stacks_are_written_from_the_leaf),
		cmocka_unit_test(the_clock_runs_faster_and_never_back),
		cmocka_unit_test(a_budget_is_a_share_of_time),
		cmocka_unit_test(a_group_covers_those_below),
		cmocka_unit_test(bursts_keep_to_a_private_directory),
		cmocka_unit_test(mappings_are_told_by_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
