// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Names of objects from all their places, against binutils and Go's own tools. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <sys/stat.h>

#include "base/log.h"
#include "elf_files.h"
#include "stack/debug_file.h"

#define LIBC      "/lib/x86_64-linux-gnu/libc.so.6"
#define LIBSTDCPP "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"

/* A program with functions of all kinds, calls through its PLT, and a debug file of its own. */
static const char program[] =
	"#include <stdlib.h>\n#include <stdio.h>\n"
	"__attribute__((noinline)) static int hidden(int x) { return x * 3 + rand(); }\n"
	"__attribute__((noinline)) int shown(int x) { return hidden(x) + atoi(getenv(\"x\")); }\n"
	"__asm__(\".text\\nassembled: nop\\nnop\\nwithin: nop\\nret\\n\");\n"
	"int main(int n, char **v) { printf(\"%d\\n\", shown(n)); return 0; }\n";

static void build_program(void)
{
	static bool is_built;
	FILE *f;

	if (is_built)
		return;
	is_built = true;
	f = fopen(in_work_dir("a.c"), "we");

	assert_non_null(f);
	assert_true(fputs(program, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_true(run("cd '@' && gcc -O1 -g -Wl,--build-id -o full a.c && "
			"objcopy --only-keep-debug full full.debug && "
			"strip -o stripped full"));
}

/*
 * All code that nm knows has one of the names that nm has for that address. Names that only the
 * debug file has are looked for in nm's reading of that.
 */
struct comparison {
	unsigned int compared, wrong, unnamed;
};

static bool is_name_of(const char *name, const char *nm_name)
{
	size_t length = strcspn(nm_name, "@");
	const char *types = strstr(name, "[...]"), *end = strrchr(nm_name, ']');

	/* The runtime's table leaves out what is between the outer brackets, and the ABI. */
	if (types)
		return end && !strncmp(name, nm_name, (size_t)(types - name)) &&
		       !strcmp(types + strlen("[...]"), end + 1);
	if (length > 5 && !strcmp(nm_name + length - 5, ".abi0") && strlen(name) == length - 5)
		length -= 5;
	return strlen(name) == length && !strncmp(name, nm_name, length);
}

/* nm sorts by address: the names of one address follow each other. */
static void compare_one(const struct symbol_table *table, const struct elf_object *elf,
			uint64_t vaddr, char names[][1024], unsigned int count,
			struct comparison *comparison)
{
	const char *found;
	uint64_t offset;

	if (!count || elf_object__file_offset(elf, vaddr, &offset))
		return;
	comparison->compared++;
	found = symbol_table__find(table, offset, NULL);
	comparison->unnamed += !found;
	for (unsigned int i = 0; found && i < count; i++) {
		if (is_name_of(found, names[i]))
			return;
	}
	if (found && comparison->wrong++ < 5)
		print_message("%#" PRIx64 ": %s instead of %s\n", vaddr, found, names[0]);
}

static struct comparison compare_with(FILE *nm, const char *path, int debug_fd)
{
	static char names[64][1024];
	struct comparison comparison = {0};
	struct symbol_table *table = load_names(path, debug_fd);
	uint64_t at = 0, vaddr;
	unsigned int count = 0;
	struct elf_object *elf;
	char line[2048], type;
	int fd, name_at;

	assert_non_null(table);
	assert_non_null(nm);
	elf = open_elf(path, &fd);
	while (fgets(line, sizeof(line), nm)) {
		if (sscanf(line, "%" SCNx64 " %c %n", &vaddr, &type, &name_at) != 2 ||
		    !strchr("tTwWi", type))
			continue;
		line[strcspn(line, "\n")] = '\0';
		if (vaddr != at) {
			compare_one(table, elf, at, names, count, &comparison);
			count = 0;
		}
		at = vaddr;
		if (count < 64)
			snprintf(names[count++], sizeof(names[0]), "%s", line + name_at);
	}
	compare_one(table, elf, at, names, count, &comparison);
	pclose(nm);
	elf_object__close(elf);
	close(fd);
	symbol_table__free(table);
	return comparison;
}

static void exported_names_are_nms(void **state)
{
	static const char *const paths[] = {LIBC, LIBSTDCPP};

	for (size_t i = 0; i < 2; i++) {
		struct comparison c = compare_with(
			read_output("nm -nD --defined-only %s", paths[i]), paths[i], -1);

		print_message("%s: %u addresses\n", paths[i], c.compared);
		assert_true(c.compared > 1000);
		assert_int_equal(c.wrong, 0);
		assert_int_equal(c.unnamed, 0);
	}
}

static void all_names_of_a_program_are_nms(void **state)
{
	struct comparison c;

	build_program();
	c = compare_with(read_output("nm -n --defined-only %s", in_work_dir("full")),
			 in_work_dir("full"), -1);
	assert_true(c.compared > 8);
	assert_int_equal(c.wrong, 0);
	assert_int_equal(c.unnamed, 0);
}

static void names_of_a_debug_file_are_nms(void **state)
{
	struct elf_object *elf;
	struct comparison c;
	char path[64];
	int fd, debug;

	elf = open_elf(LIBC, &fd);
	debug = debug_file__open(elf, LIBC, NULL, false);
	elf_object__close(elf);
	close(fd);
	if (debug < 0)
		skip(); /* libc6-dbg is not installed */
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", getpid(), debug);
	c = compare_with(read_output("nm -n --defined-only %s", path), LIBC, debug);
	print_message("libc's debug file: %u addresses\n", c.compared);
	assert_true(c.compared > 3000);
	assert_int_equal(c.wrong, 0);
	assert_int_equal(c.unnamed, 0);
	close(debug);
}

static uint64_t offset_of(const char *path, const char *symbol)
{
	FILE *nm = read_output("nm %s", path);
	uint64_t vaddr = 0, found = 0, offset = 0;
	struct elf_object *elf;
	char name[256], line[512];
	int fd;

	while (fgets(line, sizeof(line), nm)) {
		if (sscanf(line, "%" SCNx64 " %*c %255s", &vaddr, name) == 2 &&
		    !strcmp(name, symbol))
			found = vaddr;
	}
	pclose(nm);
	elf = open_elf(path, &fd);
	assert_non_null(elf);
	assert_int_equal(elf_object__file_offset(elf, found, &offset), 0);
	elf_object__close(elf);
	close(fd);
	return offset;
}

static void labels_name_what_has_no_size(void **state)
{
	struct symbol_table *table;
	uint64_t at;

	build_program();
	at = offset_of(in_work_dir("full"), "assembled");
	table = load_names(in_work_dir("full"), -1);
	assert_string_equal(symbol_table__find(table, at + 1, NULL), "assembled");
	assert_string_equal(symbol_table__find(table, at + 2, NULL), "within");
	symbol_table__free(table);
}

static void mini_debug_info_is_read(void **state)
{
	struct symbol_table *table;
	uint64_t at;

	build_program();
	at = offset_of(in_work_dir("full"), "hidden");
	table = load_names(in_work_dir("stripped"), -1);
	assert_null(symbol_table__find(table, at, NULL));
	symbol_table__free(table);

	/* As rpm's find-debuginfo does it: symbols alone, packed. */
	assert_true(run("cd '@' && objcopy -S --remove-section .gdb_index --remove-section "
			".comment --keep-symbol=hidden --keep-symbol=shown full.debug mini && "
			"xz -f mini && objcopy --add-section .gnu_debugdata=mini.xz stripped "
			"with_mini"));
	table = load_names(in_work_dir("with_mini"), -1);
	assert_string_equal(symbol_table__find(table, at, NULL), "hidden");
	symbol_table__free(table);
}

static int unpacked(const char *make)
{
	struct elf_object *elf;
	int fd, mini;

	build_program();
	assert_true(run("cd '@' && rm -f part && (%s) > part && "
			"objcopy --add-section .gnu_debugdata=part stripped bad",
			make));
	elf = open_elf(in_work_dir("bad"), &fd);
	assert_non_null(elf);
	mini = elf_object__open_mini_debug(elf);
	elf_object__close(elf);
	close(fd);
	if (mini >= 0)
		close(mini);
	/* What is wrong there takes no other names away. */
	symbol_table__free(load_names(in_work_dir("bad"), -1));
	return mini;
}

static void mini_debug_info_that_is_none_is_refused(void **state)
{
	assert_int_equal(unpacked("head -c 300000000 /dev/zero | xz -1"), -EFBIG);
	assert_int_equal(unpacked("echo not packed by xz"), -EINVAL);
	assert_int_equal(unpacked("xz -c full.debug | head -c 500"), -EINVAL);
	/* A dictionary of 512 MiB. */
	assert_int_equal(unpacked("xz -c --lzma2=dict=512MiB full.debug"), -EINVAL);
	/* Packed well, but no ELF file. */
	assert_true(unpacked("head -c 100000 /dev/urandom | xz -c") >= 0);
}

static int debug_link(const char *prepare)
{
	struct elf_object *elf;
	int fd, debug;

	assert_true(run("cd '@' && rm -rf linked .debug d.debug && "
			"(test -e plain || gcc -O1 -g -Wl,--build-id=none -o plain a.c) && "
			"objcopy --only-keep-debug plain d.debug && "
			"objcopy --strip-all --add-gnu-debuglink=d.debug plain linked && %s",
			prepare));
	elf = open_elf(in_work_dir("linked"), &fd);
	assert_non_null(elf);
	debug = debug_file__open(elf, in_work_dir("linked"), NULL, false);
	elf_object__close(elf);
	close(fd);
	return debug;
}

static void debug_links_are_followed_and_checked(void **state)
{
	struct symbol_table *table;
	int debug;

	build_program();
	debug = debug_link("true");
	assert_true(debug >= 0);
	table = load_names(in_work_dir("linked"), debug);
	close(debug);
	assert_string_equal(
		symbol_table__find(table, offset_of(in_work_dir("plain"), "hidden"), NULL),
		"hidden");
	symbol_table__free(table);
	debug = debug_link("mkdir .debug && mv d.debug .debug");
	assert_true(debug >= 0);
	close(debug);
	/* Another file of this name, itself, a directory, a pipe. */
	assert_int_equal(debug_link("cp plain d.debug"), -ENOENT);
	assert_int_equal(debug_link("ln -sf linked d.debug"), -ENOENT);
	assert_int_equal(debug_link("rm d.debug; ln -s d.debug d.debug"), -ENOENT);
	assert_int_equal(debug_link("rm d.debug; mkdir d.debug"), -ENOENT);
	assert_int_equal(debug_link("rm d.debug; mkfifo d.debug"), -ENOENT);
}

static void plt_entries_have_the_names_of_what_they_call(void **state)
{
	FILE *objdump;
	struct symbol_table *table;
	struct elf_object *elf;
	char line[512], name[256];
	unsigned int compared = 0;
	uint64_t vaddr, offset;
	int fd;

	build_program();
	table = load_names(in_work_dir("stripped"), -1);
	elf = open_elf(in_work_dir("stripped"), &fd);
	/* objdump makes the same names up: "0000000000001030 <rand@plt>:". */
	objdump = read_output("objdump -d %s", in_work_dir("stripped"));
	while (fgets(line, sizeof(line), objdump)) {
		const char *found;

		if (sscanf(line, "%" SCNx64 " <%255[^>]>:", &vaddr, name) != 2 ||
		    !strstr(name, "@plt") || strstr(name, "@plt-") ||
		    elf_object__file_offset(elf, vaddr, &offset))
			continue;
		found = symbol_table__find(table, offset, NULL);
		assert_non_null(found);
		assert_string_equal(found, name);
		compared++;
	}
	pclose(objdump);
	assert_true(compared >= 4);
	elf_object__close(elf);
	close(fd);
	symbol_table__free(table);
}

/* "  401000 T main.main": all of Go's own code, in a program whose symbols were stripped. */
static void stripped_go_has_its_names(void **state)
{
	const char *build = getenv("MEMDRIFT_BUILD");
	struct comparison c;
	char path[512];

	snprintf(path, sizeof(path), "%s/targets/go-memstats", build ? build : "build");
	if (access(path, R_OK) || !run("command -v go >/dev/null"))
		skip();
	assert_true(run("strip -o '@/go' %s", path));
	c = compare_with(read_output("HOME=%s go tool nm -sort address %s", work_dir, path),
			 in_work_dir("go"), -1);
	print_message("stripped Go: %u functions\n", c.compared);
	assert_true(c.compared > 1000);
	assert_int_equal(c.wrong, 0);
	assert_int_equal(c.unnamed, 0);
}

/* Whatever the bytes are: no crash, no hang. The sanitizers watch. */
static void damaged_files_are_read_as_far_as_they_go(void **state)
{
	static uint8_t bytes[1 << 20], copy[1 << 20];
	unsigned int seed = 12345, opened = 0;
	size_t size;
	FILE *f;

	log_set_level(LOG_ERROR);
	build_program();
	assert_true(run("cd '@' && xz -kf full.debug && "
			"objcopy --add-section .gnu_debugdata=full.debug.xz full all"));
	f = fopen(in_work_dir("all"), "re");
	size = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	assert_true(size > 4096 && size < sizeof(bytes));
	for (int i = 0; i < 400; i++) {
		size_t length = i % 4 ? size : size * (size_t)i / 400;
		struct symbol_table *table;

		memcpy(copy, bytes, size);
		for (int n = 0; i % 4 && n < 1 + i % 16; n++) {
			seed = seed * 1103515245 + 12345;
			/* Headers at both ends tell the most. */
			copy[(seed >> 8) % (i % 3 ? size : 1024)] = (uint8_t)seed;
		}
		f = fopen(in_work_dir("damaged"), "we");
		assert_int_equal(fwrite(copy, 1, length, f), length);
		fclose(f);
		table = load_names(in_work_dir("damaged"), -1);
		opened += !!table;
		symbol_table__free(table);
	}
	assert_true(opened > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(exported_names_are_nms),
		cmocka_unit_test(all_names_of_a_program_are_nms),
		cmocka_unit_test(names_of_a_debug_file_are_nms),
		cmocka_unit_test(labels_name_what_has_no_size),
		cmocka_unit_test(mini_debug_info_is_read),
		cmocka_unit_test(mini_debug_info_that_is_none_is_refused),
		cmocka_unit_test(debug_links_are_followed_and_checked),
		cmocka_unit_test(plt_entries_have_the_names_of_what_they_call),
		cmocka_unit_test(stripped_go_has_its_names),
		cmocka_unit_test(damaged_files_are_read_as_far_as_they_go),
	};

	return cmocka_run_group_tests(tests, make_work_dir, remove_work_dir);
}
