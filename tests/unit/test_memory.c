// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "census/subject.h"

#include "census_child.h"

#define PAGE 4096ULL

enum { PAGES = 64 };

/* told[0]: pages of which every second one is resident and holds its number throughout; told[1]:
 * as many that are all resident, the middle one not readable for anybody. */
static void use_memory(struct child *child)
{
	const int flags = MAP_PRIVATE | MAP_ANONYMOUS;
	char *spread = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);
	char *full = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);

	for (int i = 0; i < PAGES; i += 2)
		memset(spread + i * PAGE, i + 1, PAGE);
	for (int i = 0; i < PAGES; i++)
		memset(full + i * PAGE, i + 1, PAGE);
	child->told[0] = (uintptr_t)spread;
	child->told[1] = (uintptr_t)full;
	child_ready(child);
	munmap(full + PAGES / 2 * PAGE, PAGE);
	child_ready(child);
	pause();
}

struct fixture {
	struct child child;
	struct subject subject;
	uint64_t spread, full;
};

static struct fixture fixture;

static int start_child(void **state)
{
	memset(&fixture, 0, sizeof(fixture));
	fixture.child = child__start(use_memory);
	fixture.spread = fixture.child.told[0];
	fixture.full = fixture.child.told[1];
	return subject__open(fixture.child.pid, &fixture.subject);
}

static int end_child(void **state)
{
	subject__close(&fixture.subject);
	child__end(&fixture.child);
	return 0;
}

static void only_resident_memory_is_read(void **state)
{
	struct memory *memory = &fixture.subject.memory;
	uint64_t resident = subject__resident(&fixture.subject, 0, UINT64_MAX), word = 0;
	uint8_t buf[4 * PAGE];

	assert_int_equal(memory__word(memory, fixture.spread, &word), 0);
	assert_true(word == 0x0101010101010101);
	assert_int_equal(memory__word(memory, fixture.spread + PAGE, &word), -ENODATA);
	assert_int_equal(memory__word(memory, fixture.spread + PAGE - 4, &word), -ENODATA);
	assert_int_equal(memory__read(memory, fixture.spread, buf, 2 * PAGE), -ENODATA);
	assert_int_equal(memory__read_some(memory, fixture.spread + 100, buf, sizeof(buf)),
			 PAGE - 100);
	assert_int_equal(buf[PAGE - 101], 1);
	assert_int_equal(memory__read_some(memory, fixture.spread + PAGE, buf, 1), -ENODATA);
	assert_int_equal(memory__read(memory, fixture.full + 8, buf, sizeof(buf)), 0);
	assert_int_equal(buf[0], 1);
	assert_int_equal(buf[4 * PAGE - 1], 5);
	assert_true(memory__run_end(memory, fixture.spread + 2 * PAGE) ==
		    fixture.spread + 3 * PAGE);
	assert_true(memory__run_end(memory, fixture.spread + PAGE) == 0);
	/* Nothing was faulted in by it. */
	assert_int_equal(subject__renew(&fixture.subject), 0);
	assert_true(subject__resident(&fixture.subject, 0, UINT64_MAX) == resident);
}

static void addresses_that_are_none_are_no_data(void **state)
{
	struct memory *memory = &fixture.subject.memory;
	uint8_t byte;
	uint64_t word;

	assert_int_equal(memory__word(memory, 0, &word), -ENODATA);
	assert_int_equal(memory__word(memory, UINT64_MAX - 2, &word), -EFAULT);
	assert_int_equal(memory__word(memory, 1ULL << 63, &word), -ENODATA);
	assert_int_equal(memory__read_some(memory, UINT64_MAX, &byte, 1), -ENODATA);
	assert_int_equal(memory__read(memory, UINT64_MAX - 8, &byte, SIZE_MAX), -EFAULT);
}

static void pieces_are_gathered_around_what_cannot_be_read(void **state)
{
	struct memory *memory = &fixture.subject.memory;
	uint64_t addrs[3 * PAGES], words[3 * PAGES];
	uint8_t valid[3 * PAGES];
	uint64_t calls;

	for (int i = 0; i < PAGES; i++) {
		addrs[3 * i] = fixture.spread + i * PAGE;
		addrs[3 * i + 1] = fixture.full + i * PAGE + 24;
		addrs[3 * i + 2] = i * PAGE * 1000; /* mostly nowhere */
	}
	/* One page goes after its being resident was read. */
	child__step(&fixture.child);
	memset(words, 0, sizeof(words));
	calls = memory->calls;
	assert_int_equal(memory__gather(memory, addrs, 3 * PAGES, 8, words, valid), 0);
	for (int i = 0; i < PAGES; i++) {
		uint64_t want = 0x0101010101010101 * (i + 1);

		assert_int_equal(valid[3 * i], i % 2 == 0);
		assert_true(!valid[3 * i] || words[3 * i] == want);
		assert_int_equal(valid[3 * i + 1], i != PAGES / 2);
		assert_true(!valid[3 * i + 1] || words[3 * i + 1] == want);
		assert_int_equal(valid[3 * i + 2], 0);
	}
	assert_true(memory->calls - calls <= 3);
}

static void bounds_hold(void **state)
{
	struct memory *memory = &fixture.subject.memory;
	uint64_t word, addr = fixture.full;
	uint8_t valid, buf[PAGE];

	memory->bytes_max = memory->bytes_read + 2 * PAGE;
	assert_int_equal(memory__read(memory, addr, buf, PAGE), 0);
	assert_int_equal(memory__read(memory, addr, buf, PAGE), 0);
	assert_int_equal(memory__word(memory, addr, &word), -EDQUOT);
	assert_int_equal(memory__gather(memory, &addr, 1, 8, buf, &valid), -EDQUOT);
	memory->bytes_max = 0;
	memory->deadline_ns = monotonic_ns() - 1;
	assert_int_equal(memory__word(memory, addr, &word), -ETIME);
	assert_int_equal(memory__gather(memory, &addr, 1, 8, buf, &valid), -ETIME);
	memory->deadline_ns = 0;
	assert_int_equal(memory__word(memory, addr, &word), 0);
}

static void an_ended_process_is_told(void **state)
{
	struct memory *memory = &fixture.subject.memory;
	uint8_t valid, buf[8];
	uint64_t word, addr = fixture.full;

	kill(fixture.child.pid, SIGKILL);
	assert_int_equal(waitid(P_PID, fixture.child.pid, NULL, WEXITED | WNOWAIT), 0);
	assert_int_equal(memory__word(memory, addr, &word), -ESRCH);
	assert_int_equal(memory__gather(memory, &addr, 1, 8, buf, &valid), -ESRCH);
	/* Who places uprobes in libc holds the memory of all that map it for a moment. */
	while (pagemap__alive(fixture.subject.pm))
		;
	assert_false(subject__is_alive(&fixture.subject));
	assert_int_equal(subject__renew(&fixture.subject), -ESRCH);
	/* What was read stays. */
	assert_true(subject__resident(&fixture.subject, addr, addr + PAGE) == PAGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(only_resident_memory_is_read, start_child,
						end_child),
		cmocka_unit_test_setup_teardown(addresses_that_are_none_are_no_data, start_child,
						end_child),
		cmocka_unit_test_setup_teardown(pieces_are_gathered_around_what_cannot_be_read,
						start_child, end_child),
		cmocka_unit_test_setup_teardown(bounds_hold, start_child, end_child),
		cmocka_unit_test_setup_teardown(an_ended_process_is_told, start_child, end_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
