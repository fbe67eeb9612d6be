// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What a named frame says of itself. This very process is the one that was traced. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <dlfcn.h>
#include <sys/auxv.h>

#include "elf_files.h"
#include "memdrift/record.h"
#include "self_stacks.h"
#include "stack/debuginfod.h"
#include "stack/objects.h"

#define START 5

static struct self self;
static struct stack_names *names;
static struct stack_namer namer;
static struct process process;

static int make(void **state)
{
	const struct stack_source source = {&self, read_stack, read_maps};

	memset(&self, 0, sizeof(self));
	names = stack_names__new(&source);
	namer = stack_names__namer(names);
	process = own_process();
	return names ? 0 : -1;
}

static int drop(void **state)
{
	stack_names__free(names);
	return 0;
}

static size_t name(int32_t stack, struct frame_name *frames, size_t max)
{
	assert_int_equal(stack_names__note(names, &process, stack, STACK_LEAF_SITE), 0);
	return stack_namer__name(&namer, process.pid, START, stack, frames, max);
}

/* Lines of these are looked at: they stay together. */
struct places {
	void *in_inner;
	void *in_outer;
};
static struct places places;
static int inner_line, outer_line;

static inline __attribute__((always_inline)) int inner(int x)
{
	inner_line = __LINE__ + 1;
	__asm__ volatile("lea 0f(%%rip), %0\n0:" : "=r"(places.in_inner) : : "memory");
	return x + 1;
}

__attribute__((noinline)) static int outer(int x)
{
	outer_line = __LINE__ + 1;
	__asm__ volatile("lea 0f(%%rip), %0\n0:" : "=r"(places.in_outer) : : "memory");
	return inner(x) * 2;
}

static void a_frame_says_where_it_is(void **state)
{
	const struct frame_file *file;
	struct frame_name frames[4];
	Dl_info info;
	FILE *notes;
	char id[129] = "";

	self.depth = 2;
	self.stack[0] = (uint64_t)(uintptr_t)outer;
	self.stack[1] = (uint64_t)(uintptr_t)outer + 1;
	assert_int_equal(name(1, frames, 4), 2);
	assert_string_equal(frames[0].text, "outer");
	assert_ptr_equal(frames[0].text, frames[0].function);
	assert_string_equal(frames[0].object, "test_names");
	assert_false(frames[0].is_return);
	assert_true(frames[1].is_return);
	assert_false(frames[0].is_inlined);
	assert_null(frames[0].source);
	assert_int_equal(frames[1].offset, frames[0].offset + 1);
	assert_int_equal(frames[1].function_start, frames[0].offset);

	file = frames[0].file;
	assert_non_null(file);
	assert_ptr_equal(file, frames[1].file);
	assert_true(dladdr((void *)outer, &info));
	assert_int_equal(frames[0].offset - file->text_offset + file->text_vaddr,
			 (uintptr_t)outer - (uintptr_t)info.dli_fbase);
	assert_true(frames[0].offset - file->text_offset < file->text_bytes);
	notes = read_output("readelf -n %s | sed -n 's/.*Build ID: //p'", file->path);
	assert_true(fscanf(notes, "%128s", id) <= 1);
	pclose(notes);
	assert_string_equal(file->build_id, id);
}

static void inlined_functions_are_entries_of_their_own(void **state)
{
	struct frame_name frames[4];

	stack_names__want(names, true, false);
	assert_int_equal(outer(1), 4);
	self.depth = 2;
	self.stack[0] = (uint64_t)(uintptr_t)places.in_inner - 1;
	self.stack[1] = (uint64_t)(uintptr_t)places.in_outer;
	assert_int_equal(name(1, frames, 4), 3);
	assert_string_equal(frames[0].function, "inner");
	assert_true(frames[0].is_inlined);
	assert_int_equal(frames[0].line, inner_line);
	assert_string_equal(strrchr(frames[0].source, '/'), "/test_names.c");
	assert_string_equal(frames[1].function, "outer");
	assert_false(frames[1].is_inlined);
	assert_int_equal(frames[1].offset, frames[0].offset);
	assert_int_equal(frames[1].line, outer_line + 1);
	assert_int_equal(frames[2].line, outer_line);
	assert_non_null(strstr(frames[2].text, "outer (test_names.c:"));
	/* Where there is no room, callers come first. */
	assert_int_equal(stack_namer__name(&namer, process.pid, START, 1, frames, 2), 2);
	assert_string_equal(frames[0].function, "outer");
	assert_int_equal(frames[1].line, outer_line);
	/* A stack that comes later has its lines as well. */
	self.depth = 1;
	self.stack[0] = (uint64_t)(uintptr_t)places.in_outer - 1;
	assert_int_equal(name(2, frames, 4), 1);
	assert_int_equal(frames[0].line, outer_line);
}

static void the_vdso_has_names(void **state)
{
	struct frame_name frames[4];
	void *vdso = dlopen("linux-vdso.so.1", RTLD_NOW | RTLD_NOLOAD);
	void *function = vdso ? dlsym(vdso, "__vdso_gettimeofday") : NULL;

	if (!function)
		skip();
	self.depth = 1;
	self.stack[0] = (uint64_t)(uintptr_t)function;
	assert_int_equal(name(1, frames, 4), 1);
	assert_string_equal(frames[0].object, "[vdso]");
	assert_null(frames[0].file);
	/* One address, two names. */
	assert_non_null(strstr(frames[0].text, "gettimeofday"));
}

static void generated_code_has_the_name_that_its_maker_wrote(void **state)
{
	struct frame_name frames[4];
	void *code = mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char path[64];
	FILE *map;

	assert_true(code != MAP_FAILED);
	snprintf(path, sizeof(path), "/tmp/perf-%d.map", getpid());
	map = fopen(path, "we");
	assert_non_null(map);
	fprintf(map, "%lx 40 LazyCompile:*work app.js:7\n", (unsigned long)code);
	fclose(map);
	self.depth = 3;
	self.stack[0] = (uint64_t)(uintptr_t)code + 8;
	self.stack[1] = (uint64_t)(uintptr_t)code + 0x40;
	self.stack[2] = (uint64_t)(uintptr_t)code + 0x80;
	assert_int_equal(name(1, frames, 4), 3);
	unlink(path);
	self.gone = true;
	stack_names__ended(names, process.pid, START);
	assert_int_equal(stack_namer__name(&namer, process.pid, START, 1, frames, 4), 3);
	assert_string_equal(frames[0].text, "LazyCompile:*work app.js:7");
	assert_string_equal(frames[0].object, "[jit]");
	assert_int_equal(frames[0].offset, (uintptr_t)code + 8);
	assert_int_equal(frames[0].function_start, (uintptr_t)code);
	assert_string_equal(frames[1].text, "LazyCompile:*work app.js:7");
	assert_string_equal(frames[2].text, "[anon]+0x80");
	munmap(code, 4096);
}

static void build_pair(void)
{
	FILE *f = fopen(in_work_dir("a.c"), "we");

	fputs("int hidden(int x) { return x * 3; }\nint main(int n, char **v) { return hidden(n); "
	      "}\n",
	      f);
	fclose(f);
	assert_true(
		run("cd '@' && gcc -O1 -g -Wl,--build-id -o one a.c && cp one two && "
		    "objcopy --only-keep-debug one one.debug && strip -o stripped one && "
		    "cp stripped stripped2 && cp one forged && "
		    "gcc -O1 -DX -Wl,--build-id=0x$(readelf -n one | sed -n 's/.*Build ID: //p') "
		    "-nostartfiles -shared -o forged a.c"));
}

static const char *hidden_of(struct object_cache *cache, const char *file, uint64_t offset)
{
	int fd = open(in_work_dir(file), O_RDONLY | O_CLOEXEC);

	return object_cache__function(
		cache, object_cache__add(cache, fd, in_work_dir(file), (uint32_t)getpid()), offset,
		NULL);
}

/* Where hidden() begins. */
static uint64_t hidden_offset(const char *file)
{
	FILE *nm = read_output("nm %s | grep ' T hidden$'", in_work_dir(file));
	uint64_t vaddr = 0;

	assert_int_equal(fscanf(nm, "%" SCNx64, &vaddr), 1);
	pclose(nm);
	return vaddr; /* the linker gives offsets and addresses of code the same value */
}

static void files_with_one_build_id_share_their_names(void **state)
{
	struct object_cache *cache = object_cache__new();
	const char *one;
	uint64_t offset;

	build_pair();
	offset = hidden_offset("one");
	/* The stripped one, which comes first, knows less. */
	assert_null(hidden_of(cache, "stripped", offset));
	one = hidden_of(cache, "one", offset);
	assert_non_null(one);
	assert_string_equal(one, "hidden");
	assert_ptr_equal(hidden_of(cache, "two", offset), one);
	/* The build-id of another program does not give its names away. */
	assert_ptr_not_equal(hidden_of(cache, "forged", hidden_offset("forged")), one);
	object_cache__free(cache);
}

static void debuginfod_is_asked_when_it_shall_be(void **state)
{
	struct object_cache *cache = object_cache__new();
	char urls[160];
	uint64_t offset;

	build_pair();
	offset = hidden_offset("one");
	unsetenv("DEBUGINFOD_URLS");
	assert_true(debuginfod__load() < 0);
	/* The library's own scheme for tests and mirrors: files laid out as its servers have them.
	 */
	assert_true(run("cd '@' && mkdir -p cache server/buildid/$(readelf -n one | "
			"sed -n 's/.*Build ID: //p') && for id in server/buildid/*; do cp "
			"one.debug $id/debuginfo; done"));
	snprintf(urls, sizeof(urls), "file://%s/server", work_dir);
	setenv("DEBUGINFOD_URLS", urls, 1);
	setenv("DEBUGINFOD_CACHE_PATH", in_work_dir("cache"), 1);
	assert_null(hidden_of(cache, "stripped", offset));
	if (debuginfod__load()) {
		object_cache__free(cache);
		skip(); /* libdebuginfod1 is not installed */
	}
	object_cache__want(cache, false, true);
	assert_string_equal(hidden_of(cache, "stripped2", offset), "hidden");
	object_cache__free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_frame_says_where_it_is, make, drop),
		cmocka_unit_test_setup_teardown(inlined_functions_are_entries_of_their_own, make,
						drop),
		cmocka_unit_test_setup_teardown(the_vdso_has_names, make, drop),
		cmocka_unit_test_setup_teardown(generated_code_has_the_name_that_its_maker_wrote,
						make, drop),
		cmocka_unit_test(files_with_one_build_id_share_their_names),
		cmocka_unit_test(debuginfod_is_asked_when_it_shall_be),
	};

	return cmocka_run_group_tests(tests, make_work_dir, remove_work_dir);
}
