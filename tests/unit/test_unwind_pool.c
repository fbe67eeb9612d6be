// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The pool: which file is which object, who makes room for whom, and in which order what a reader
 * can see is written.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "unwind/unwind_pool.h"
#include "unwind/unwind_table.h"
#include "unwind_fixture.h"
#include "unwind_lookup.h"

#define LIBC "/lib/x86_64-linux-gnu/libc.so.6"
#define LDSO "/lib64/ld-linux-x86-64.so.2"
#define LGCC "/usr/lib/x86_64-linux-gnu/libgcc_s.so.1"
#define SELF "/proc/self/exe"

static struct unwind_rule rules[UNWIND_RULES_MAX];
static struct unwind_object objects[UNWIND_OBJECTS_MAX];
static union unwind_block *blocks;
static uint64_t epoch;

static struct unwind_pool *make_pool(uint32_t block_count)
{
	struct unwind_memory memory = {
		.block_count = block_count, .rules = rules, .objects = objects, .epoch = &epoch};

	memset(rules, 0, sizeof(rules));
	memset(objects, 0, sizeof(objects));
	blocks = calloc(block_count, sizeof(blocks[0]));
	epoch = 0;
	memory.blocks = blocks;
	return unwind_pool__new(&memory);
}

static void drop_pool(struct unwind_pool *pool)
{
	unwind_pool__free(pool);
	free(blocks);
}

static struct unwind_pool_stats stats_of(const struct unwind_pool *pool)
{
	struct unwind_pool_stats stats;

	unwind_pool__stats(pool, &stats);
	return stats;
}

static uint32_t add_fd(struct unwind_pool *pool, int fd)
{
	uint32_t index;

	assert_int_equal(unwind_pool__object(pool, fd, "file", -1, &index), 0);
	assert_true(index > UNWIND_OBJECT_UNREAD && index < UNWIND_OBJECTS_MAX);
	return index;
}

static uint32_t add_path(struct unwind_pool *pool, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint32_t index;

	assert_true(fd >= 0);
	index = add_fd(pool, fd);
	close(fd);
	return index;
}

/* A file of its own with the same bytes, and one more at the end if asked for. */
static int copy_file(const char *path, bool longer)
{
	int from = open(path, O_RDONLY | O_CLOEXEC), to = memfd_create("copy", MFD_CLOEXEC);
	size_t size = (size_t)lseek(from, 0, SEEK_END);
	char *bytes = calloc(1, size + 1);

	assert_int_equal(pread(from, bytes, size, 0), size);
	assert_int_equal(write(to, bytes, size + longer), size + longer);
	free(bytes);
	close(from);
	return to;
}

/* As bpf/unwind.h does it. */
static struct unwind_rule look_up(uint32_t index, enum unwind_table_kind kind, uint64_t offset)
{
	const struct unwind_object *object = &objects[index];
	uint64_t page = (offset >> UNWIND_PAGE_SHIFT) - object->first_page;
	struct unwind_page found;

	if (!object->index[kind])
		return (struct unwind_rule){.kind = (uint8_t)object->otherwise};
	if (page >= object->page_count)
		return rules[0];
	found = blocks[object->index[kind] + page / UNWIND_PAGES_PER_BLOCK]
			.pages[page % UNWIND_PAGES_PER_BLOCK];
	return rules[find_in_page(blocks, found, offset & ((1u << UNWIND_PAGE_SHIFT) - 1))];
}

/* The tables of an object in the pool are those of its file. */
static void check_full(uint32_t index, const char *path)
{
	struct loaded loaded;

	assert_true(load_file(&loaded, path));
	for (size_t i = 0; i < loaded.rows.count; i++) {
		uint64_t offset;

		/* Those of padding are not there. */
		if (unwind_rule__equal(loaded.rows.rows[i].rule, frame_gap_rule))
			continue;

		assert_int_equal(
			elf_object__file_offset(loaded.elf, loaded.rows.rows[i].vaddr, &offset), 0);
		assert_true(unwind_rule__equal(look_up(index, UNWIND_FULL, offset),
					       loaded.rows.rows[i].rule));
	}
	unload_file(&loaded);
}

static void test_start(void **state)
{
	struct unwind_pool *pool = make_pool(16);

	assert_int_equal(objects[UNWIND_OBJECT_ANONYMOUS].otherwise, UNWIND_FRAME_POINTER);
	assert_int_equal(objects[UNWIND_OBJECT_UNREAD].otherwise, UNWIND_UNKNOWN);
	assert_int_equal(rules[0].kind, UNWIND_UNKNOWN);
	assert_int_equal(stats_of(pool).blocks_used, 1);
	assert_int_equal(stats_of(pool).objects, 0);
	/* Not its own; nothing happens. */
	unwind_pool__hold(pool, UNWIND_OBJECT_UNREAD);
	unwind_pool__release(pool, UINT32_MAX);
	assert_int_equal(unwind_pool__load_full(pool, 5), 0);
	drop_pool(pool);
}

static void test_tables(void **state)
{
	static const char *const paths[] = {LIBC, LDSO, LGCC, SELF};
	struct unwind_pool *pool = make_pool(1024);
	uint32_t indices[4];

	for (size_t i = 0; i < 4; i++) {
		indices[i] = add_path(pool, paths[i]);
		assert_int_not_equal(objects[indices[i]].index[UNWIND_CALL_SITES], UNWIND_NO_TABLE);
		assert_int_equal(objects[indices[i]].index[UNWIND_FULL], UNWIND_NO_TABLE);
		assert_int_equal(unwind_pool__load_full(pool, indices[i]), 0);
	}
	for (size_t i = 0; i < 4; i++)
		check_full(indices[i], paths[i]);
	assert_int_equal(stats_of(pool).builds, 8);
	assert_int_equal(stats_of(pool).objects, 4);
	assert_int_equal(epoch, 0);
	/* There already. */
	assert_int_equal(unwind_pool__load_full(pool, indices[0]), 0);
	assert_int_equal(stats_of(pool).builds, 8);
	drop_pool(pool);
}

static void test_identity(void **state)
{
	struct unwind_pool *pool = make_pool(1024);
	uint32_t index = add_path(pool, LDSO);
	int copy = copy_file(LDSO, false), other = copy_file(LDSO, true);

	assert_int_equal(add_path(pool, LDSO), index);
	/* A copy, by its build-id; then by itself. */
	if (!geteuid())
		assert_int_equal(add_fd(pool, copy), index);
	assert_int_equal(add_fd(pool, copy), add_fd(pool, copy));
	assert_int_equal(stats_of(pool).objects, geteuid() ? 2 : 1);
	/* Only so long as it has the same size: a build-id alone is easily copied. */
	assert_int_not_equal(add_fd(pool, other), index);
	/* And the same owner. */
	if (!geteuid()) {
		int foreign = copy_file(LDSO, false);

		assert_int_equal(fchown(foreign, 12345, 0), 0);
		assert_int_not_equal(add_fd(pool, foreign), index);
		close(foreign);
	}
	close(copy);
	close(other);
	drop_pool(pool);
}

/* The file as it was is not looked for in the file as it is. */
static void test_changed_file(void **state)
{
	struct unwind_pool *pool = make_pool(1024);
	int copy = copy_file(LDSO, false);
	uint32_t index = add_fd(pool, copy);

	assert_int_equal(pwrite(copy, "?", 1, lseek(copy, 0, SEEK_END)), 1);
	assert_int_equal(unwind_pool__load_full(pool, index), -ESTALE);
	assert_int_not_equal(add_fd(pool, copy), index);
	close(copy);
	drop_pool(pool);
}

static void test_other_files(void **state)
{
	struct unwind_pool *pool = make_pool(64);
	uint32_t index = add_path(pool, "/etc/passwd");
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_int_equal(objects[index].otherwise, UNWIND_FRAME_POINTER);
	assert_int_equal(stats_of(pool).unreadable, 1);
	assert_int_equal(add_path(pool, "/etc/passwd"), index);
	assert_int_equal(objects[add_fd(pool, fd)].otherwise, UNWIND_FRAME_POINTER);
	close(fd);
	assert_int_equal(unwind_pool__object(pool, -1, "none", -1, &index), -EBADF);
	assert_int_equal(index, UNWIND_OBJECT_UNREAD);
	drop_pool(pool);
}

/* libc's table takes the most; the loader's and libgcc's two blocks each. */
static void test_eviction(void **state)
{
	struct unwind_pool *pool = make_pool(8);
	uint32_t libc = add_path(pool, LIBC), ldso, lgcc;

	unwind_pool__hold(pool, libc);
	add_path(pool, LDSO);
	assert_int_equal(epoch, 0);
	/* Four and two of seven: no room but the loader's. */
	lgcc = add_path(pool, LGCC);
	assert_int_equal(stats_of(pool).evicted, 1);
	assert_int_equal(epoch, 1);
	assert_int_not_equal(objects[lgcc].index[UNWIND_CALL_SITES], UNWIND_NO_TABLE);
	assert_int_not_equal(lgcc, libc);
	/* Held, both: no room. */
	unwind_pool__hold(pool, lgcc);
	ldso = add_path(pool, LDSO);
	assert_int_equal(objects[ldso].index[UNWIND_CALL_SITES], UNWIND_NO_TABLE);
	assert_int_equal(objects[ldso].otherwise, UNWIND_UNKNOWN);
	assert_int_equal(stats_of(pool).refused, 1);
	assert_int_equal(stats_of(pool).evicted, 1);
	assert_int_equal(unwind_pool__load_full(pool, ldso), -ENOSPC);
	assert_int_equal(unwind_pool__load_full(pool, lgcc), -ENOSPC);
	/* Not built again and again for it. */
	add_path(pool, LDSO);
	assert_int_equal(unwind_pool__load_full(pool, lgcc), -ENOSPC);
	assert_int_equal(stats_of(pool).builds, 5);
	/* Until there is room. */
	unwind_pool__release(pool, lgcc);
	ldso = add_path(pool, LDSO);
	assert_int_not_equal(objects[ldso].index[UNWIND_CALL_SITES], UNWIND_NO_TABLE);
	assert_int_equal(objects[ldso].otherwise, UNWIND_UNKNOWN);
	assert_int_equal(objects[lgcc].index[UNWIND_CALL_SITES], UNWIND_NO_TABLE);
	assert_int_equal(epoch, 2);
	/* libc's is still what it was. */
	assert_int_equal(add_path(pool, LIBC), libc);
	drop_pool(pool);
}

/* The one that was not used for longest goes; those that are held do not. */
static void test_least_recently_used(void **state)
{
	struct unwind_pool *pool = make_pool(5);
	uint32_t ldso = add_path(pool, LDSO), lgcc = add_path(pool, LGCC);
	int copy = copy_file(LDSO, true);

	assert_int_equal(add_path(pool, LDSO), ldso);
	add_fd(pool, copy);
	assert_int_equal(objects[lgcc].index[UNWIND_CALL_SITES], UNWIND_NO_TABLE);
	assert_int_not_equal(objects[ldso].index[UNWIND_CALL_SITES], UNWIND_NO_TABLE);
	assert_int_equal(stats_of(pool).evicted, 1);
	close(copy);
	drop_pool(pool);
}

/* More objects than there are numbers: none of the first ones is held. */
static void test_many_objects(void **state)
{
	struct unwind_pool *pool = make_pool(64);
	uint32_t held = add_path(pool, LDSO), index = 0;

	unwind_pool__hold(pool, held);
	for (uint32_t i = 0; i < UNWIND_OBJECTS_MAX + 10; i++) {
		int fd = memfd_create("many", MFD_CLOEXEC);

		index = add_fd(pool, fd);
		assert_int_not_equal(index, held);
		close(fd);
	}
	assert_int_equal(stats_of(pool).objects, UNWIND_OBJECTS_MAX - 2);
	assert_int_equal(stats_of(pool).evicted, 10 + 3);
	assert_int_equal(add_path(pool, LDSO), held);
	/* Its descriptor was closed for those of the others; here it has one again. */
	assert_int_equal(unwind_pool__load_full(pool, held), 0);
	drop_pool(pool);
}

static void test_vdso(void **state)
{
	struct unwind_pool *pool = make_pool(16);
	uint32_t index, again;
	unsigned int rows = 0;

	assert_int_equal(unwind_pool__vdso(pool, &index), 0);
	assert_int_equal(unwind_pool__vdso(pool, &again), 0);
	assert_int_equal(index, again);
	assert_int_equal(objects[index].first_page, 0);
	assert_int_equal(unwind_pool__load_full(pool, index), 0);
	for (uint64_t offset = 0; offset < objects[index].page_count * 4096ull; offset++)
		rows += look_up(index, UNWIND_FULL, offset).kind == UNWIND_BP;
	/* Its functions have frame pointers, and descriptions that say so. */
	assert_true(rows > 100);
	drop_pool(pool);
}

/* Rules of a file at places all over it, as a pool that nobody evicts from has them. */
#define SAMPLES 512

struct samples {
	uint32_t page_count;
	uint64_t step, first;
	struct unwind_rule rules[SAMPLES];
};

static struct samples ldso_samples, lgcc_samples;
static bool writer_is_done;

static uint64_t sample_offset(const struct samples *samples, uint32_t i)
{
	return samples->first + i * samples->step;
}

static void take_samples(struct samples *samples, uint32_t index)
{
	samples->page_count = objects[index].page_count;
	samples->first = (uint64_t)objects[index].first_page << UNWIND_PAGE_SHIFT;
	samples->step = ((uint64_t)samples->page_count << UNWIND_PAGE_SHIFT) / SAMPLES;
	for (uint32_t i = 0; i < SAMPLES; i++)
		samples->rules[i] = look_up(index, UNWIND_CALL_SITES, sample_offset(samples, i));
}

struct seen {
	uint64_t right, wrong, stale;
};

/* One walk of one frame, with the reads in the kernel side's order. */
static void read_once(uint32_t index, uint32_t sample, struct seen *seen)
{
	uint64_t before = __atomic_load_n(&epoch, __ATOMIC_ACQUIRE);
	uint32_t first = __atomic_load_n(&objects[index].index[0], __ATOMIC_ACQUIRE);
	uint32_t page_count = __atomic_load_n(&objects[index].page_count, __ATOMIC_ACQUIRE);
	const struct samples *samples =
		page_count == ldso_samples.page_count ? &ldso_samples : &lgcc_samples;
	uint64_t offset = sample_offset(samples, sample);
	struct unwind_page page;
	struct unwind_rule rule;

	if (!first || page_count != samples->page_count)
		return;
	page = blocks[first].pages[(offset - samples->first) >> UNWIND_PAGE_SHIFT];
	/* As hostile as the kernel's side has to take it. */
	if (page.block >= 5 || page.first + page.count > (int)UNWIND_ROWS_PER_BLOCK)
		page.count = 0;
	rule = rules[find_in_page(blocks, page, offset & 4095) % UNWIND_RULES_MAX];
	if (__atomic_load_n(&epoch, __ATOMIC_ACQUIRE) != before)
		seen->stale++;
	else if (unwind_rule__equal(rule, samples->rules[sample]))
		seen->right++;
	else
		seen->wrong++;
}

static void *read_on(void *arg)
{
	struct seen *seen = arg;

	for (uint32_t i = 0; !__atomic_load_n(&writer_is_done, __ATOMIC_ACQUIRE); i++)
		read_once(UNWIND_OBJECT_UNREAD + 1 + i % 4, i * 7 % SAMPLES, seen);
	return NULL;
}

/*
 * A reader beside the writer, as the kernel's side: whatever it finds while objects come and go
 * is right, unless the epoch has changed meanwhile.
 */
static void test_reader_beside_writer(void **state)
{
	struct unwind_pool *pool = make_pool(64);
	struct seen seen = {0};
	pthread_t thread;

	take_samples(&ldso_samples, add_path(pool, LDSO));
	take_samples(&lgcc_samples, add_path(pool, LGCC));
	assert_int_not_equal(ldso_samples.page_count, lgcc_samples.page_count);
	drop_pool(pool);
	/* Room for one of them at a time, in the same blocks. */
	pool = make_pool(4);
	assert_int_equal(pthread_create(&thread, NULL, read_on, &seen), 0);
	for (int i = 0; i < 300 || !__atomic_load_n(&seen.right, __ATOMIC_RELAXED); i++)
		add_path(pool, i % 2 ? LDSO : LGCC);
	__atomic_store_n(&writer_is_done, true, __ATOMIC_RELEASE);
	pthread_join(thread, NULL);
	print_message("%lu right, %lu stale\n", seen.right, seen.stale);
	assert_int_equal(seen.wrong, 0);
	assert_true(seen.right > 0);
	assert_true(epoch >= 299);
	drop_pool(pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_start),
		cmocka_unit_test(test_tables),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_changed_file),
		cmocka_unit_test(test_other_files),
		cmocka_unit_test(test_eviction),
		cmocka_unit_test(test_least_recently_used),
		cmocka_unit_test(test_many_objects),
		cmocka_unit_test(test_vdso),
		cmocka_unit_test(test_reader_beside_writer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
