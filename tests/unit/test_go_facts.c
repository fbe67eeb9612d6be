// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Go's books as read from outside, against what the program itself reads by runtime.ReadMemStats;
 * and books whose words are anything. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "go_child.h"
#include "golang/go_facts.h"
#include "golang/go_layout.h"
#include "golang/go_program.h"

#define MIB (1ull << 20)

static void layouts_of_versions(void **state)
{
	static const char *const known[] = {"go1.19", "go1.19.8", "go1.21.0", "go1.27.3"};
	static const char *const unknown[] = {
		"",
		"go1.18.10",
		"go1.20.3",
		"go1.28",
		"go1.25rc1",
		"go1.24-abc",
		"devel go1.24-0000",
		"go1.",
		"go1.24.4 X:",
		"go2.1",
		"go1.99999999999999999",
		"go1.24.4 X:boringcrypto",
	};
	struct go_layout layout;

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		assert_true(go_layout__of_version(known[i], &layout));
		assert_true(go_layout__is_usable(&layout));
	}
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
		assert_false(go_layout__of_version(unknown[i], &layout));
	assert_int_equal(go_version__minor("go1.24.4 X:boringcrypto"), 24);
}

/* What was measured for the version at hand is what its DWARF says. */
static void layout_as_in_dwarf(void **state)
{
	const char *path = go_child__path();
	struct go_layout measured, described;
	struct go_program program;
	struct subject subject;
	struct go_child child;
	int fd;

	if (!path)
		skip();
	child = go_child__start((char *[]){(char *)path, "-mib", "1", NULL});
	json_decref(go_child__next(&child));
	assert_int_equal(subject__open(child.pid, &subject), 0);
	assert_int_equal(go_program__read(&subject, &program), 0);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(go_layout__read_dwarf(fd, &described), 0);
	if (go_layout__of_version(program.version, &measured))
		assert_memory_equal(&measured, &described, sizeof(measured));
	close(fd);
	subject__close(&subject);
	go_child__end(&child);
}

static int64_t said(const json_t *line, const char *name)
{
	return json_integer_value(json_object_get(line, name));
}

/* Within what it said before and after: the runtime gives memory back in the background. */
static void assert_between(int64_t value, const json_t *before, const json_t *after,
			   const char *name)
{
	int64_t a = said(before, name), b = said(after, name);

	if (value < (a < b ? a : b) || value > (a < b ? b : a)) {
		print_error("%s: %" PRId64 ", but it says %" PRId64 " and then %" PRId64 "\n", name,
			    value, a, b);
		fail();
	}
}

static void assert_facts(const struct go_facts *facts, const json_t *before, const json_t *after)
{
	assert_true(facts->known);
	assert_null(facts->why_unknown);
	assert_true(facts->invariants.done && facts->invariants.ok);
	assert_between(facts->heap_inuse_bytes, before, after, "heap_inuse");
	assert_between(facts->heap_idle_bytes, before, after, "heap_idle");
	assert_between(facts->heap_released_bytes, before, after, "heap_released");
	assert_between(facts->heap_alloc_bytes, before, after, "heap_alloc");
	/* What it allocated since it was asked first is in spans that the runtime has not counted;
	 * a few bytes it allocates itself. */
	assert_true(said(after, "heap_alloc") - said(before, "heap_alloc") > 400000);
	assert_in_range(facts->heap_alloc_bytes, said(after, "heap_alloc") - 2048,
			said(after, "heap_alloc"));
	assert_between(facts->stacks_inuse_bytes, before, after, "stacks_inuse");
	assert_between(facts->sys_bytes, before, after, "sys");
	assert_between(facts->heap_goal_bytes, before, after, "next_gc");
	assert_between(facts->num_gc, before, after, "num_gc");
}

static void assert_classes(const struct go_facts *facts)
{
	uint64_t spans = 0, objects = 0;

	assert_in_range(facts->class_count, 30, GO_CLASSES_MAX);
	for (uint32_t i = 0; i < facts->class_count; i++) {
		spans += facts->classes[i].span_bytes;
		objects += facts->classes[i].object_bytes;
		assert_true(facts->classes[i].object_bytes <= facts->classes[i].span_bytes);
	}
	assert_int_equal(spans, facts->heap_inuse_bytes);
	assert_int_equal(objects, facts->heap_alloc_bytes);
	assert_true(facts->span_objects_resident_bytes <= facts->heap_inuse_bytes);
	assert_true(facts->span_objects_resident_bytes > facts->heap_inuse_bytes / 10 * 9);
	assert_true(facts->span_stacks_resident_bytes > 0);
	assert_true(facts->span_idle_resident_bytes >= 0);
}

/* All of its anonymous memory is the heap's or the runtime's, but for its own zeroed data. */
static void assert_claims(struct subject *subject, struct claims *claims)
{
	uint64_t left = 0, claimed = 0;

	assert_int_equal(claims__settle(claims), 0);
	for (size_t i = 0; i < subject->n; i++) {
		const struct maps_entry *entry = &subject->entries[i];
		uint64_t next;

		if (entry->path[0] || entry->start < 4096 * MIB)
			continue;
		for (uint64_t at = entry->start; at < entry->end; at = next) {
			bool found = claims__find(claims, at, &next);

			next = next < entry->end ? next : entry->end;
			*(found ? &claimed : &left) += subject__resident(subject, at, next);
		}
	}
	assert_true(claimed > 60 * MIB);
	assert_int_equal(left, 0);
}

static void as_the_program_says(void **state)
{
	const char *path = go_child__path();
	struct claims claims = {0};
	json_t *before, *after;
	struct subject subject;
	struct go_facts facts;
	struct go_child child;

	if (!path)
		skip();
	child = go_child__start(
		(char *[]){(char *)path, "-gogc", "50", "-limit", "3221225472", NULL});
	before = go_child__next(&child);
	assert_non_null(before);
	json_decref(go_child__next(&child)); /* it is ready */
	assert_int_equal(subject__open(child.pid, &subject), 0);
	assert_int_equal(go_facts__read(&subject, &claims, &facts), 0);
	go_child__tell(&child);
	after = go_child__next(&child);
	assert_non_null(after);
	assert_facts(&facts, before, after);
	assert_classes(&facts);
	assert_int_equal(facts.gogc_percent, 50);
	assert_false(facts.gogc_off);
	assert_int_equal(facts.gomemlimit_bytes, 3221225472);
	assert_true(facts.heap_live_bytes > 0);
	assert_claims(&subject, &claims);
	json_decref(before);
	json_decref(after);
	claims__free(&claims);
	subject__close(&subject);
	go_child__end(&child);
}

static void no_go_program(void **state)
{
	struct claims claims = {0};
	struct subject subject;
	struct go_facts facts;

	assert_int_equal(subject__open((uint32_t)getpid(), &subject), 0);
	assert_int_equal(go_facts__read(&subject, &claims, &facts), -ENOENT);
	assert_int_equal(facts.heap_inuse_bytes, GO_UNKNOWN);
	assert_int_equal(claims.count, 0);
	subject__close(&subject);
}

static void read_again(struct subject *subject)
{
	struct claims claims = {0};
	struct go_facts facts;
	int err;

	err = go_facts__read(subject, &claims, &facts);
	assert_true(err == 0 || err == -ENOMEM);
	/* What does not add up is not told. */
	if (!facts.known) {
		assert_int_equal(facts.heap_inuse_bytes, GO_UNKNOWN);
		assert_int_equal(facts.class_count, 0);
		assert_non_null(facts.why_unknown);
	} else {
		assert_true(facts.invariants.ok);
	}
	assert_int_equal(claims__settle(&claims), 0);
	claims__free(&claims);
}

/* Numbers that a reader stumbles over: huge, negative, addresses of this program, small. */
static uint64_t odd_word(const struct subject *subject)
{
	const struct maps_entry *entry = &subject->entries[(size_t)rand() % subject->n];

	switch (rand() % 6) {
	case 0:
		return (uint64_t)rand() << 33 ^ (uint64_t)rand();
	case 1:
		return UINT64_MAX - (uint64_t)rand() % 4096;
	case 2:
		return entry->start;
	case 3:
		return entry->end - 8;
	case 4:
		return 0xc000000000 + ((uint64_t)rand() % 16384 << 13);
	}
	return (uint64_t)rand() % 100000;
}

/* The program is stopped, and never goes on: it would not live long. */
static void any_words(void **state)
{
	const char *path = go_child__path();
	struct go_program program;
	struct subject subject;
	struct go_child child;
	char name[64];
	int fd;

	if (!path)
		skip();
	child = go_child__start((char *[]){(char *)path, "-mib", "8", NULL});
	json_decref(go_child__next(&child));
	json_decref(go_child__next(&child));
	assert_int_equal(kill(child.pid, SIGSTOP), 0);
	assert_int_equal(subject__open(child.pid, &subject), 0);
	assert_int_equal(go_program__read(&subject, &program), 0);
	assert_true(program.known);
	snprintf(name, sizeof(name), "/proc/%d/mem", child.pid);
	fd = open(name, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	read_again(&subject);
	srand(1);
	for (int round = 0; round < 100; round++) {
		for (int i = 0; i < 20; i++) {
			uint64_t word = odd_word(&subject), at;

			/* The variables first, which lead to all else; then anything resident. */
			if (rand() % 4) {
				at = program.at[rand() % GO_VARIABLES] +
				     (uint64_t)rand() % 8192 * 8;
			} else {
				const struct page_run *run =
					&subject.runs.runs[(size_t)rand() % subject.runs.count];

				at = run->start + (uint64_t)rand() % 512 * 8;
			}
			if (memory__run_end(&subject.memory, at))
				(void)!pwrite(fd, &word, sizeof(word), (off_t)at);
		}
		read_again(&subject);
	}
	close(fd);
	subject__close(&subject);
	go_child__end(&child);
}

/* Lists that lead to themselves, slices without end: each alone, all else in order. */
static void lists_without_end(void **state)
{
	static const enum go_field slices[] = {GO_ALL_SPANS, GO_SUMMARY, GO_SCAVENGE_INDEX};
	const char *path = go_child__path();
	struct go_program program;
	struct subject subject;
	struct go_child child;
	uint64_t first, huge = UINT64_MAX / 8;
	char name[64];
	int fd;

	if (!path)
		skip();
	child = go_child__start((char *[]){(char *)path, "-mib", "8", NULL});
	json_decref(go_child__next(&child));
	json_decref(go_child__next(&child));
	assert_int_equal(kill(child.pid, SIGSTOP), 0);
	assert_int_equal(subject__open(child.pid, &subject), 0);
	assert_int_equal(go_program__read(&subject, &program), 0);
	snprintf(name, sizeof(name), "/proc/%d/mem", child.pid);
	fd = open(name, O_RDWR | O_CLOEXEC);
	assert_int_equal(memory__word(&subject.memory, program.at[GO_PERSISTENT_CHUNKS], &first),
			 0);
	assert_int_equal(pwrite(fd, &first, 8, (off_t)first), 8);
	read_again(&subject);
	assert_int_equal(memory__word(&subject.memory, program.at[GO_GC_BITS] + 16, &first), 0);
	assert_int_equal(pwrite(fd, &first, 8, (off_t)first + 8), 8);
	read_again(&subject);
	for (size_t i = 0; i < sizeof(slices) / sizeof(slices[0]); i++) {
		uint64_t at = program.at[GO_MHEAP] + program.layout.at[slices[i]];

		assert_int_equal(pwrite(fd, &huge, 8, (off_t)at + 8), 8);
		assert_int_equal(pwrite(fd, &huge, 8, (off_t)at + 16), 8);
		read_again(&subject);
	}
	close(fd);
	subject__close(&subject);
	go_child__end(&child);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(layouts_of_versions), cmocka_unit_test(layout_as_in_dwarf),
		cmocka_unit_test(as_the_program_says), cmocka_unit_test(no_go_program),
		cmocka_unit_test(any_words),           cmocka_unit_test(lists_without_end),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
