// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * Allocators whose structures were overwritten: whatever the words say, reading them ends, reads
 * no more than there is, and claims nothing that is not mapped. The programs stand still and are
 * written to from outside, one seed after the other; each seed's words are put back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <cmocka.h>

#include "allocator_target.h"
#include "heap/allocators_scan.h"

#define LIBRARIES "/usr/lib/x86_64-linux-gnu/"
#define WORDS     400
#define SEEDS     24

struct spoiler {
	struct target target;
	uint64_t random;
	uint64_t *data; /* addresses of words of objects' data that are not 0 */
	size_t data_count;
	uint64_t addrs[WORDS], before[WORDS], after[WORDS];
};

static uint64_t draw(struct spoiler *s, uint64_t n)
{
	s->random ^= s->random << 13;
	s->random ^= s->random >> 7;
	s->random ^= s->random << 17;
	return s->random % n;
}

static int keep_words(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct spoiler *s = ctx;

	for (size_t i = 0; i < count; i++) {
		if (!words[i])
			continue;
		if (s->data_count % 1024 == 0)
			s->data = reallocarray(s->data, s->data_count + 1024, sizeof(*s->data));
		s->data[s->data_count++] = addr + 8 * i;
	}
	return 0;
}

/* Half of them in the data that leads to the structures, then heads of pages, then anywhere. */
static uint64_t choose_word(struct spoiler *s)
{
	const struct page_runs *runs = &s->target.subject.runs;
	uint64_t addr = 0;

	if (draw(s, 2) && s->data_count)
		return s->data[draw(s, s->data_count)];
	for (int i = 0; i < 1000; i++) {
		const struct page_run *run = &runs->runs[draw(s, runs->count)];
		const struct maps_entry *entry = subject__entry(&s->target.subject, run->start);

		addr = run->start + draw(s, (run->end - run->start) / 8) * 8;
		if (entry && entry_is_anonymous_rw(entry))
			break;
	}
	return draw(s, 2) ? (addr & ~4095ull) + 8 * draw(s, 32) : addr;
}

static uint64_t choose_value(struct spoiler *s, size_t i)
{
	switch (draw(s, 8)) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX >> draw(s, 64);
	case 2:
		return s->addrs[i] & ~(uint64_t)(draw(s, 2) ? 4095 : 63);
	case 3:
		return s->addrs[draw(s, WORDS)];
	case 4:
		return s->before[draw(s, WORDS)];
	case 5:
		return s->before[i] + 8 * draw(s, 1024) - 4096;
	default:
		return s->before[i] ^ 1ull << draw(s, 64);
	}
}

static void move(struct spoiler *s, uint64_t *words, bool write)
{
	struct iovec local[WORDS], remote[WORDS];

	for (size_t i = 0; i < WORDS; i++) {
		local[i] = (struct iovec){&words[i], 8};
		remote[i] = (struct iovec){(void *)s->addrs[i], 8};
	}
	if (write)
		process_vm_writev(s->target.pid, local, WORDS, remote, WORDS, 0);
	else
		process_vm_readv(s->target.pid, local, WORDS, remote, WORDS, 0);
}

static void expect_possible(const struct subject *subject, const struct allocators *found)
{
	const struct jemalloc_facts *je = &found->jemalloc;
	uint64_t mapped = subject__mapped(subject);

	for (size_t i = 0; i < found->other_count; i++) {
		assert_true(found->others[i].bytes <= mapped);
		if (found->others[i].has_in_use)
			assert_true(found->others[i].in_use_bytes <= found->others[i].bytes);
	}
	if (!found->has_jemalloc)
		return;
	assert_true(je->active_bytes + je->dirty_bytes + je->muzzy_bytes + je->retained_bytes <=
		    mapped);
	assert_true(je->allocated_bytes <= je->active_bytes);
	assert_true(je->metadata_bytes <= mapped);
}

static void expect_sane(struct spoiler *s)
{
	struct subject *subject = &s->target.subject;
	struct allocators found;
	struct claims claims = {0};
	uint64_t resident = 0;

	for (size_t i = 0; i < subject->runs.count; i++)
		resident += subject->runs.runs[i].end - subject->runs.runs[i].start;
	subject->memory.bytes_read = 0;
	assert_int_equal(allocators__read(subject, &claims, &found), 0);
	assert_true(subject->memory.bytes_read <= 16 * resident + (64u << 20));
	assert_int_equal(claims__settle(&claims), 0);
	for (size_t i = 0; i < claims.count; i++)
		assert_true(
			scan__is_anonymous(subject, claims.items[i].start, claims.items[i].end));
	assert_true(found.other_count <= ALLOCATORS_MAX);
	expect_possible(subject, &found);
	claims__free(&claims);
}

static void spoil(char *const argv[], const char *preload)
{
	struct spoiler *s = calloc(1, sizeof(*s));

	if (!target__start(&s->target, argv, preload))
		skip();
	assert_int_equal(subject__open((uint32_t)s->target.pid, &s->target.subject), 0);
	assert_int_equal(scan__each_data_window(&s->target.subject, keep_words, s), 0);
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		s->random = seed * 0x9e3779b97f4a7c15ull;
		for (size_t i = 0; i < WORDS; i++)
			s->addrs[i] = choose_word(s);
		move(s, s->before, false);
		for (size_t i = 0; i < WORDS; i++)
			s->after[i] = choose_value(s, i);
		/* Few words at first: then what is near the top still leads to what is below. */
		if (seed % 2)
			memcpy(s->after + 16, s->before + 16, sizeof(s->after) - 16 * 8);
		move(s, s->after, true);
		expect_sane(s);
		move(s, s->before, true);
	}
	free(s->data);
	target__end(&s->target);
	free(s);
}

static void spoil_heap(const char *name, const char *library)
{
	char path[PATH_MAX], preload[PATH_MAX];
	char *argv[] = {path, "--threads", "2", "--blocks", "2000", "--rounds", "1", NULL};

	snprintf(preload, sizeof(preload), "%s%s", LIBRARIES, library ? library : "");
	if (!target_path(name, path) || access(preload, R_OK))
		skip();
	spoil(argv, library ? preload : NULL);
}

static void test_jemalloc(void **state)
{
	spoil_heap("allocator_heap", "libjemalloc.so.2");
}

static void test_tcmalloc(void **state)
{
	spoil_heap("allocator_heap", "libtcmalloc_minimal.so.4");
}

static void test_mimalloc(void **state)
{
	spoil_heap("allocator_heap", "libmimalloc.so.2.0");
}

#define SEGMENT_BYTES (32ull << 20)
#define SEGMENT_WORDS 64

/* Where a segment's head has its cookie: the next one's differs from it as their addresses do. */
static size_t find_cookie(const uint64_t *head, const uint64_t *next)
{
	for (size_t i = 1; i < SEGMENT_WORDS; i++)
		if (head[i] && next[i] && (head[i] ^ next[i]) >> 48 == 0 &&
		    (head[i] ^ head[0]) == (next[i] ^ next[0]) && head[i] >> 48)
			return i;
	return 0;
}

/* The number of slices of the first segment in front of another one becomes that of both. */
static bool join_segments(struct target *target)
{
	for (size_t i = 0; i < target->subject.n; i++) {
		const struct maps_entry *entry = &target->subject.entries[i];
		uint64_t at = (entry->start + SEGMENT_BYTES - 1) & ~(SEGMENT_BYTES - 1);

		for (; entry_is_anonymous_rw(entry) && at + SEGMENT_BYTES < entry->end;
		     at += SEGMENT_BYTES) {
			uint64_t heads[2][SEGMENT_WORDS], both = 2 * SEGMENT_BYTES / 65536;
			struct memory *memory = &target->subject.memory;
			size_t cookie;

			if (memory__read(memory, at, heads[0], sizeof(heads[0])) ||
			    memory__read(memory, at + SEGMENT_BYTES, heads[1], sizeof(heads[1])))
				continue;
			heads[0][0] = at;
			heads[1][0] = at + SEGMENT_BYTES;
			cookie = find_cookie(heads[0], heads[1]);
			for (size_t k = cookie + 1; cookie && k <= cookie + 3; k += 2) {
				struct iovec local = {&both, 8}, remote = {(void *)(at + k * 8), 8};

				if (heads[0][k] != SEGMENT_BYTES / 65536)
					continue;
				return process_vm_writev(target->pid, &local, 1, &remote, 1, 0) ==
				       8;
			}
		}
	}
	return false;
}

/* A segment that says to reach over the next one: what both have is counted once. */
static void test_mimalloc_long_segment(void **state)
{
	char path[PATH_MAX];
	char *argv[] = {path, "--threads", "3", "--blocks", "4000", NULL};
	const struct allocator_facts *whole, *facts;
	struct allocators found;
	struct claims claims = {0};
	struct target target;

	if (!target_path("allocator_heap", path) || access(LIBRARIES "libmimalloc.so.2.0", R_OK) ||
	    !target__start(&target, argv, LIBRARIES "libmimalloc.so.2.0"))
		skip();
	target__read(&target);
	assert_int_equal(target.err, 0);
	whole = &target.found.others[0];
	assert_int_equal(target.found.other_count, 1);
	assert_true(whole->has_in_use);
	assert_true(join_segments(&target));
	assert_int_equal(allocators__read(&target.subject, &claims, &found), 0);
	facts = &found.others[0];
	assert_int_equal(found.other_count, 1);
	assert_true(facts->bytes == whole->bytes);
	assert_false(facts->has_in_use);
	claims__free(&claims);
	target__end(&target);
}

static void test_musl(void **state)
{
	spoil_heap("allocator_heap_musl", NULL);
}

static void test_python(void **state)
{
	char *argv[] = {"python3", "-c",
			"import sys; keep = [str(i) for i in range(50000)]\n"
			"print('ready'); print('{}', flush=True); sys.stdin.read()",
			NULL};

	spoil(argv, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jemalloc), cmocka_unit_test(test_tcmalloc),
		cmocka_unit_test(test_mimalloc), cmocka_unit_test(test_mimalloc_long_segment),
		cmocka_unit_test(test_musl),     cmocka_unit_test(test_python),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
