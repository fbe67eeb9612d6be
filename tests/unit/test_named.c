// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Names of entry points, sets of them, and functions that the user names. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "probe/allocator.h"
#include "probe/named.h"
#include "probe/near_names.h"

void *own_get(size_t size);
void own_put(void *p);

/* With bodies, so that there is something inside of them. */
__attribute__((noinline)) void *own_get(size_t size)
{
	static char pool[4096];

	return size < sizeof(pool) ? pool + size : NULL;
}

__attribute__((noinline)) void own_put(void *p)
{
	__asm__ volatile("" ::"r"(p));
}

static void test_names(void **state)
{
	for (size_t i = 0; i < family__size(); i++) {
		const struct family_name *name = family__name(i);

		assert_int_equal(family__find(name->symbol), i);
		assert_true(strlen(name->shown) < ALLOCATOR_KEY_MAX / 2);
		for (int j = 0; j < 2; j++)
			if (name->like[j])
				assert_true(family__find(name->like[j]) >= 0);
	}
	assert_int_equal(family__find("malloc_usable_size"), -1);
	assert_int_equal(family__find("je_nallocx"), -1);
	assert_int_equal(family__find("xallocx"), -1);
	assert_int_equal(family__find("_ZN3foo6mallocEv"), -1);
	assert_int_equal(family__find(""), -1);
}

static void expect_key(const char *key, size_t count, const char *const symbols[])
{
	char got[ALLOCATOR_KEY_MAX];
	struct family_set set = {0};

	for (size_t i = 0; i < count; i++)
		family_set__add(&set, (size_t)family__find(symbols[i]));
	family_set__key(&set, got);
	assert_string_equal(got, key);
}

#define EXPECT_KEY(key, ...)                                                         \
	expect_key(key, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), \
		   (const char *const[]){__VA_ARGS__})

static void test_keys(void **state)
{
	EXPECT_KEY("malloc", "malloc");
	EXPECT_KEY("aligned_alloc|memalign", "memalign", "aligned_alloc");
	/* What glibc before 2.26 also called free, and forms of one operator, are not said twice.
	 */
	EXPECT_KEY("free", "free", "cfree");
	EXPECT_KEY("free", "free", "free_sized", "free_aligned_sized");
	EXPECT_KEY("free_aligned_sized|free_sized", "free_sized", "free_aligned_sized");
	EXPECT_KEY("cfree", "cfree");
	EXPECT_KEY("operator new", "_Znam", "_Znwm");
	EXPECT_KEY("operator new[]", "_Znam");
	EXPECT_KEY("free|operator delete|tc_delete|tc_free", "free", "_ZdlPv", "_ZdaPv", "tc_free",
		   "tc_cfree", "cfree", "tc_delete", "tc_deletearray");
	EXPECT_KEY("operator delete", "_ZdlPv", "_ZdaPv", "_ZdlPvRKSt9nothrow_t",
		   "_ZdaPvSt11align_val_t", "_ZdlPvSt11align_val_t");
	/* A size is something else. */
	EXPECT_KEY("operator delete|operator delete(sized)", "_ZdlPv", "_ZdlPvm", "_ZdaPvm");
}

static void test_roles(void **state)
{
	enum arg_layout layout;

	assert_int_equal(family__role("calloc", &layout), 0);
	assert_int_equal(layout, ARG_NMEMB_SIZE);
	assert_int_equal(family__role("free", &layout), 0);
	assert_int_equal(layout, ARG_FREE);
	assert_int_equal(family__role("je_malloc", &layout), -EINVAL);
	assert_int_equal(family__role("_Znwm", &layout), -EINVAL);
	assert_int_equal(family__role("Malloc", &layout), -EINVAL);
}

static bool prints(const char *wanted, const char *text, size_t count, const char *const names[])
{
	struct near_names near = {.wanted = wanted};
	char buf[NEAR_NAMES_TEXT_MAX];

	for (size_t i = 0; i < count; i++)
		near_names__offer(&near, names[i]);
	near_names__print(&near, buf, sizeof(buf));
	if (strcmp(buf, text))
		print_error("near %s: %s\n", wanted, buf);
	return !strcmp(buf, text);
}

static void test_near_names(void **state)
{
	static const char *const names[] = {"pool_get", "pool_put",   "main",
					    "pool_get", "pool_getx",  "xpool_get_clear_all",
					    "printf",   "pool_guess", "spool_get"};

	assert_true(prints("pool_gat", "pool_get, pool_put, pool_getx, spool_get", 9, names));
	assert_true(prints("pool_get_clear", "pool_get, xpool_get_clear_all", 6, names));
	assert_true(prints("unlike", "", 9, names));
	assert_true(prints("", "", 0, names));
}

static const char own[] = "/proc/self/exe";

static void test_by_symbol(void **state)
{
	struct allocator_cache *cache = allocator_cache__new(NULL);
	const struct allocator_function *f = NULL;
	const struct allocator_object *object;
	struct named_objects named = {.count = 0};
	struct stat st;
	int fd = open(own, O_RDONLY | O_CLOEXEC);

	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(named_objects__add(&named, own, "malloc=own_get"), 0);
	/* More of the same file. */
	assert_int_equal(named_objects__add(&named, own, "free=own_put"), 0);
	assert_int_equal(named.count, 1);
	assert_ptr_equal(named_objects__find(&named, st.st_dev, st.st_ino), named.list[0]);
	assert_null(named_objects__find(&named, st.st_dev, st.st_ino + 1));
	assert_null(named_objects__find(NULL, st.st_dev, st.st_ino));

	allocator_cache__set_named(cache, &named);
	assert_false(named.list[0]->seen);
	assert_int_equal(allocator_cache__find(cache, fd, own, NULL, &object), 0);
	assert_true(named.list[0]->seen);
	assert_true(object->is_named);
	for (size_t i = 0; i < object->function_count; i++)
		if (!strcmp(object->functions[i].key, "own_put (free)"))
			f = &object->functions[i];
	assert_non_null(f);
	assert_int_equal(f->layout, ARG_FREE);
	assert_int_equal(f->kind, ALLOCATOR_UNKNOWN);
	assert_true(f->ready);
	assert_true(f->size > 0);
	allocator_object__put(object);
	allocator_cache__free(cache);
	named_objects__free(&named);
	close(fd);
}

static void test_by_address(void **state)
{
	struct named_objects named = {.count = 0};
	char list[64];
	uint64_t vaddr;

	assert_int_equal(named_objects__add(&named, own, "malloc=own_get"), 0);
	vaddr = named.list[0]->functions[0].vaddr;
	snprintf(list, sizeof(list), "calloc=0x%llx", (unsigned long long)vaddr);
	assert_int_equal(named_objects__add(&named, own, list), 0);
	assert_int_equal(named.list[0]->functions[1].vaddr, vaddr);
	assert_int_equal(named.list[0]->functions[1].layout, ARG_NMEMB_SIZE);
	/* Inside of a function a breakpoint would change what it does. */
	snprintf(list, sizeof(list), "malloc=0x%llx", (unsigned long long)vaddr + 1);
	assert_int_equal(named_objects__add(&named, own, list), -EINVAL);
	named_objects__free(&named);
}

static void expect_refused(int err, const char *path, const char *list)
{
	struct named_objects named = {.count = 0};

	assert_int_equal(named_objects__add(&named, path, list), err);
	named_objects__free(&named);
}

static void test_wrong(void **state)
{
	char many[(NAMED_FUNCTIONS_MAX + 1) * 16 + 1] = "";

	expect_refused(-EINVAL, own, "");
	expect_refused(-EINVAL, own, ",");
	expect_refused(-EINVAL, own, "own_get");
	expect_refused(-EINVAL, own, "=own_get");
	expect_refused(-EINVAL, own, "malloc=");
	expect_refused(-EINVAL, own, "alloc=own_get");
	expect_refused(-EINVAL, own, "malloc=own_gott");
	expect_refused(-EINVAL, own, "malloc=0x");
	expect_refused(-EINVAL, own, "malloc=0xzz");
	expect_refused(-EINVAL, own, "malloc=0xffffffffffffffffff");
	expect_refused(-EINVAL, own, "malloc=0xfffffffffffffff0");
	expect_refused(-ENOENT, "/nowhere", "malloc=own_get");
	expect_refused(-ENOEXEC, "/etc/passwd", "malloc=own_get");
	expect_refused(-ENOEXEC, "/tmp", "malloc=own_get");
	for (int i = 0; i <= NAMED_FUNCTIONS_MAX; i++)
		strcat(many, "malloc=own_get,");
	expect_refused(-EINVAL, own, many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_names),     cmocka_unit_test(test_keys),
		cmocka_unit_test(test_roles),     cmocka_unit_test(test_near_names),
		cmocka_unit_test(test_by_symbol), cmocka_unit_test(test_by_address),
		cmocka_unit_test(test_wrong),
	};

	log_set_level(LOG_ERROR);
	own_put(own_get(16));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
