// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a command will map, told without running it. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "probe/dependency.h"
#include "probe/ld_cache.h"

struct folder {
	char path[64];
};

static int make_folder(void **state)
{
	struct folder *folder = calloc(1, sizeof(*folder));

	strcpy(folder->path, "/tmp/memdrift-test-XXXXXX");
	*state = folder;
	return mkdtemp(folder->path) ? 0 : -1;
}

static int remove_folder(void **state)
{
	struct folder *folder = *state;
	char command[128];

	snprintf(command, sizeof(command), "rm -rf -- '%s'", folder->path);
	free(folder);
	return system(command);
}

static char *file_in(const struct folder *folder, const char *name, const void *content,
		     size_t size)
{
	char *path;
	int fd;

	assert_true(asprintf(&path, "%s/%s", folder->path, name) > 0);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, content, size), (ssize_t)size);
	close(fd);
	return path;
}

static bool ends_with(const char *text, const char *end)
{
	size_t text_len = strlen(text), end_len = strlen(end);

	return text_len >= end_len && !strcmp(text + text_len - end_len, end);
}

static unsigned int count_ending(const struct dependency_list *list, const char *end)
{
	unsigned int count = 0;

	for (size_t i = 0; i < list->count; i++)
		count += ends_with(list->paths[i], end);
	return count;
}

static void test_program(void **state)
{
	struct dependency_list list;

	/* This program: it needs at least libc, and its loader. */
	assert_int_equal(dependency__of_command("/proc/self/exe", NULL, NULL, &list), 0);
	assert_string_equal(list.paths[0], "/proc/self/exe");
	assert_int_equal(count_ending(&list, "/libc.so.6"), 1);
	assert_int_equal(count_ending(&list, "/libcmocka.so.0"), 1);
	assert_int_equal(count_ending(&list, "/ld-linux-x86-64.so.2"), 1);
	dependency_list__free(&list);
	assert_int_equal(list.count, 0);
}

static void test_scripts(void **state)
{
	const struct folder *folder = *state;
	struct dependency_list list;
	char *script, *outer, *loop, *text;
	char line[128];

	script = file_in(folder, "script", "#! /bin/sh -e\nexit 0\n", 21);
	snprintf(line, sizeof(line), "#!%s\n", script);
	outer = file_in(folder, "outer", line, strlen(line));
	assert_int_equal(dependency__of_command(outer, NULL, NULL, &list), 0);
	assert_string_equal(list.paths[0], "/bin/sh");
	assert_int_equal(count_ending(&list, "/libc.so.6"), 1);
	dependency_list__free(&list);

	snprintf(line, sizeof(line), "#!%s/loop\n", folder->path);
	loop = file_in(folder, "loop", line, strlen(line));
	assert_int_equal(dependency__of_command(loop, NULL, NULL, &list), -ELOOP);
	assert_int_equal(list.count, 0);
	text = file_in(folder, "text", "exit 0\n", 7);
	assert_int_equal(dependency__of_command(text, NULL, NULL, &list), -ENOEXEC);
	assert_int_equal(dependency__of_command("/nonexistent", NULL, NULL, &list), -ENOENT);
	assert_int_equal(dependency__of_command(folder->path, NULL, NULL, &list), -EACCES);
	free(text);
	free(loop);
	free(outer);
	free(script);
}

static void copy_file(const char *from, const char *to)
{
	char buffer[65536];
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
	ssize_t got;

	assert_true(in >= 0 && out >= 0);
	while ((got = read(in, buffer, sizeof(buffer))) > 0)
		assert_int_equal(write(out, buffer, (size_t)got), got);
	close(in);
	close(out);
}

static void test_preload_and_library_path(void **state)
{
	const struct folder *folder = *state;
	struct dependency_list list;
	char copy[128], preload[256];

	/* A library of another name, by path and by name. */
	snprintf(copy, sizeof(copy), "%s/libown.so", folder->path);
	copy_file("/proc/self/exe", copy);
	snprintf(preload, sizeof(preload), "/nonexistent.so:%s", copy);
	assert_int_equal(dependency__of_command("/bin/sh", preload, NULL, &list), 0);
	assert_int_equal(count_ending(&list, "/libown.so"), 1);
	/* What the preloaded library needs is needed, too. */
	assert_int_equal(count_ending(&list, "/libcmocka.so.0"), 1);
	dependency_list__free(&list);

	assert_int_equal(dependency__of_command("/bin/sh", "libown.so", folder->path, &list), 0);
	assert_int_equal(count_ending(&list, "/libown.so"), 1);
	dependency_list__free(&list);
	assert_int_equal(dependency__of_command("/bin/sh", "libown.so", NULL, &list), 0);
	assert_int_equal(count_ending(&list, "/libown.so"), 0);
	dependency_list__free(&list);
}

static int count_call(void *ctx, const char *soname, const char *path)
{
	*(size_t *)ctx += strlen(soname) + strlen(path) + 1;
	return 0;
}

/* The cache with any byte changed, and cut anywhere, is read without harm or not at all. */
static void test_damaged_cache(void **state)
{
	const struct folder *folder = *state;
	char bytes[4096], name[128];
	int fd = open("/etc/ld.so.cache", O_RDONLY | O_CLOEXEC);
	ssize_t got;
	size_t total = 0;

	if (fd < 0)
		skip();
	got = read(fd, bytes, sizeof(bytes));
	close(fd);
	snprintf(name, sizeof(name), "%s/cache", folder->path);
	for (ssize_t size = 0; size <= got; size += 61) {
		struct ld_cache *cache;

		if (size >= 32)
			memset(bytes + 20 + size % 8, size & 1 ? 0xff : 0, 2);
		free(file_in(folder, "cache", bytes, (size_t)size));
		cache = ld_cache__open(name);
		assert_int_equal(ld_cache__each(cache, count_call, &total), 0);
		ld_cache__close(cache);
	}
	assert_null(ld_cache__open("/nonexistent"));
}

static void test_own_cache(void **state)
{
	struct ld_cache *cache = ld_cache__open("/etc/ld.so.cache");
	size_t total = 0;

	if (!cache)
		skip();
	assert_int_equal(ld_cache__each(cache, count_call, &total), 0);
	assert_true(total > 0);
	ld_cache__close(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_program),
		cmocka_unit_test_setup_teardown(test_scripts, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(test_preload_and_library_path, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(test_damaged_cache, make_folder, remove_folder),
		cmocka_unit_test(test_own_cache),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
