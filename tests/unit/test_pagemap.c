// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "census/pagemap.h"

#include "census_child.h"

#define PAGE 4096ULL
#define MB   (1ULL << 20)

/* A process with everything that tells kinds of pages apart; told[0] and [1]: a range of pages of
 * which every second one is resident; [2]: 8 MB read but not written; [3]: a never touched page. */
static void use_memory(struct child *child)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	const size_t spread = 3000;
	char *pages = mmap(NULL, spread * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
	char *zeroes = mmap(NULL, 8 * MB, PROT_READ | PROT_WRITE, flags, -1, 0);
	char *huge = mmap(NULL, 8 * MB, PROT_READ | PROT_WRITE, flags, -1, 0);
	char *huge_zero = mmap(NULL, 8 * MB, PROT_READ | PROT_WRITE, flags, -1, 0);
	char *hidden = mmap(NULL, MB, PROT_READ | PROT_WRITE, flags, -1, 0);
	/* Where the host has huge pages set aside; smaps does not count them as Rss. */
	char *hugetlb = mmap(NULL, 4 * MB, PROT_READ | PROT_WRITE, flags | MAP_HUGETLB, -1, 0);
	char *shared = mmap(NULL, MB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < spread; i += 2)
		pages[i * PAGE] = 1;
	for (size_t i = 0; i < 8 * MB; i += PAGE)
		(void)*(volatile char *)&zeroes[i];
	madvise(huge, 8 * MB, MADV_HUGEPAGE);
	memset(huge, 1, 5 * MB);
	madvise(huge_zero, 8 * MB, MADV_HUGEPAGE);
	for (size_t i = 0; i < 8 * MB; i += PAGE)
		(void)*(volatile char *)&huge_zero[i];
	if (hugetlb != MAP_FAILED)
		memset(hugetlb, 1, 4 * MB);
	memset(hidden, 1, MB);
	mprotect(hidden, MB, PROT_NONE);
	memset(shared, 1, MB / 2);
	child->told[0] = (uintptr_t)pages;
	child->told[1] = spread;
	child->told[2] = (uintptr_t)zeroes;
	child->told[3] = (uintptr_t)pages + PAGE;
	child->told[4] = (uintptr_t)hidden;
	child_ready(child);
	pause();
}

static struct child user;

static int start_user(void **state)
{
	user = child__start(use_memory);
	return 0;
}

static int end_user(void **state)
{
	child__end(&user);
	return 0;
}

/* Each mapping's Rss, in both ways of reading. [vvar] holds no pages that are counted. False when
 * one differs: why. */
static bool is_as_smaps(bool scan, char why[9000])
{
	struct pagemap *pm;
	char path[64], line[8192], name[8192] = "";
	uint64_t start = 0, end = 0, kb, swap_kb, all = 0;
	size_t compared = 0;
	bool same = true;
	FILE *file;

	assert_int_equal(pagemap__open(user.pid, &pm), 0);
	if (!scan)
		pagemap__without_scan(pm);
	snprintf(path, sizeof(path), "/proc/%d/smaps", user.pid);
	file = fopen(path, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		uint64_t from, to;
		struct page_counts counts;

		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &from, &to) == 2) {
			start = from;
			end = to;
			strcpy(name, line);
		}
		if (strstr(name, "[vvar") || strstr(name, "[vsyscall]"))
			continue;
		if (sscanf(line, "Rss: %" SCNu64, &kb) == 1) {
			assert_int_equal(pagemap__count(pm, start, end, &counts), 0);
			if (counts.resident_bytes != kb << 10) {
				snprintf(why, 9000, "%s: %" PRIu64 " kB, Rss %" PRIu64 " kB", name,
					 counts.resident_bytes >> 10, kb);
				same = false;
			}
			all += kb << 10;
			compared++;
		}
		if (sscanf(line, "Swap: %" SCNu64, &swap_kb) == 1) {
			assert_int_equal(pagemap__count(pm, start, end, &counts), 0);
			assert_int_equal(counts.swapped_bytes, swap_kb << 10);
		}
	}
	fclose(file);
	assert_true(compared > 20);
	assert_true(all > 10 * MB);
	pagemap__close(pm);
	return same;
}

/* Who places uprobes in a library changes its pages between the two readings: then again. */
static void compare_with_smaps(bool scan)
{
	char why[9000] = "";

	for (int try = 0; try < 10; try++)
		if (is_as_smaps(scan, why))
			return;
	fail_msg("%s", why);
}

static void every_mapping_has_the_rss_of_smaps(void **state)
{
	if (geteuid())
		skip();
	compare_with_smaps(true);
}

static void without_the_scan_it_is_the_same(void **state)
{
	if (geteuid())
		skip();
	compare_with_smaps(false);
}

static void pages_are_told_one_by_one(void **state)
{
	for (int scan = 0; scan < 2; scan++) {
		struct pagemap *pm;
		uint64_t bytes, base = user.told[0];

		assert_int_equal(pagemap__open(user.pid, &pm), 0);
		if (!scan)
			pagemap__without_scan(pm);
		/* More runs than one call of the scan gives. */
		assert_int_equal(pagemap__resident(pm, base, base + user.told[1] * PAGE, &bytes),
				 0);
		assert_int_equal(bytes, user.told[1] / 2 * PAGE);
		assert_int_equal(pagemap__resident(pm, base, base + PAGE, &bytes), 0);
		assert_int_equal(bytes, PAGE);
		assert_int_equal(pagemap__resident(pm, base + PAGE, base + 2 * PAGE, &bytes), 0);
		assert_int_equal(bytes, 0);
		/* A range grows to whole pages. */
		assert_int_equal(
			pagemap__resident(pm, base + PAGE - 1, base + 2 * PAGE + 1, &bytes), 0);
		assert_int_equal(bytes, 2 * PAGE);
		assert_int_equal(pagemap__resident(pm, base, base, &bytes), 0);
		assert_int_equal(bytes, 0);
		assert_int_equal(pagemap__resident(pm, base + 1, base, &bytes), -EINVAL);
		assert_int_equal(pagemap__resident(pm, user.told[4], user.told[4] + MB, &bytes), 0);
		assert_int_equal(bytes, MB);
		pagemap__close(pm);
	}
}

static void zero_pages_are_not_resident(void **state)
{
	for (int scan = 0; scan < 2; scan++) {
		struct pagemap *pm;
		uint64_t bytes;

		assert_int_equal(pagemap__open(user.pid, &pm), 0);
		if (!scan)
			pagemap__without_scan(pm);
		/* Where pages lie in memory is told to root alone. */
		if (scan || geteuid() == 0) {
			assert_int_equal(
				pagemap__resident(pm, user.told[2], user.told[2] + 8 * MB, &bytes),
				0);
			assert_int_equal(bytes, 0);
		}
		pagemap__close(pm);
	}
}

static void the_whole_address_space_can_be_asked_for(void **state)
{
	struct pagemap *pm;
	struct page_counts all, part = {0};
	uint64_t some = 0;

	assert_int_equal(pagemap__open(user.pid, &pm), 0);
	assert_int_equal(pagemap__count(pm, 0, UINT64_MAX, &all), 0);
	assert_int_equal(pagemap__resident(pm, user.told[0], user.told[0] + 3000 * PAGE, &some), 0);
	assert_true(all.resident_bytes > some + 5 * MB);
	assert_true(all.file_bytes > 0 && all.file_bytes < all.resident_bytes);
	pagemap__without_scan(pm);
	assert_int_equal(pagemap__count(pm, 0, UINT64_MAX, &part), 0);
	/* smaps leaves [vvar] out. */
	assert_true(all.resident_bytes - part.resident_bytes <= 8 * PAGE);
	pagemap__close(pm);
}

struct runs {
	uint64_t bytes;
	uint64_t last_end;
	size_t count;
};

static void add_run(void *ctx, uint64_t start, uint64_t end, bool file)
{
	struct runs *runs = ctx;

	assert_true(start < end);
	assert_true(start >= runs->last_end);
	assert_false(file);
	runs->bytes += end - start;
	runs->last_end = end;
	runs->count++;
}

static void runs_come_in_order_and_add_up(void **state)
{
	for (int scan = 0; scan < 2; scan++) {
		struct runs runs = {0};
		struct pagemap *pm;
		uint64_t base = user.told[0];

		assert_int_equal(pagemap__open(user.pid, &pm), 0);
		if (!scan)
			pagemap__without_scan(pm);
		assert_int_equal(
			pagemap__each_run(pm, base, base + user.told[1] * PAGE, add_run, &runs), 0);
		assert_int_equal(runs.count, user.told[1] / 2);
		assert_int_equal(runs.bytes, user.told[1] / 2 * PAGE);
		pagemap__close(pm);
	}
}

static void peek_reads_resident_pages_alone(void **state)
{
	struct pagemap *pm;
	char bytes[2 * PAGE];
	uint64_t resident;

	assert_int_equal(pagemap__open(user.pid, &pm), 0);
	assert_int_equal(pagemap__peek(pm, user.told[0], bytes, 2), 0);
	assert_int_equal(bytes[0], 1);
	assert_int_equal(bytes[1], 0);
	assert_int_equal(pagemap__peek(pm, user.told[3], bytes, 2), -ENODATA);
	assert_int_equal(pagemap__peek(pm, user.told[0], bytes, PAGE + 1), -ENODATA);
	assert_int_equal(pagemap__peek(pm, UINT64_MAX - 1, bytes, 2), -EFAULT);
	assert_int_equal(pagemap__peek(pm, 0x10, bytes, 8), -ENODATA);
	/* The look has not made it resident. */
	assert_int_equal(pagemap__resident(pm, user.told[3], user.told[3] + PAGE, &resident), 0);
	assert_int_equal(resident, 0);
	pagemap__close(pm);
}

static void wait_and_exec(struct child *child)
{
	child_ready(child);
	fcntl(child->from_fd, F_SETFD, FD_CLOEXEC);
	execl("/bin/sleep", "sleep", "1000", NULL);
	_exit(1);
}

/* Who places uprobes in libc holds the memory of all that map it for a moment. */
static void wait_for_end(struct pagemap *pm)
{
	while (pagemap__alive(pm))
		;
}

static void what_has_ended_gives_no_numbers(void **state)
{
	struct child child = child__start(use_memory);
	struct pagemap *pm;
	uint64_t bytes = 77;
	char c;

	assert_int_equal(pagemap__open(child.pid, &pm), 0);
	assert_true(pagemap__alive(pm));
	child__end(&child);
	wait_for_end(pm);
	assert_int_equal(pagemap__resident(pm, child.told[0], child.told[0] + MB, &bytes), -ESRCH);
	assert_int_equal(bytes, 77);
	assert_int_equal(pagemap__peek(pm, child.told[0], &c, 1), -ESRCH);
	pagemap__without_scan(pm);
	assert_int_equal(pagemap__resident(pm, child.told[0], child.told[0] + MB, &bytes), -ESRCH);
	pagemap__close(pm);
	assert_int_equal(pagemap__open(child.pid, &pm), -ESRCH);
}

static void another_program_is_not_taken_for_the_first(void **state)
{
	struct child child = child__start(wait_and_exec);
	struct pagemap *pm;
	uint64_t bytes;
	char c;

	assert_int_equal(pagemap__open(child.pid, &pm), 0);
	assert_int_equal(write(child.to_fd, "", 1), 1);
	/* The kernel closes the pipe after it has put the new memory in place. */
	assert_int_equal(read(child.from_fd, &c, 1), 0);
	wait_for_end(pm);
	assert_int_equal(pagemap__resident(pm, 0, MB, &bytes), -ESRCH);
	assert_int_equal(pagemap__peek(pm, 0x1000, &c, 1), -ESRCH);
	pagemap__close(pm);
	child__end(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_mapping_has_the_rss_of_smaps),
		cmocka_unit_test(without_the_scan_it_is_the_same),
		cmocka_unit_test(pages_are_told_one_by_one),
		cmocka_unit_test(zero_pages_are_not_resident),
		cmocka_unit_test(the_whole_address_space_can_be_asked_for),
		cmocka_unit_test(runs_come_in_order_and_add_up),
		cmocka_unit_test(peek_reads_resident_pages_alone),
		cmocka_unit_test(what_has_ended_gives_no_numbers),
		cmocka_unit_test(another_program_is_not_taken_for_the_first),
	};

	return cmocka_run_group_tests(tests, start_user, end_user);
}
