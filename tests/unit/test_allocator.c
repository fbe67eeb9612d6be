// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which allocator functions an object has, under which keys, and that answers are remembered. */
#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "probe/allocator.h"

/*
 * Functions of an allocator with a prefix in this program: two names at one address, a local one,
 * one without a size, one that is nothing but a jump to another, some that jump and call, and
 * names that only look like the family's. An operator new beside no malloc is the C++ library's.
 */
__asm__(".pushsection .text\n"
	".macro fake name, binding\n"
	"	.balign 16\n"
	"	.\\binding \\name\n"
	"	.type \\name, @function\n"
	"\\name:\n"
	".endm\n"
	"fake je_malloc, global\n	push %rbx\n	pop %rbx\n	ret\n"
	".size je_malloc, . - je_malloc\n"
	"fake je_free, local\n	test %rdi, %rdi\n	je 1f\n	1: ret\n"
	".size je_free, . - je_free\n"
	"fake mi_memalign, global\n"
	"fake mi_aligned_alloc, global\n	push %rbx\n	pop %rbx\n	ret\n"
	".size mi_aligned_alloc, . - mi_aligned_alloc\n"
	"fake tc_calloc, global\n	test %rdi, %rdi\n	je 1f\n	1: ret\n"
	"fake je_calloc, global\n"
	"fake _rjem_calloc, global\n	ret\n"
	".size je_calloc, . - je_calloc\n"
	"fake je_mallocx, global\n	ret\n"
	"fake je_nallocx, global\n	ret\n"
	"fake mi_free, global\n	test %rdi, %rdi\n	je 1f\n	1: ret\n"
	".size mi_free, . - mi_free\n"
	"fake mi_free_size, global\n	jmp mi_free\n"
	".size mi_free_size, . - mi_free_size\n"
	"fake mi_free_size_aligned, global\n	endbr64\n	jmp mi_free_size\n"
	".size mi_free_size_aligned, . - mi_free_size_aligned\n"
	"fake mi_heap_realloc, global\n	push %rbx\n	call inner\n"
	"mi_heap_realloc_again:	pop %rbx\n	jmp inner\n"
	".size mi_heap_realloc, . - mi_heap_realloc\n"
	"fake inner, local\n	push %rbx\n	call mi_free\n"
	"inner_again:	pop %rbx\n	jmp mi_zalloc\n"
	".size inner, . - inner\n"
	"fake mi_zalloc, global\n	push %rbx\n	call mi_heap_malloc\n	pop %rbx\n	"
	"ret\n"
	".size mi_zalloc, . - mi_zalloc\n"
	"fake mi_heap_malloc, global\n	mov %rdi, %rax\n	ret\n"
	".size mi_heap_malloc, . - mi_heap_malloc\n"
	/* As mimalloc's realloc: the arguments have moved when the jump is reached. */
	"fake mi_realloc, global\n	mov %rsi, %rdx\n	mov %rdi, %rsi\n	xor %edi, "
	"%edi\n"
	"	jmp mi_heap_realloc\n"
	".size mi_realloc, . - mi_realloc\n"
	"fake _Znwm, global\n	ret\n"
	".size _Znwm, . - _Znwm\n"
	".purgem fake\n"
	".popsection\n");

static const struct allocator_object *find_file(struct allocator_cache *cache, const char *path,
						int *err)
{
	const struct allocator_object *object;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	*err = -errno;
	if (fd < 0)
		return NULL;
	*err = allocator_cache__find(cache, fd, path, NULL, &object);
	close(fd);
	return object;
}

static const struct allocator_function *function_of(const struct allocator_object *object,
						    const char *key)
{
	const struct allocator_function *found = NULL;

	for (size_t i = 0; i < object->function_count; i++) {
		if (strcmp(object->functions[i].key, key))
			continue;
		assert_null(found); /* one row */
		found = &object->functions[i];
	}
	return found;
}

static void expect(const struct allocator_object *object, const char *key, enum arg_layout layout)
{
	const struct allocator_function *f = function_of(object, key);

	if (!f)
		print_error("no function \"%s\"\n", key);
	assert_non_null(f);
	assert_int_equal(f->layout, layout);
	assert_true(f->ready);
	assert_true(f->site.offset - f->file_offset == f->site.insn_offset);
}

static const char *libc_path(void)
{
	Dl_info info;

	assert_true(dladdr((void *)gnu_get_libc_version, &info));
	return info.dli_fname;
}

static void test_glibc(void **state)
{
	struct allocator_cache *cache = allocator_cache__new(NULL);
	const struct allocator_object *object;
	int err;

	object = find_file(cache, libc_path(), &err);
	assert_int_equal(err, 0);
	assert_int_equal(object->kind, ALLOCATOR_GLIBC);
	assert_false(object->is_go);
	assert_false(object->is_static);
	expect(object, "malloc", ARG_SIZE);
	expect(object, "calloc", ARG_NMEMB_SIZE);
	expect(object, "realloc", ARG_REALLOC);
	expect(object, "reallocarray", ARG_REALLOCARRAY);
	expect(object, "posix_memalign", ARG_POSIX_MEMALIGN);
	expect(object, "valloc", ARG_SIZE);
	expect(object, "pvalloc", ARG_SIZE);
	expect(object, "free", ARG_FREE);
	assert_int_equal(function_of(object, "realloc")->handoff, HANDOFF_JUMP);
	assert_true(function_of(object, "realloc")->nested_count > 0);
	assert_int_equal(function_of(object, "malloc")->nested_count, 0);
	assert_int_equal(function_of(object, "free")->nested_count, 0);
	assert_int_equal(function_of(object, "posix_memalign")->nested_count, 1);
	/* One address up to glibc 2.37, two from 2.38 on. */
	if (function_of(object, "aligned_alloc|memalign")) {
		assert_int_equal(object->function_count, 9);
		expect(object, "aligned_alloc|memalign", ARG_ALIGNED);
	} else {
		assert_int_equal(object->function_count, 10);
		expect(object, "aligned_alloc", ARG_ALIGNED);
		expect(object, "memalign", ARG_ALIGNED);
	}
	if (object->arena_symbol != ARENA_SYMBOL_NONE) {
		assert_true(object->arena_get2.ready);
		assert_int_equal(object->arena_get2.site.sp_delta, 0);
	}
	allocator_object__put(object);
	allocator_cache__free(cache);
}

static void test_own_prefixes(void **state)
{
	struct allocator_cache *cache = allocator_cache__new(NULL);
	const struct allocator_function *f;
	const struct allocator_object *object;
	int err;

	object = find_file(cache, "/proc/self/exe", &err);
	assert_int_equal(err, 0);
	expect(object, "je_malloc", ARG_SIZE);
	expect(object, "je_free", ARG_FREE);
	expect(object, "mi_aligned_alloc|mi_memalign", ARG_ALIGNED);
	expect(object, "tc_calloc", ARG_NMEMB_SIZE);
	expect(object, "_rjem_calloc|je_calloc", ARG_NMEMB_SIZE);
	expect(object, "je_mallocx", ARG_SIZE);
	assert_null(function_of(object, "je_nallocx"));
	assert_null(function_of(object, "operator new"));
	/* Nothing but jumps to it: one function, and its probe is enough for all. */
	expect(object, "mi_free", ARG_FREE);
	assert_null(function_of(object, "mi_free_size"));
	assert_null(function_of(object, "mi_free_size_aligned"));
	assert_int_equal(function_of(object, "je_malloc")->kind, ALLOCATOR_JEMALLOC);
	assert_int_equal(function_of(object, "tc_calloc")->kind, ALLOCATOR_TCMALLOC);
	f = function_of(object, "je_free");
	assert_int_equal(f->site.insn_offset, 3);
	assert_int_equal(f->site.cls, INSN_JCC);
	/* Without a size nobody knows what jumps back: the entry. */
	f = function_of(object, "tc_calloc");
	assert_int_equal(f->size, 0);
	assert_int_equal(f->site.insn_offset, 0);
	assert_int_equal(object->arena_symbol, ARENA_SYMBOL_NONE);
	assert_true(object->has_interpreter);
	allocator_object__put(object);
	allocator_cache__free(cache);
}

/* The address of a label of this file's, as the ELF file has it. */
#define VADDR_OF(object, label) \
	((uintptr_t)(label) - (uintptr_t)je_malloc + function_of(object, "je_malloc")->vaddr)

extern const char je_malloc[], mi_heap_realloc_again[], inner_again[], mi_zalloc[];

static bool is_nested(const struct allocator_function *f, uint64_t vaddr)
{
	for (size_t i = 0; i < f->nested_count; i++)
		if (f->nested[i] == vaddr)
			return true;
	return false;
}

static void test_reaches_others(void **state)
{
	struct allocator_cache *cache = allocator_cache__new(NULL);
	const struct allocator_function *f;
	const struct allocator_object *object;
	int err;

	object = find_file(cache, "/proc/self/exe", &err);
	assert_int_equal(err, 0);
	f = function_of(object, "mi_realloc");
	assert_int_equal(f->handoff, HANDOFF_ALIAS);
	assert_int_equal(f->nested_count, 0);
	assert_int_equal(f->site.cls, INSN_JMP);
	assert_int_equal(f->site.layout, ARG_HEAP_REALLOC);
	/*
	 * It calls a function that calls free, and that jumps to zalloc, whose return is then to
	 * where the function was called; zalloc's own call comes along.
	 */
	f = function_of(object, "mi_heap_realloc");
	assert_true(is_nested(f, VADDR_OF(object, inner_again)));
	assert_true(is_nested(f, VADDR_OF(object, mi_heap_realloc_again)));
	assert_true(is_nested(f, VADDR_OF(object, mi_zalloc) + 6));
	assert_int_equal(f->nested_count, 3);
	/* It also jumps there. */
	assert_int_equal(f->handoff, HANDOFF_JUMP);
	f = function_of(object, "mi_zalloc");
	assert_int_equal(f->nested_count, 1);
	assert_int_equal(f->handoff, HANDOFF_NONE);
	assert_int_equal(function_of(object, "mi_free")->nested_count, 0);
	allocator_object__put(object);
	allocator_cache__free(cache);
}

static void expect_library(const char *path, enum allocator_kind kind, const char *key)
{
	struct allocator_cache *cache = allocator_cache__new(NULL);
	const struct allocator_object *object;
	int err;

	object = find_file(cache, path, &err);
	if (err == -ENOENT && access(path, R_OK)) {
		print_message("# no %s here\n", path);
	} else {
		assert_int_equal(err, 0);
		assert_string_equal(allocator_kind__name(object->kind), allocator_kind__name(kind));
		expect(object, key, ARG_SIZE);
	}
	allocator_object__put(object);
	allocator_cache__free(cache);
}

/* What Debian's builds do, read off their disassembly. */
static void expect_reach(const char *path, const char *key, enum handoff handoff, size_t nested)
{
	struct allocator_cache *cache = allocator_cache__new(NULL);
	const struct allocator_object *object;
	const struct allocator_function *f;
	int err;

	object = find_file(cache, path, &err);
	if (object) {
		f = function_of(object, key);
		if (!f)
			print_error("no \"%s\" in %s\n", key, path);
		assert_non_null(f);
		if (f->handoff != handoff || f->nested_count != nested)
			print_error("%s: handoff %d, %zu nested\n", key, f->handoff,
				    f->nested_count);
		assert_int_equal(f->handoff, handoff);
		assert_int_equal(f->nested_count, nested);
		assert_int_equal(f->site.cls == INSN_OTHER, false);
	}
	allocator_object__put(object);
	allocator_cache__free(cache);
}

#define LIB(name) "/usr/lib/x86_64-linux-gnu/lib" name ".so"

static void test_reach_of_allocators(void **state)
{
	expect_reach(LIB("jemalloc") ".2", "free|operator delete", HANDOFF_NONE, 0);
	expect_reach(LIB("jemalloc") ".2", "operator new", HANDOFF_NONE, 0);
	expect_reach(LIB("jemalloc") ".2", "operator new[](align)", HANDOFF_NONE, 1);
	expect_reach(LIB("jemalloc") ".2", "operator delete(sized)", HANDOFF_NONE, 0);
	expect_reach(LIB("jemalloc") ".2", "operator delete(sized,align)", HANDOFF_ALIAS, 0);
	expect_reach(LIB("jemalloc") ".2", "sdallocx", HANDOFF_NONE, 0);
	expect_reach(LIB("tcmalloc_minimal") ".4", "operator new|tc_new", HANDOFF_NONE, 0);
	expect_reach(LIB("tcmalloc_minimal") ".4",
		     "operator delete(sized)|tc_delete_sized|tc_free_sized", HANDOFF_NONE, 0);
	expect_reach(LIB("tcmalloc_minimal") ".4", "posix_memalign|tc_posix_memalign", HANDOFF_NONE,
		     1);
	expect_reach(LIB("mimalloc") ".2", "malloc|mi_malloc", HANDOFF_NONE, 0);
	expect_reach(LIB("mimalloc") ".2", "mi_realloc|realloc", HANDOFF_ALIAS, 0);
	expect_reach(LIB("mimalloc") ".2", "mi_heap_realloc", HANDOFF_NONE, 1);
	expect_reach(LIB("mimalloc") ".2", "free|mi_free|operator delete|operator delete(sized)",
		     HANDOFF_NONE, 0);
	expect_reach("/lib/ld-musl-x86_64.so.1", "calloc", HANDOFF_NONE, 1);
}

static void test_other_allocators(void **state)
{
	expect_library("/usr/lib/x86_64-linux-gnu/libjemalloc.so.2", ALLOCATOR_JEMALLOC, "malloc");
	expect_library("/usr/lib/x86_64-linux-gnu/libtcmalloc_minimal.so.4", ALLOCATOR_TCMALLOC,
		       "malloc|tc_malloc");
	expect_library("/usr/lib/x86_64-linux-gnu/libmimalloc.so.2", ALLOCATOR_MIMALLOC,
		       "malloc|mi_malloc");
	expect_library("/lib/ld-musl-x86_64.so.1", ALLOCATOR_MUSL, "malloc");
}

static void test_nothing_here(void **state)
{
	struct allocator_cache *cache = allocator_cache__new(NULL);
	const struct allocator_object *object;
	int damaged = memfd_create("damaged", MFD_CLOEXEC);
	int err;

	object = find_file(cache, "/lib64/ld-linux-x86-64.so.2", &err);
	assert_int_equal(err, -ENOENT);
	assert_null(object);
	/* The second answer is the remembered one. */
	for (int i = 0; i < 2; i++) {
		object = find_file(cache, "/etc/passwd", &err);
		assert_int_equal(err, -ENOENT);
		assert_null(object);
	}
	/* What says that it is ELF and is not whole could have been an allocator. */
	assert_int_equal(write(damaged, ELFMAG, SELFMAG), SELFMAG);
	for (int i = 0; i < 2; i++)
		assert_int_equal(allocator_cache__find(cache, damaged, "damaged", NULL, &object),
				 -EINVAL);
	close(damaged);
	allocator_cache__free(cache);
}

static void copy_to(const char *path, int fd)
{
	char buffer[65536];
	int from = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got;

	assert_true(from >= 0);
	while ((got = read(from, buffer, sizeof(buffer))) > 0)
		assert_int_equal(write(fd, buffer, (size_t)got), got);
	close(from);
}

/* Symbols, relocations, frames and code that make no sense: any answer, but an answer. */
static void test_damaged(void **state)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xe8, 0xe9, 0xff};
	const char *path = libc_path();
	struct allocator_cache *cache = allocator_cache__new(NULL);
	int fd = memfd_create("damaged", MFD_CLOEXEC);
	const struct allocator_object *object;
	uint32_t seed = 4711;
	struct stat st;

	if (!access(LIB("mimalloc") ".2", R_OK))
		path = LIB("mimalloc") ".2";
	copy_to(path, fd);
	assert_int_equal(fstat(fd, &st), 0);
	for (int i = 0; i < 150; i++) {
		for (int j = 0; j < 16; j++) {
			uint8_t value = values[(seed >> 8) % sizeof(values)];

			seed = seed * 1664525 + 1013904223;
			/* Not the first page: without headers nothing is looked at. */
			assert_int_equal(
				pwrite(fd, &value, 1,
				       (off_t)(4096 + (seed >> 4) % ((uint64_t)st.st_size - 4096))),
				1);
		}
		assert_int_equal(futimens(fd, (struct timespec[2]){{.tv_sec = i}, {.tv_sec = i}}),
				 0);
		allocator_cache__find(cache, fd, "damaged", NULL, &object);
		allocator_object__put(object);
	}
	close(fd);
	allocator_cache__free(cache);
}

static void test_cache(void **state)
{
	struct allocator_cache *cache = allocator_cache__new(NULL);
	const struct allocator_object *first, *second;
	struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
	int fd = memfd_create("libc copy", MFD_CLOEXEC);

	assert_true(fd >= 0);
	copy_to(libc_path(), fd);
	assert_int_equal(allocator_cache__find(cache, fd, "copy", NULL, &first), 0);
	assert_int_equal(allocator_cache__find(cache, fd, "copy", NULL, &second), 0);
	assert_ptr_equal(first, second);
	allocator_object__put(second);

	/* The file changes: what was known is not asked. */
	assert_int_equal(pwrite(fd, "no", 2, 0), 2);
	assert_int_equal(futimens(fd, times), 0);
	assert_int_equal(allocator_cache__find(cache, fd, "copy", NULL, &second), -ENOENT);
	assert_null(second);
	/* An object outlives its place in the cache, and the cache. */
	allocator_cache__free(cache);
	expect(first, "malloc", ARG_SIZE);
	allocator_object__put(first);
	close(fd);
}

static void test_cache_is_bounded(void **state)
{
	struct allocator_cache *cache = allocator_cache__new(NULL);
	const struct allocator_object *object;
	int fd = memfd_create("changing", MFD_CLOEXEC);

	/* Each time is another file to the cache. */
	for (int i = 0; i < ALLOCATOR_CACHE_MAX + 100; i++) {
		struct timespec times[2] = {{.tv_sec = i}, {.tv_sec = i}};

		assert_int_equal(futimens(fd, times), 0);
		assert_int_equal(allocator_cache__find(cache, fd, "changing", NULL, &object),
				 -ENOENT);
	}
	close(fd);
	allocator_cache__free(cache);
}

struct seen {
	unsigned int objects;
	bool libc;
	bool own;
	ino_t own_ino;
};

static int see(void *ctx, const struct allocator_mapping *mapping)
{
	struct seen *s = ctx;
	struct stat st;

	s->objects++;
	assert_int_equal(fstat(mapping->fd, &st), 0);
	assert_int_equal(st.st_ino, mapping->object->ino);
	s->libc |=
		function_of(mapping->object, "malloc") && mapping->object->kind == ALLOCATOR_GLIBC;
	s->own |= st.st_ino == s->own_ino;
	return 0;
}

static int stop(void *ctx, const struct allocator_mapping *mapping)
{
	++*(int *)ctx;
	return 5;
}

static void test_mapped(void **state)
{
	struct allocator_cache *cache = allocator_cache__new(NULL);
	struct allocator_scan scan;
	struct seen seen = {0};
	struct stat st;
	int calls = 0;
	pid_t child;

	assert_int_equal(stat("/proc/self/exe", &st), 0);
	seen.own_ino = st.st_ino;
	assert_int_equal(allocator_cache__each_mapped(cache, getpid(), see, &seen, &scan), 0);
	assert_true(seen.libc);
	assert_true(seen.own);
	assert_true(scan.objects > seen.objects);
	assert_int_equal(scan.unread, 0);
	assert_int_equal(allocator_cache__each_mapped(cache, getpid(), stop, &calls, NULL), 5);
	assert_int_equal(calls, 1);

	/* A process that has ended and was waited for. */
	child = fork();
	if (!child)
		_exit(0);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(allocator_cache__each_mapped(cache, child, see, &seen, &scan), -ESRCH);
	allocator_cache__free(cache);
}

/* A deleted library is still found: its mapping leads to it. */
static void test_mapped_deleted(void **state)
{
	char path[] = "/tmp/memdrift-test-XXXXXX";
	struct allocator_cache *cache = allocator_cache__new(NULL);
	struct seen seen = {0};
	struct stat st;
	int fd = mkstemp(path);
	void *map;

	assert_true(fd >= 0);
	copy_to(libc_path(), fd);
	assert_int_equal(fstat(fd, &st), 0);
	map = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	unlink(path);
	close(fd);
	if (map == MAP_FAILED) {
		allocator_cache__free(cache);
		skip(); /* /tmp is mounted noexec */
	}
	seen.own_ino = st.st_ino;
	assert_int_equal(allocator_cache__each_mapped(cache, getpid(), see, &seen, NULL), 0);
	if (!geteuid())
		assert_true(seen.own);
	munmap(map, (size_t)st.st_size);
	allocator_cache__free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glibc),
		cmocka_unit_test(test_own_prefixes),
		cmocka_unit_test(test_reaches_others),
		cmocka_unit_test(test_reach_of_allocators),
		cmocka_unit_test(test_other_allocators),
		cmocka_unit_test(test_nothing_here),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_cache),
		cmocka_unit_test(test_cache_is_bounded),
		cmocka_unit_test(test_mapped),
		cmocka_unit_test(test_mapped_deleted),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
