// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "census/proc_maps.h"
#include "model/model.h"

#include "census_child.h"

static int parse(const char *text, struct maps_entry **entries, size_t *n)
{
	return proc_maps__parse(text, strlen(text), entries, n);
}

static void every_column_is_read(void **state)
{
	struct maps_entry *e;
	size_t n;

	assert_int_equal(
		parse("7f0000001000-7f0000003000 rw-p 00002000 fe:0a 1234567            /lib/a "
		      "b.so\n"
		      "7f0000003000-7f0000004000 ---s 00000000 00:00 0 \n"
		      "7f0000004000-7f0000005000 r-xp 00000000 00:00 0          [vdso]\n"
		      "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0  [vsyscall]\n",
		      &e, &n),
		0);
	assert_int_equal(n, 4);
	assert_true(e[0].start == 0x7f0000001000 && e[0].end == 0x7f0000003000);
	assert_int_equal(e[0].prot, PROT_READ | PROT_WRITE);
	assert_false(e[0].shared);
	assert_true(e[0].offset == 0x2000 && e[0].inode == 1234567);
	assert_int_equal(e[0].dev_major, 0xfe);
	assert_int_equal(e[0].dev_minor, 0x0a);
	assert_string_equal(e[0].path, "/lib/a b.so");
	assert_true(e[1].shared);
	assert_int_equal(e[1].prot, PROT_NONE);
	assert_string_equal(e[1].path, "");
	assert_int_equal(e[2].prot, PROT_READ | PROT_EXEC);
	assert_string_equal(e[2].path, "[vdso]");
	assert_true(e[3].start == 0xffffffffff600000);
	maps_entries__free(e, n);
}

static void escaped_line_breaks_are_line_breaks_again(void **state)
{
	struct maps_entry *e;
	size_t n;

	assert_int_equal(parse("1000-2000 r--p 0 0:0 1 /a\\012b\\\\ \\01 (deleted)\n", &e, &n), 0);
	assert_string_equal(e[0].path, "/a\nb\\\\ \\01 (deleted)");
	maps_entries__free(e, n);
}

static void nothing_is_no_entry(void **state)
{
	struct maps_entry *e = (void *)1;
	size_t n = 7;

	assert_int_equal(parse("", &e, &n), 0);
	assert_null(e);
	assert_int_equal(n, 0);
}

static void what_is_no_line_is_refused(void **state)
{
	static const char *const lines[] = {
		"\n",
		"1000\n",
		"1000-\n",
		"-2000 r--p 0 0:0 1\n",
		"1000-2000\n",
		"1000-2000 r-p 0 0:0 1\n",
		"1000-2000 r--q 0 0:0 1\n",
		"1000-2000 r--p\n",
		"1000-2000 r--p  0:0 1\n",
		"1000-2000 r--p 0 0 1\n",
		"1000-2000 r--p 0 0:0\n",
		"1000-2000 r--p 0 0:0 \n",
		"1000-2000 r--p 0 0:0 99999999999999999999999\n",
		"2000-1000 r--p 0 0:0 1\n",
		"10000000000000000-20000000000000000 r--p 0 0:0 1\n",
		"g000-2000 r--p 0 0:0 1\n",
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct maps_entry *e = NULL;
		size_t n = 0;

		assert_int_equal(parse(lines[i], &e, &n), -EINVAL);
		assert_null(e);
	}
}

static void a_mapping_that_merged_meanwhile_is_cut(void **state)
{
	struct maps_entry *e;
	size_t n;

	assert_int_equal(parse("1000-3000 rw-p 00000000 00:00 0 \n"
			       "1000-5000 rw-p 00000000 00:00 0 \n"
			       "2000-4000 r--p 00000000 00:00 0 \n"
			       "4000-6000 r--p 00001000 00:01 5 /f\n",
			       &e, &n),
			 0);
	assert_int_equal(n, 3);
	assert_true(e[1].start == 0x3000 && e[1].end == 0x5000);
	assert_true(e[2].start == 0x5000 && e[2].end == 0x6000 && e[2].offset == 0x2000);
	maps_entries__free(e, n);
}

static void damaged_text_never_hurts(void **state)
{
	static const char good[] =
		"7f0000001000-7f0000003000 rw-p 00002000 fe:0a 12   /lib/a\\012.so\n"
		"7f0000003000-7f0000004000 ---s 00000000 00:00 0 \n";
	unsigned int seed = 1;

	for (int round = 0; round < 20000; round++) {
		size_t size = rand_r(&seed) % sizeof(good);
		char *text = malloc(size + 1);
		struct maps_entry *e;
		size_t n;

		memcpy(text, good, size);
		for (int i = rand_r(&seed) % 4; size && i > 0; i--)
			text[rand_r(&seed) % size] = rand_r(&seed);
		text = realloc(text, size ? size : 1); /* the sanitizer sees any byte behind it */
		if (proc_maps__parse(text, size, &e, &n) == 0)
			maps_entries__free(e, n);
		free(text);
	}
}

static void find_gives_the_entry_that_holds_an_address(void **state)
{
	struct maps_entry *e;
	size_t n;

	assert_int_equal(parse("1000-3000 rw-p 0 0:0 0\n5000-6000 rw-p 0 0:0 0\n", &e, &n), 0);
	assert_null(proc_maps__find(e, n, 0xfff));
	assert_ptr_equal(proc_maps__find(e, n, 0x1000), &e[0]);
	assert_ptr_equal(proc_maps__find(e, n, 0x2fff), &e[0]);
	assert_null(proc_maps__find(e, n, 0x3000));
	assert_ptr_equal(proc_maps__find(e, n, 0x5000), &e[1]);
	assert_null(proc_maps__find(e, n, 0x6000));
	assert_null(proc_maps__find(NULL, 0, 0x6000));
	maps_entries__free(e, n);
}

static void map_many(struct child *child)
{
	const size_t pages = 20000;
	char *base = mmap(NULL, pages * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	/* Every second page writable: each page an entry of its own. */
	for (size_t i = 0; i < pages; i += 2)
		mprotect(base + i * 4096, 4096, PROT_READ | PROT_WRITE);
	child->told[0] = (uintptr_t)base;
	child->told[1] = pages;
	child_ready(child);
	pause();
}

static void entries_beyond_one_read_are_complete(void **state)
{
	struct child child = child__start(map_many);
	uint64_t base = child.told[0];
	struct maps_entry *e;
	size_t n;

	assert_int_equal(proc_maps__read(child.pid, &e, &n), 0);
	for (uint64_t i = 0; i < child.told[1]; i++) {
		const struct maps_entry *entry = proc_maps__find(e, n, base + i * 4096);

		assert_non_null(entry);
		assert_int_equal(entry->prot, i % 2 ? PROT_NONE : PROT_READ | PROT_WRITE);
	}
	maps_entries__free(e, n);
	child__end(&child);
}

static char hostile_path[64];

static void map_hostile_file(struct child *child)
{
	int fd = open(hostile_path, O_RDWR | O_CREAT, 0600);

	if (ftruncate(fd, 4096))
		_exit(1);
	child->told[0] = (uintptr_t)mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	child_ready(child);
	unlink(hostile_path);
	child_ready(child);
	pause();
}

static void hostile_file_names_come_raw(void **state)
{
	char deleted[80];
	struct child child;
	struct maps_entry *e;
	size_t n;

	snprintf(hostile_path, sizeof(hostile_path), "/tmp/\n%d 1-2 rw-p \x1b[31m\xff", getpid());
	child = child__start(map_hostile_file);
	assert_int_equal(proc_maps__read(child.pid, &e, &n), 0);
	assert_string_equal(proc_maps__find(e, n, child.told[0])->path, hostile_path);
	assert_true(proc_maps__find(e, n, child.told[0])->shared);
	maps_entries__free(e, n);

	child__step(&child);
	snprintf(deleted, sizeof(deleted), "%s (deleted)", hostile_path);
	assert_int_equal(proc_maps__read(child.pid, &e, &n), 0);
	assert_string_equal(proc_maps__find(e, n, child.told[0])->path, deleted);
	maps_entries__free(e, n);
	child__end(&child);
}

static void a_process_that_is_gone_is_said_to_be(void **state)
{
	struct maps_entry *e = NULL;
	size_t n = 0;
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	assert_int_equal(waitid(P_PID, pid, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	assert_int_equal(proc_maps__read(pid, &e, &n), 0); /* a zombie: no memory */
	assert_int_equal(n, 0);
	assert_null(e);
	waitpid(pid, NULL, 0);
	assert_int_equal(proc_maps__read(pid, &e, &n), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_column_is_read),
		cmocka_unit_test(escaped_line_breaks_are_line_breaks_again),
		cmocka_unit_test(nothing_is_no_entry),
		cmocka_unit_test(what_is_no_line_is_refused),
		cmocka_unit_test(a_mapping_that_merged_meanwhile_is_cut),
		cmocka_unit_test(damaged_text_never_hurts),
		cmocka_unit_test(find_gives_the_entry_that_holds_an_address),
		cmocka_unit_test(entries_beyond_one_read_are_complete),
		cmocka_unit_test(hostile_file_names_come_raw),
		cmocka_unit_test(a_process_that_is_gone_is_said_to_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
