// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Source lines and inlined functions against addr2line, and DWARF that is damaged or endless. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>

#include "elf_files.h"
#include "stack/source_lines_internal.h"

#define PLACES_MAX 4096

/* Templates, lambdas and inlining, as code is that somebody wants to see the lines of. */
static const char program[] =
	"#include <algorithm>\n#include <map>\n#include <string>\n#include <vector>\n"
	"namespace app {\n"
	"struct item { std::string name; int weight; };\n"
	"class store {\n"
	"	std::map<std::string, std::vector<item>> all;\n"
	"public:\n"
	"	void add(const char *key, int n) {\n"
	"		for (int i = 0; i < n; i++)\n"
	"			all[key].push_back({std::string(20 + i, 'x'), i});\n"
	"	}\n"
	"	int sum() const {\n"
	"		int s = 0;\n"
	"		for (const auto &pair : all)\n"
	"			std::for_each(pair.second.begin(), pair.second.end(),\n"
	"				      [&](const item &x) { s += x.weight; });\n"
	"		return s;\n"
	"	}\n"
	"};\n"
	"}\n"
	"static inline int twice(int x) { return x * 2 + (x > 3 ? twice(x - 1) : 0); }\n"
	"int main(int argc, char **argv) {\n"
	"	app::store s;\n"
	"	s.add(argv[0], argc * 10);\n"
	"	return s.sum() + twice(argc);\n"
	"}\n";

static void build_program(void)
{
	FILE *f;

	if (!access(in_work_dir("full"), R_OK))
		return;
	f = fopen(in_work_dir("a.cc"), "we");
	assert_non_null(f);
	assert_true(fputs(program, f) >= 0);
	assert_int_equal(fclose(f), 0);
	assert_true(run("cd '@' && gcc -O2 -g -x c++ -o full a.cc -lstdc++ && "
			"objcopy --only-keep-debug full debug && strip -o stripped full"));
}

/* Every so many bytes of .text. */
static size_t pick_places(const char *path, uint64_t *vaddrs, unsigned int step)
{
	FILE *sections = read_output("readelf -SW %s | sed 's/^ *\\[ *[0-9]*\\] //'", path);
	uint64_t vaddr = 0, bytes = 0;
	char line[512];
	size_t n = 0;

	while (fgets(line, sizeof(line), sections)) {
		if (sscanf(line, ".text PROGBITS %" SCNx64 " %*x %" SCNx64, &vaddr, &bytes) == 2)
			break;
	}
	pclose(sections);
	assert_true(bytes > 1000);
	for (uint64_t at = 0; at < bytes && n < PLACES_MAX; at += step)
		vaddrs[n++] = vaddr + at;
	return n;
}

struct written {
	char *text[PLACES_MAX];
	size_t found;
	size_t most;
};

/* As addr2line does it: a line with the function, one with file and line, innermost first. */
static void write_lines(void *ctx, size_t at, const struct source_line *lines, size_t n)
{
	struct written *written = ctx;
	size_t size;
	FILE *out;

	assert_null(written->text[at]);
	out = open_memstream(&written->text[at], &size);
	for (size_t i = 0; i < n; i++)
		fprintf(out, "%s\n%s:%u\n", lines[i].function, lines[i].source, lines[i].line);
	fclose(out);
	written->found++;
	if (n > written->most)
		written->most = n;
}

static void forget(struct written *written)
{
	for (size_t i = 0; i < PLACES_MAX; i++)
		free(written->text[i]);
	memset(written, 0, sizeof(*written));
}

static int read_lines(const char *first, const char *second, const uint64_t *vaddrs, size_t n,
		      struct written *written)
{
	int fds[2] = {open(first, O_RDONLY | O_CLOEXEC), -1}, err;

	if (second)
		fds[1] = open(second, O_RDONLY | O_CLOEXEC);
	err = source_lines__read(fds, 2, vaddrs, n, write_lines, written);
	close(fds[0]);
	if (fds[1] >= 0)
		close(fds[1]);
	return err;
}

static void strip_line(char *line)
{
	char *discriminator = strstr(line, " (discriminator"), *part;

	line[strcspn(line, "\n")] = '\0';
	/* Of the symbol; DWARF has the function that it is a part of. */
	part = strchr(line, '.');
	if (part && !strchr(line, '/'))
		*part = '\0';
	if (discriminator)
		*discriminator = '\0';
}

static void lines_are_addr2lines(void **state)
{
	static uint64_t vaddrs[PLACES_MAX];
	static struct written written;
	char expected[65536], line[8192];
	unsigned int same = 0, inlined = 0;
	FILE *addresses, *answers;
	size_t n;

	build_program();
	n = pick_places(in_work_dir("full"), vaddrs, 3);
	addresses = fopen(in_work_dir("addresses"), "we");
	for (size_t i = 0; i < n; i++)
		fprintf(addresses, "%#" PRIx64 "\n", vaddrs[i]);
	fclose(addresses);
	assert_int_equal(
		read_lines(in_work_dir("stripped"), in_work_dir("debug"), vaddrs, n, &written), 0);
	/* Each answer of -a begins with its address. */
	answers = read_output("llvm-addr2line -a -i -f -e %s <%s", in_work_dir("full"),
			      in_work_dir("addresses"));
	assert_non_null(fgets(line, sizeof(line), answers));
	for (size_t i = 0; i < n; i++) {
		size_t at = 0, entries = 0;

		expected[0] = '\0';
		while (fgets(line, sizeof(line), answers) && strncmp(line, "0x", 2)) {
			strip_line(line);
			at += (size_t)snprintf(expected + at, sizeof(expected) - at, "%s\n", line);
			entries++;
		}
		inlined += entries > 2;
		/* What has no DWARF: it has at most a symbol. */
		if ((strstr(expected, "??:0\n") || strstr(expected, "\ncrtstuff\n")) &&
		    entries == 2 && !written.text[i]) {
			same++;
			continue;
		}
		if (written.text[i] && !strcmp(expected, written.text[i]))
			same++;
		else if (i - same < 3)
			print_message("%#" PRIx64 ":\n%s instead of\n%s", vaddrs[i],
				      written.text[i] ? written.text[i] : "nothing\n", expected);
	}
	pclose(answers);
	print_message(
		"%u of %zu places as addr2line has them, %u with inlined functions, %zu deep\n",
		same, n, inlined, written.most);
	assert_true(inlined > n / 4);
	assert_true(same * 100 >= n * 99);
	forget(&written);
}

static void a_file_without_dwarf_has_no_lines(void **state)
{
	static uint64_t vaddrs[PLACES_MAX];
	static struct written written;
	size_t n;

	build_program();
	n = pick_places(in_work_dir("full"), vaddrs, 64);
	assert_int_equal(read_lines(in_work_dir("stripped"), NULL, vaddrs, n, &written), -ENOENT);
	assert_int_equal(read_lines("/dev/null", "/dev/zero", vaddrs, n, &written), -ENOENT);
	assert_int_equal(written.found, 0);
}

/*
 * A unit that holds the place, and in it two million structures inside each other, each with a
 * hundred thousand attributes of no size (DW_FORM_flag_present): to step over them takes hours.
 */
static const char endless[] =
	".globl main\nmain: ret\nend:\n.section .note.GNU-stack,\"\",@progbits\n"
	".section .debug_abbrev,\"\",@progbits\na:\n"
	".uleb128 1,0x11\n.byte 1\n.uleb128 0x11,1,0x12,7,0,0\n"
	".uleb128 2,0x13\n.byte 1\n.rept 100000\n.uleb128 0x2001,0x19\n.endr\n"
	".uleb128 0,0\n.byte 0\n"
	".section .debug_info,\"\",@progbits\n.long 2f-1f\n1: .short 4\n.long a\n.byte 8\n"
	".uleb128 1\n.quad main,end-main\n.fill 2000000,1,2\n2:\n";

static void endless_dwarf_ends(void **state)
{
	static const struct child_limits limits = {.cpu_s = 1, .memory_bytes = 1 << 30};
	static struct written written;
	struct lines_request request = {.fd_count = 1, .n = 1};
	uint64_t vaddr = 0;
	FILE *f = fopen(in_work_dir("endless.s"), "we");
	int fd;

	assert_true(fputs(endless, f) >= 0);
	fclose(f);
	assert_true(run("cd '@' && gcc -o endless endless.s"));
	f = read_output("nm %s | grep ' T main$'", in_work_dir("endless"));
	assert_int_equal(fscanf(f, "%" SCNx64, &vaddr), 1);
	pclose(f);
	fd = open(in_work_dir("endless"), O_RDONLY | O_CLOEXEC);
	request.fds = &fd;
	request.vaddrs = &vaddr;
	assert_int_equal(source_lines__ask(&request, &limits, 5000000000ull, write_lines, &written),
			 -ENOENT);
	close(fd);
}

static void damaged_dwarf_does_no_harm(void **state)
{
	static uint8_t bytes[4 << 20], copy[4 << 20];
	static uint64_t vaddrs[PLACES_MAX];
	static struct written written;
	unsigned int seed = 4711, some = 0;
	size_t size, n;
	FILE *f;

	build_program();
	n = pick_places(in_work_dir("full"), vaddrs, 16);
	f = fopen(in_work_dir("debug"), "re");
	size = fread(bytes, 1, sizeof(bytes), f);
	fclose(f);
	assert_true(size > 4096 && size < sizeof(bytes));
	for (int i = 0; i < 60; i++) {
		size_t length = i % 5 ? size : size * (size_t)i / 60;

		memcpy(copy, bytes, size);
		for (int k = 0; i % 5 && k < 40 * (i % 7 + 1); k++) {
			seed = seed * 1103515245 + 12345;
			copy[64 + (seed >> 4) % (size - 64)] = (uint8_t)(seed >> 3);
		}
		f = fopen(in_work_dir("damaged"), "we");
		assert_int_equal(fwrite(copy, 1, length, f), length);
		fclose(f);
		some += !read_lines(in_work_dir("damaged"), NULL, vaddrs, n, &written);
		assert_true(written.most <= SOURCE_LINES_MAX);
		forget(&written);
	}
	print_message("%u of 60 damaged files still gave lines\n", some);
	assert_true(some > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_addr2lines),
		cmocka_unit_test(a_file_without_dwarf_has_no_lines),
		cmocka_unit_test(endless_dwarf_ends),
		cmocka_unit_test(damaged_dwarf_does_no_harm),
	};

	return cmocka_run_group_tests(tests, make_work_dir, remove_work_dir);
}
