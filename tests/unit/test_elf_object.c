// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* ELF files: this program and its libc read right, and damaged copies of them without harm. */
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
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "probe/elf_object.h"

/* What a libc with probes and a Go program carry, put into this program. */
__asm__(".pushsection .note.stapsdt, \"\", \"note\"\n"
	"	.balign 4\n"
	"	.long 8, 2f - 1f, 3\n"
	"	.asciz \"stapsdt\"\n"
	"1:	.quad 0, 0, 0\n"
	"	.asciz \"libc\"\n"
	"	.asciz \"memory_arena_new\"\n"
	"	.asciz \"8@%rax 8@%rdi\"\n"
	"2:	.balign 4\n"
	".popsection\n"
	".pushsection .go.buildinfo, \"a\", @progbits\n"
	"	.quad 0\n"
	".popsection\n");

static struct elf_object *open_file(const char *path, int *fd)
{
	struct elf_object *obj;

	*fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(*fd >= 0);
	assert_int_equal(elf_object__open(*fd, path, &obj), 0);
	return obj;
}

/* Not malloc: a sanitizer may have it. */
static const char *libc_path(uintptr_t *base)
{
	Dl_info info;

	assert_true(dladdr((void *)gnu_get_libc_version, &info));
	*base = (uintptr_t)info.dli_fbase;
	return info.dli_fname;
}

struct wanted {
	const char *name;
	unsigned int seen;
	struct elf_function function;
	char version[32];
};

static int look_for(void *ctx, const struct elf_function *function)
{
	struct wanted *w = ctx;

	if (!strcmp(function->name, w->name)) {
		w->seen++;
		w->function = *function;
		snprintf(w->version, sizeof(w->version), "%s",
			 function->version ? function->version : "");
	}
	return 0;
}

static void test_libc(void **state)
{
	struct wanted version = {.name = "gnu_get_libc_version"}, free_ = {.name = "free"};
	const char *const names[] = {"no_such_function_here", "malloc"};
	uint8_t code[16];
	struct elf_object *obj;
	uint64_t offset;
	uintptr_t base;
	int fd;

	obj = open_file(libc_path(&base), &fd);
	assert_string_equal(elf_object__soname(obj), "libc.so.6");
	assert_int_equal(elf_object__type(obj), ELF_TYPE_SHARED);
	assert_false(elf_object__is_program(obj));
	assert_true(elf_object__is_dynamic(obj));
	assert_false(elf_object__is_go(obj));
	assert_int_equal(elf_object__each_function(obj, ELF_DYNSYM, look_for, &version), 0);
	assert_int_equal(version.seen, 1);
	assert_string_equal(version.version, "GLIBC_2.2.5");
	assert_true(version.function.default_version);
	assert_int_equal(version.function.vaddr, (uintptr_t)gnu_get_libc_version - base);

	/* The bytes in the file are those that run. */
	assert_true(version.function.size > 4 && version.function.size < 64);
	assert_int_equal(elf_object__read_code(obj, version.function.file_offset, code, 4), 4);
	assert_memory_equal(code, (const void *)gnu_get_libc_version, 4);
	assert_int_equal(elf_object__file_offset(obj, version.function.vaddr, &offset), 0);
	assert_int_equal(offset, version.function.file_offset);

	assert_int_equal(elf_object__each_function(obj, ELF_DYNSYM, look_for, &free_), 0);
	assert_int_equal(free_.seen, 1);
	assert_true(elf_object__may_export(obj, names, 2));
	assert_false(elf_object__may_export(obj, names, 1));

	assert_int_equal(elf_object__file_offset(obj, 0, &offset), -ERANGE);
	assert_int_equal(elf_object__file_offset(obj, UINT64_MAX, &offset), -ERANGE);
	assert_int_equal(elf_object__read_code(obj, 0, code, 4), -ERANGE);
	assert_int_equal(elf_object__read_code(obj, UINT64_MAX, code, 4), -ERANGE);
	elf_object__close(obj);
	close(fd);
}

struct extents {
	const struct elf_object *obj;
	size_t same, functions;
};

static int compare_extent(void *ctx, const struct elf_function *function)
{
	struct extents *e = ctx;
	uint64_t start, end;

	if (!function->size)
		return 0;
	e->functions++;
	e->same += !elf_object__function_at(e->obj, function->vaddr + function->size - 1, &start,
					    &end) &&
		   start == function->vaddr && end == function->vaddr + function->size;
	return 0;
}

/* By .eh_frame, as the symbols say: all but hand-written code, and what has two entries. */
static void test_functions_by_frames(void **state)
{
	struct extents e = {0};
	struct elf_object *obj;
	uint64_t start, end;
	uintptr_t base;
	int fd;

	fd = open(libc_path(&base), O_RDONLY | O_CLOEXEC);
	assert_int_equal(elf_object__open(fd, "libc", &obj), 0);
	e.obj = obj;
	assert_int_equal(elf_object__each_function(obj, ELF_DYNSYM, compare_extent, &e), 0);
	assert_true(e.functions > 1000);
	assert_true(e.same * 100 >= e.functions * 95);
	assert_int_equal(elf_object__function_at(obj, 0, &start, &end), -ENOENT);
	assert_int_equal(elf_object__function_at(obj, UINT64_MAX, &start, &end), -ENOENT);
	elf_object__close(obj);
	close(fd);
}

static void find_slot(void *ctx, uint64_t vaddr, const char *name, uint64_t own_vaddr)
{
	bool *found = ctx;

	*found |= !strcmp(name, "realloc") && own_vaddr;
}

/* libc reaches its own realloc by name, so that another one can take its place. */
static void test_slots(void **state)
{
	struct elf_object *obj;
	bool found = false;
	uintptr_t base;
	int fd;

	fd = open(libc_path(&base), O_RDONLY | O_CLOEXEC);
	assert_int_equal(elf_object__open(fd, "libc", &obj), 0);
	elf_object__each_slot(obj, find_slot, &found);
	assert_true(found);
	elf_object__close(obj);
	close(fd);
}

static void test_own_program(void **state)
{
	struct wanted own = {.name = "main"};
	struct elf_object *obj;
	bool needs_libc = false;
	int fd;

	obj = open_file("/proc/self/exe", &fd);
	assert_true(elf_object__is_program(obj));
	assert_true(elf_object__is_go(obj));
	assert_non_null(strstr(elf_object__interpreter(obj), "ld-linux"));
	assert_null(elf_object__soname(obj));
	assert_true(elf_object__has_sdt(obj, "libc", "memory_arena_new"));
	assert_false(elf_object__has_sdt(obj, "libc", "memory_arena"));
	assert_false(elf_object__has_sdt(obj, "libm", "memory_arena_new"));
	for (size_t i = 0; elf_object__needed(obj, i); i++)
		needs_libc |= !strcmp(elf_object__needed(obj, i), "libc.so.6");
	assert_true(needs_libc);
	assert_int_equal(elf_object__each_function(obj, ELF_SYMTAB, look_for, &own), 0);
	assert_int_equal(own.seen, 1);
	elf_object__close(obj);
	close(fd);
}

static int stop_at_third(void *ctx, const struct elf_function *function)
{
	return ++*(int *)ctx == 3 ? 77 : 0;
}

static void test_callback_stops(void **state)
{
	struct elf_object *obj;
	int fd, calls = 0;

	obj = open_file("/proc/self/exe", &fd);
	assert_int_equal(elf_object__each_function(obj, ELF_SYMTAB, stop_at_third, &calls), 77);
	assert_int_equal(calls, 3);
	elf_object__close(obj);
	close(fd);
}

static void make_directories(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		assert_true(!mkdir(path, 0700) || errno == EEXIST);
		*slash = '/';
	}
}

static void remove_tree(const char *root)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf -- '%s'", root);
	assert_int_equal(system(command), 0);
}

static int copy_to(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	char buffer[65536];
	ssize_t got;

	while ((got = read(in, buffer, sizeof(buffer))) > 0) {
		if (write(out, buffer, (size_t)got) != got)
			got = -1;
	}
	close(in);
	close(out);
	return (int)got;
}

static void test_debug_file(void **state)
{
	char root[] = "/tmp/memdrift-test-XXXXXX", path[256];
	uint8_t id[ELF_BUILD_ID_MAX];
	struct elf_object *obj;
	size_t bytes, at;
	uintptr_t base;
	int fd, debug;

	obj = open_file("/proc/self/exe", &fd);
	bytes = elf_object__build_id(obj, id);
	if (bytes < 2) {
		elf_object__close(obj);
		close(fd);
		skip(); /* a linker that was told to make no build-id */
	}
	assert_non_null(mkdtemp(root));
	assert_int_equal(elf_object__open_debug_file(obj, root), -ENOENT);
	assert_int_equal(elf_object__open_debug_file(obj, "/nonexistent"), -ENOENT);

	at = (size_t)snprintf(path, sizeof(path), "%s/usr/lib/debug/.build-id/%02x/", root, id[0]);
	make_directories(path);
	for (size_t i = 1; i < bytes; i++)
		at += (size_t)sprintf(path + at, "%02x", id[i]);
	strcpy(path + at, ".debug");

	/* A link that leads out of the root leads nowhere. */
	assert_int_equal(symlink("/bin/sh", path), 0);
	assert_true(elf_object__open_debug_file(obj, root) < 0);
	assert_int_equal(unlink(path), 0);

	/* Another file under this name is not taken. */
	debug = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(debug >= 0 && write(debug, "text", 4) == 4);
	close(debug);
	assert_int_equal(elf_object__open_debug_file(obj, root), -EINVAL);
	assert_int_equal(unlink(path), 0);

	/* Neither is a program with another build-id. */
	assert_int_equal(copy_to(libc_path(&base), path), 0);
	assert_int_equal(elf_object__open_debug_file(obj, root), -ENOENT);
	assert_int_equal(unlink(path), 0);

	/* The program itself has the right build-id. */
	assert_int_equal(copy_to("/proc/self/exe", path), 0);
	debug = elf_object__open_debug_file(obj, root);
	assert_true(debug >= 0);
	close(debug);
	remove_tree(root);
	elf_object__close(obj);
	close(fd);
}

static int open_bytes(const void *bytes, size_t size)
{
	struct elf_object *obj;
	int fd, err;

	fd = memfd_create("elf", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, size), (ssize_t)size);
	err = elf_object__open(fd, "test\n\033[31m", &obj);
	elf_object__close(obj);
	close(fd);
	return err;
}

static void test_other_files(void **state)
{
	Elf64_Ehdr header = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			     .e_type = ET_DYN,
			     .e_machine = EM_X86_64,
			     .e_version = EV_CURRENT,
			     .e_ehsize = sizeof(header),
			     .e_phentsize = sizeof(Elf64_Phdr),
			     .e_shentsize = sizeof(Elf64_Shdr)};
	struct elf_object *obj;
	int fd;

	assert_int_equal(open_bytes("", 0), -EINVAL);
	assert_int_equal(open_bytes("#!/bin/sh\n", 10), -EINVAL);
	assert_int_equal(open_bytes("\177ELF", 4), -EINVAL);
	assert_int_equal(open_bytes(&header, sizeof(header)), 0);
	assert_int_equal(open_bytes(&header, sizeof(header) - 1), -EINVAL);
	header.e_machine = EM_AARCH64;
	assert_int_equal(open_bytes(&header, sizeof(header)), -ENOTSUP);
	header.e_machine = EM_X86_64;
	header.e_ident[EI_CLASS] = ELFCLASS32;
	assert_int_equal(open_bytes(&header, sizeof(header)), -ENOTSUP);
	header.e_ident[EI_CLASS] = ELFCLASS64;
	header.e_ident[EI_DATA] = ELFDATA2MSB;
	assert_int_equal(open_bytes(&header, sizeof(header)), -ENOTSUP);
	header.e_ident[EI_DATA] = ELFDATA2LSB;
	header.e_phoff = 1ull << 40;
	header.e_phnum = 3;
	assert_int_equal(open_bytes(&header, sizeof(header)), -EINVAL);
	header.e_phnum = 0;
	header.e_shoff = 1ull << 63;
	header.e_shnum = 7;
	assert_int_equal(open_bytes(&header, sizeof(header)), -EINVAL);

	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	assert_int_equal(elf_object__open(fd, "/dev/null", &obj), -EINVAL);
	close(fd);
	assert_int_equal(elf_object__open(-1, "nothing", &obj), -EBADF);
}

static int touch(void *ctx, const struct elf_function *function)
{
	*(size_t *)ctx +=
		strlen(function->name) + (function->version ? strlen(function->version) : 0);
	return 0;
}

static void touch_slot(void *ctx, uint64_t vaddr, const char *name, uint64_t own_vaddr)
{
	*(size_t *)ctx += strlen(name) + (vaddr == own_vaddr);
}

/* Everything that can be asked, with whatever answer. */
static void exercise(int fd)
{
	const char *const names[] = {"malloc", "free", "je_malloc"};
	uint8_t id[ELF_BUILD_ID_MAX], code[64];
	struct elf_object *obj;
	size_t total = 0;
	uint64_t offset, start, end;

	if (elf_object__open(fd, "damaged", &obj))
		return;
	elf_object__each_slot(obj, touch_slot, &total);
	for (uint64_t vaddr = 0x1000; vaddr < 0x200000; vaddr += 0x9001)
		if (!elf_object__function_at(obj, vaddr, &start, &end))
			assert_true(start <= vaddr && vaddr < end);
	elf_object__each_function(obj, ELF_DYNSYM, touch, &total);
	elf_object__each_function(obj, ELF_SYMTAB, touch, &total);
	elf_object__may_export(obj, names, 3);
	elf_object__build_id(obj, id);
	elf_object__has_sdt(obj, "libc", "memory_arena_new");
	elf_object__is_program(obj);
	for (size_t i = 0; i < 100 && elf_object__needed(obj, i); i++)
		total += strlen(elf_object__needed(obj, i));
	total += elf_object__soname(obj) ? strlen(elf_object__soname(obj)) : 0;
	total += elf_object__runpath(obj) ? strlen(elf_object__runpath(obj)) : 0;
	total += elf_object__interpreter(obj) ? strlen(elf_object__interpreter(obj)) : 0;
	if (!elf_object__file_offset(obj, 0x27400, &offset))
		elf_object__read_code(obj, offset, code, sizeof(code));
	elf_object__close(obj);
}

struct copy {
	int fd;
	uint8_t *bytes;
	size_t size;
};

static struct copy copy_file(const char *path)
{
	struct copy c;
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fstat(fd, &st), 0);
	c.size = (size_t)st.st_size;
	c.bytes = malloc(c.size);
	assert_int_equal(read(fd, c.bytes, c.size), (ssize_t)c.size);
	close(fd);
	c.fd = memfd_create("damaged", MFD_CLOEXEC);
	assert_true(c.fd >= 0);
	assert_int_equal(write(c.fd, c.bytes, c.size), (ssize_t)c.size);
	return c;
}

static void free_copy(struct copy *c)
{
	free(c->bytes);
	close(c->fd);
}

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525 + 1013904223;
	return *seed >> 8;
}

/* Where damage counts: headers, section headers, and the tables at the start of a library. */
static size_t place(const struct copy *c, uint32_t *seed)
{
	const Elf64_Ehdr *header = (const Elf64_Ehdr *)c->bytes;
	size_t sections = header->e_shoff, bytes = header->e_shnum * sizeof(Elf64_Shdr);

	switch (next_random(seed) % 4) {
	case 0:
		return next_random(seed) % (sizeof(*header) + header->e_phnum * sizeof(Elf64_Phdr));
	case 1:
		return sections + next_random(seed) % bytes;
	case 2:
		return next_random(seed) % (c->size < 0x25000 ? c->size : 0x25000);
	}
	return next_random(seed) % c->size;
}

static void damage(const char *path, int rounds)
{
	static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0xff};
	struct copy c = copy_file(path);
	uint32_t seed = 4711;

	for (int i = 0; i < rounds; i++) {
		size_t at[8];

		for (size_t j = 0; j < 8; j++) {
			uint8_t value = values[next_random(&seed) % sizeof(values)];

			at[j] = place(&c, &seed);
			assert_int_equal(pwrite(c.fd, &value, 1, (off_t)at[j]), 1);
		}
		exercise(c.fd);
		for (size_t j = 0; j < 8; j++)
			assert_int_equal(pwrite(c.fd, c.bytes + at[j], 1, (off_t)at[j]), 1);
	}
	free_copy(&c);
}

static void test_damaged_libc(void **state)
{
	uintptr_t base;

	damage(libc_path(&base), 600);
}

static void test_damaged_program(void **state)
{
	damage("/proc/self/exe", 600);
}

static void test_truncated(void **state)
{
	struct copy c = copy_file("/proc/self/exe");

	for (size_t size = c.size; size > 0; size -= size / 16 + 1) {
		assert_int_equal(ftruncate(c.fd, (off_t)size), 0);
		exercise(c.fd);
	}
	free_copy(&c);
}

static void test_shrinks_while_open(void **state)
{
	struct copy c = copy_file("/proc/self/exe");
	struct elf_object *obj;
	size_t total = 0;
	uint8_t code[16];

	assert_int_equal(elf_object__open(c.fd, "shrinking", &obj), 0);
	assert_int_equal(ftruncate(c.fd, 64), 0);
	assert_true(elf_object__each_function(obj, ELF_SYMTAB, touch, &total) <= 0);
	assert_true(elf_object__read_code(obj, 0x1000, code, sizeof(code)) < 0);
	elf_object__close(obj);
	free_copy(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_libc),
		cmocka_unit_test(test_functions_by_frames),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_own_program),
		cmocka_unit_test(test_callback_stops),
		cmocka_unit_test(test_debug_file),
		cmocka_unit_test(test_other_files),
		cmocka_unit_test(test_damaged_libc),
		cmocka_unit_test(test_damaged_program),
		cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_shrinks_while_open),
	};

	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
