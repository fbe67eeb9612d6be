// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <linux/perf_event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "census/ledger.h"
#include "census/smaps.h"

#include "census_child.h"

#define PAGE 4096ULL
#define MB   (1ULL << 20)

#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static char zeroes[4 * MB];

/* Between pages that nobody may use: the kernel merges it with nothing. */
static char *map(size_t bytes, int flags, int fd)
{
	char *at = mmap(NULL, bytes + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (at == MAP_FAILED ||
	    mmap(at + PAGE, bytes, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0) == MAP_FAILED)
		_exit(2);
	return at + PAGE;
}

static void use_shared_memory(void)
{
	int memfd = memfd_create("test", 0), id = shmget(IPC_PRIVATE, MB, 0600);
	int file = open("/dev/shm", O_TMPFILE | O_RDWR, 0600);
	char *sysv = id < 0 ? NULL : shmat(id, NULL, 0);

	if (memfd < 0 || ftruncate(memfd, 2 * MB) || file < 0 || ftruncate(file, MB) ||
	    sysv == (char *)-1)
		_exit(2);
	memset(map(4 * MB, MAP_SHARED | MAP_ANONYMOUS, -1), 1, MB);
	memset(map(2 * MB, MAP_SHARED, memfd), 1, 2 * MB);
	memset(map(MB, MAP_SHARED, file), 1, MB);
	if (sysv) {
		memset(sysv, 1, MB);
		shmctl(id, IPC_RMID, NULL);
	}
}

/* Pages that no page cache has: Rss does not count those of the first kind, but of the second. */
static void use_devices(void)
{
	struct perf_event_attr attr = {.size = sizeof(attr), .type = PERF_TYPE_SOFTWARE};
	int mem = open("/dev/mem", O_RDONLY);
	int event = (int)syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);

	if (mem >= 0) {
		volatile char *rom = mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, mem, 0xf0000);

		for (size_t i = 0; rom != MAP_FAILED && i < 4 * PAGE; i += PAGE)
			(void)rom[i];
	}
	if (event >= 0)
		(void)mmap(NULL, 9 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, event, 0);
}

enum { FILE_COPIED_PAGES = 10, FILE_PAGES = 64, TRIES = 10 };

static int open_file(void)
{
	const char *dir = getenv("TMPDIR");
	int fd = open(dir ? dir : "/tmp", O_TMPFILE | O_RDWR, 0600);
	char page[PAGE] = {1};

	for (int i = 0; fd >= 0 && i < FILE_PAGES; i++) {
		if (write(fd, page, sizeof(page)) != (ssize_t)sizeof(page))
			return -1;
	}
	return fd;
}

/* told[0]: 20 MB of its own with a hole of 1 MB; [1]: whether its file is a tmpfs's. */
static void use_all_kinds(struct child *child)
{
	int file = open_file();
	struct statfs fs;
	char *own, *copied, *huge_zero;

	child_ready(child);
	own = map(20 * MB, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	memset(own, 1, 20 * MB);
	madvise(own + 4 * MB, MB, MADV_DONTNEED);
	memset(map(128 * MB, MAP_PRIVATE | MAP_ANONYMOUS, -1), 1, 3 * MB);
	if (file < 0 || fstatfs(file, &fs))
		_exit(2);
	copied = map(FILE_PAGES * PAGE, MAP_PRIVATE, file);
	madvise(copied, FILE_PAGES * PAGE, MADV_POPULATE_READ);
	for (size_t i = 0; i < FILE_COPIED_PAGES; i++)
		copied[i * PAGE] = 2;
	huge_zero = map(8 * MB, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	madvise(huge_zero, 8 * MB, MADV_HUGEPAGE);
	for (size_t i = 0; i < 8 * MB; i += PAGE)
		(void)*(volatile char *)&huge_zero[i];
	memset(zeroes, 1, sizeof(zeroes));
	memset(sbrk(MB), 1, MB);
	use_shared_memory();
	use_devices();
	child->told[0] = (uintptr_t)own;
	child->told[1] = fs.f_type == TMPFS_MAGIC;
	child_ready(child);
	pause();
}

static void sum(struct subject *subject, struct claims *claims, struct ledger *ledger)
{
	struct claims none = {0};
	uint64_t total = 0;

	/* Who places uprobes in libc meanwhile changes Rss, and the pages later. */
	for (int try = 1;; try++) {
		assert_int_equal(ledger__sum(subject, claims ? claims : &none, ledger), 0);
		if (ledger->rss.ok || try == TRIES)
			break;
		assert_int_equal(subject__renew(subject), 0);
	}
	for (int i = 0; i < LEDGER_COMPONENTS; i++)
		total += ledger->rows[i].resident_bytes;
	assert_true(total == ledger->resident_bytes);
	assert_true(ledger->rss.done);
	if (!ledger->rss.ok)
		fail_msg("%" PRIu64 " counted, Rss without the vDSO is %" PRIu64, ledger->rss.found,
			 ledger->rss.expected);
	assert_true(ledger->rss.found == total);
}

static bool has_grown(const struct ledger *before, const struct ledger *after,
		      enum ledger_component component, uint64_t bytes, uint64_t slack)
{
	uint64_t grown =
		after->rows[component].resident_bytes - before->rows[component].resident_bytes;

	return grown >= bytes && grown <= bytes + slack;
}

static void expect_grown(const struct ledger *before, const struct ledger *after,
			 enum ledger_component component, uint64_t bytes, uint64_t slack)
{
	uint64_t grown =
		after->rows[component].resident_bytes - before->rows[component].resident_bytes;

	if (!has_grown(before, after, component, bytes, slack))
		fail_msg("%s grew by %" PRIu64 ", not by %" PRIu64,
			 ledger_component__name(component), grown, bytes);
}

static void every_kind_is_found_and_the_sum_is_rss(void **state)
{
	/* Sanitizers' shadow of what the child uses is anonymous memory too. */
	const uint64_t slack = SANITIZED ? 64 * MB : 0;

	for (int scan = 0, tries = TRIES; scan < 2; scan++) {
		struct child child = child__start(use_all_kinds);
		struct ledger before, after;
		struct subject subject;

		assert_int_equal(subject__open(child.pid, &subject), 0);
		if (!scan)
			pagemap__without_scan(subject.pm);
		assert_int_equal(subject__renew(&subject), 0);
		sum(&subject, NULL, &before);
		child__step(&child);
		assert_int_equal(subject__renew(&subject), 0);
		sum(&subject, NULL, &after);
		/* Who places uprobes in libc between the two readings changes what it has of that:
		 * then again with another process. */
		if (!has_grown(&before, &after, LEDGER_BINARY, sizeof(zeroes), MB) && --tries) {
			subject__close(&subject);
			child__end(&child);
			scan--;
			continue;
		}
		expect_grown(&before, &after, LEDGER_OTHER_ANONYMOUS, 19 * MB, slack);
		expect_grown(&before, &after, LEDGER_LARGE_ANONYMOUS, 3 * MB, slack);
		/* What it read of the perf buffer was mapped at once: 9 pages at most. */
		expect_grown(&before, &after, LEDGER_SHMEM,
			     5 * MB + (child.told[1] ? FILE_PAGES * PAGE : 0), 9 * PAGE);
		expect_grown(&before, &after, LEDGER_FILE, child.told[1] ? 0 : FILE_PAGES * PAGE,
			     4 * PAGE);
		expect_grown(&before, &after, LEDGER_BINARY, sizeof(zeroes), MB);
		expect_grown(&before, &after, LEDGER_BRK_HEAP, MB, 32 * PAGE);
		expect_grown(&before, &after, LEDGER_UNKNOWN, 0, 0);
		assert_true(after.rows[LEDGER_LARGE_ANONYMOUS].reserved_bytes -
				    before.rows[LEDGER_LARGE_ANONYMOUS].reserved_bytes ==
			    128 * MB);
		subject__close(&subject);
		child__end(&child);
	}
}

static void claims_come_before_mappings(void **state)
{
	struct child child = child__start(use_all_kinds);
	struct claims claims = {0};
	struct ledger without, with;
	struct subject subject;
	uint64_t own;

	child__step(&child);
	own = child.told[0];
	assert_int_equal(subject__open(child.pid, &subject), 0);
	sum(&subject, NULL, &without);
	/* Two pieces, the first across the hole; what lies in no mapping counts nothing. */
	assert_int_equal(claims__add(&claims, own + 2 * MB, own + 8 * MB, LEDGER_JEMALLOC, "a"), 0);
	assert_int_equal(
		claims__add(&claims, own + 10 * MB, own + 11 * MB + 5, LEDGER_JEMALLOC, "b"), 0);
	assert_int_equal(claims__add(&claims, 1 << 14, 1 << 15, LEDGER_JEMALLOC, "c"), 0);
	assert_int_equal(claims__settle(&claims), 0);
	sum(&subject, &claims, &with);
	assert_true(with.rows[LEDGER_JEMALLOC].resident_bytes == 6 * MB + 5);
	assert_true(with.rows[LEDGER_JEMALLOC].reserved_bytes == 7 * MB + 5);
	assert_int_equal(with.rows[LEDGER_JEMALLOC].regions, 2);
	assert_string_equal(with.rows[LEDGER_JEMALLOC].how, "a");
	assert_true(without.rows[LEDGER_OTHER_ANONYMOUS].resident_bytes -
			    with.rows[LEDGER_OTHER_ANONYMOUS].resident_bytes ==
		    6 * MB + 5);
	assert_null(with.rows[LEDGER_OTHER_ANONYMOUS].how);
	claims__free(&claims);
	subject__close(&subject);
	child__end(&child);
}

static void use_vdso(struct child *child)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	child->told[0] = getauxval(AT_SYSINFO_EHDR);
	child_ready(child);
	pause();
}

/* Whoever takes his own for larger than it is: the vDSO's page is nobody's, and no part of Rss. */
static void the_vdso_cannot_be_claimed(void **state)
{
	struct child child = child__start(use_vdso);
	struct ledger without, with;
	struct claims claims = {0};
	struct subject subject;
	uint64_t vdso = child.told[0];

	assert_int_equal(subject__open(child.pid, &subject), 0);
	if (!vdso || !subject__resident(&subject, vdso, vdso + PAGE))
		skip();
	sum(&subject, NULL, &without);
	assert_int_equal(
		claims__add(&claims, vdso - 64 * MB, vdso + 64 * MB, LEDGER_THREAD_STACKS, NULL),
		0);
	assert_int_equal(claims__settle(&claims), 0);
	sum(&subject, &claims, &with);
	assert_true(with.rows[LEDGER_THREAD_STACKS].resident_bytes > 0);
	assert_true(with.resident_bytes == without.resident_bytes);
	assert_true(with.rss.expected == without.rss.expected);
	claims__free(&claims);
	subject__close(&subject);
	child__end(&child);
}

enum { MANY = 10000 };

/* Single pages, every second one writable: no two merge. told[0] is the first. */
static void use_many_mappings(struct child *child)
{
	char *at = map(MANY * PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	memset(at, 1, MANY * PAGE);
	for (size_t i = 0; i < MANY; i += 2)
		mprotect(at + i * PAGE, PAGE, PROT_READ);
	child->told[0] = (uintptr_t)at;
	child_ready(child);
	pause();
}

static void ten_thousand_mappings_add_up(void **state)
{
	struct child child = child__start(use_many_mappings);
	struct claims claims = {0};
	struct subject subject;
	struct ledger ledger;

	assert_int_equal(subject__open(child.pid, &subject), 0);
	assert_true(subject.n > MANY);
	/* Half pages: each mapping has a piece that is claimed and one that is not. */
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(claims__add(&claims, child.told[0] + i * PAGE,
					     child.told[0] + i * PAGE + PAGE / 2, LEDGER_MUSL,
					     NULL),
				 0);
	assert_int_equal(claims__settle(&claims), 0);
	sum(&subject, &claims, &ledger);
	assert_true(ledger.rows[LEDGER_MUSL].resident_bytes == MANY * PAGE / 2);
	assert_int_equal(ledger.rows[LEDGER_MUSL].regions, MANY);
	assert_true(ledger.rows[LEDGER_OTHER_ANONYMOUS].resident_bytes >= MANY * PAGE / 2);
	claims__free(&claims);
	subject__close(&subject);
	child__end(&child);
}

static void change_between_the_readings(struct child *child)
{
	char *own = map(8 * MB, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	child_ready(child);
	memset(own, 1, 8 * MB);
	child_ready(child);
	pause();
}

static void a_sum_that_is_of_another_moment_is_said_so(void **state)
{
	struct child child = child__start(change_between_the_readings);
	struct claims none = {0};
	struct subject subject;
	struct ledger ledger;

	assert_int_equal(subject__open(child.pid, &subject), 0);
	child__step(&child);
	/* As if Rss had been read later than the pages. */
	subject.has_rollup = smaps_rollup__read(child.pid, &subject.rollup) == 0;
	assert_int_equal(ledger__sum(&subject, &none, &ledger), 0);
	assert_false(ledger.rss.ok);
	assert_false(ledger.rss.done);
	/* The same of one that stands still is no excuse. */
	assert_int_equal(subject__renew(&subject), 0);
	subject.runs.count--;
	assert_int_equal(ledger__sum(&subject, &none, &ledger), 0);
	assert_false(ledger.rss.ok);
	subject__close(&subject);
	child__end(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_found_and_the_sum_is_rss),
		cmocka_unit_test(claims_come_before_mappings),
		cmocka_unit_test(the_vdso_cannot_be_claimed),
		cmocka_unit_test(ten_thousand_mappings_add_up),
		cmocka_unit_test(a_sum_that_is_of_another_moment_is_said_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
