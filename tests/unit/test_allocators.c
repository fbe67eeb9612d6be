// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Allocators of programs that stand still, read from outside, against what they say themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "allocator_target.h"

#define LIBRARIES "/usr/lib/x86_64-linux-gnu/"

/* Within so many thousandths of what was told. */
static void expect_near(const char *what, uint64_t found, uint64_t told, uint64_t thousandths)
{
	uint64_t apart = found > told ? found - told : told - found;

	print_message("%s: %llu, by itself %llu (%+.3f %%)\n", what, (unsigned long long)found,
		      (unsigned long long)told,
		      told ? 100.0 * ((double)found - (double)told) / (double)told : 0.0);
	if (apart * 1000 > told * thousandths)
		fail_msg("%s: %llu, by itself %llu", what, (unsigned long long)found,
			 (unsigned long long)told);
}

/* The program of tests/targets, on an allocator; skips when there is no such thing here. */
static void start_heap(struct target *target, const char *name, const char *preload)
{
	char path[PATH_MAX], preloaded[PATH_MAX];
	char *argv[] = {path, "--threads", "4", "--blocks", "5000", NULL};

	snprintf(preloaded, sizeof(preloaded), "%s%s", LIBRARIES, preload ? preload : "");
	if (!target_path(name, path) || (preload && access(preloaded, R_OK)))
		skip();
	assert_true(target__start(target, argv, preload ? preloaded : NULL));
	target__read(target);
	assert_int_equal(target->err, 0);
}

static void expect_owner(const struct target *target, enum ledger_component component)
{
	uint64_t claimed = target__claimed(target, component);
	uint64_t anonymous = target__anonymous(target);

	print_message("%s: %.2f %% of %llu kB anonymous\n", ledger_component__name(component),
		      100.0 * (double)claimed / (double)anonymous,
		      (unsigned long long)anonymous / 1024);
	assert_true(claimed * 1000 >= anonymous * 985);
}

static void expect_jemalloc(const struct target *target)
{
	const struct jemalloc_facts *facts = &target->found.jemalloc;

	assert_true(target->found.has_jemalloc);
	assert_string_equal(facts->layout, "5.3");
	assert_true(facts->extents_in_mappings.done && facts->extents_in_mappings.ok);
	expect_near("active", facts->active_bytes, target__told(target, "active"), 1);
	expect_near("allocated", facts->allocated_bytes, target__told(target, "allocated"), 5);
	expect_near("retained", facts->retained_bytes, target__told(target, "retained"), 1);
	print_message("dirty %llu muzzy %llu metadata %llu; resident %llu mapped %llu\n",
		      (unsigned long long)facts->dirty_bytes,
		      (unsigned long long)facts->muzzy_bytes,
		      (unsigned long long)facts->metadata_bytes,
		      (unsigned long long)target__told(target, "resident"),
		      (unsigned long long)target__told(target, "mapped"));
	expect_owner(target, LEDGER_JEMALLOC);
}

static void test_jemalloc(void **state)
{
	struct target target;

	start_heap(&target, "allocator_heap", "libjemalloc.so.2");
	expect_jemalloc(&target);
	target__end(&target);
}

static void test_jemalloc_static(void **state)
{
	struct target target;

	start_heap(&target, "allocator_heap_jemalloc", NULL);
	expect_jemalloc(&target);
	target__end(&target);
}

static const struct allocator_facts *find_facts(const struct target *target, const char *name)
{
	for (size_t i = 0; i < target->found.other_count; i++)
		if (!strcmp(target->found.others[i].name, name))
			return &target->found.others[i];
	return NULL;
}

static void test_tcmalloc(void **state)
{
	const struct allocator_facts *facts;
	struct target target;

	start_heap(&target, "allocator_heap", "libtcmalloc_minimal.so.4");
	facts = find_facts(&target, "tcmalloc");
	assert_non_null(facts);
	assert_true(facts->bytes == target__told(&target, "generic.heap_size"));
	assert_true(facts->has_in_use);
	/* What lies in threads' caches, or on its way to them, was handed out. */
	expect_near("in use", facts->in_use_bytes,
		    target__told(&target, "generic.current_allocated_bytes") +
			    target__told(&target, "tcmalloc.thread_cache_free_bytes") +
			    target__told(&target, "tcmalloc.transfer_cache_free_bytes"),
		    5);
	expect_owner(&target, LEDGER_TCMALLOC);
	target__end(&target);
}

static void test_mimalloc(void **state)
{
	const struct allocator_facts *facts;
	struct target target;

	start_heap(&target, "allocator_heap", "libmimalloc.so.2.0");
	assert_string_equal(target.found.malloc_owner, "mimalloc");
	facts = find_facts(&target, "mimalloc");
	assert_non_null(facts);
	assert_true(facts->has_in_use);
	expect_near("in use", facts->in_use_bytes, target__told(&target, "usable_bytes"), 10);
	expect_owner(&target, LEDGER_MIMALLOC);
	target__end(&target);
}

static void expect_musl(const struct target *target)
{
	const struct allocator_facts *facts = find_facts(target, "musl");

	assert_string_equal(target->found.malloc_owner, "musl");
	assert_non_null(facts);
	print_message("%s %d", facts->how, facts->has_in_use);
	assert_true(facts->has_in_use);
	/* Slots are up to a quarter larger than what was asked for, and usable is what was asked.
	 */
	expect_near("in use", facts->in_use_bytes, target__told(target, "usable_bytes"), 120);
	expect_owner(target, LEDGER_MUSL);
}

static void test_musl(void **state)
{
	struct target target;

	start_heap(&target, "allocator_heap_musl", NULL);
	expect_musl(&target);
	target__end(&target);
}

static void test_musl_static(void **state)
{
	struct target target;

	start_heap(&target, "allocator_heap_musl_static", NULL);
	expect_musl(&target);
	target__end(&target);
}

/* Fills memory with small objects, frees half of them, and says what the interpreter counts. */
static const char python_program[] =
	"import os, re, sys, json\n"
	"keep = [(i, str(i), [i]) for i in range(150000)]\n"
	"del keep[::2]\n"
	"saved, log = os.dup(2), os.open('/tmp', os.O_TMPFILE | os.O_RDWR)\n"
	"text = bytearray(1 << 16)\n"
	"os.dup2(log, 2)\n"
	"sys._debugmallocstats()\n"
	"os.dup2(saved, 2)\n"
	"text = os.pread(log, 1 << 16, 0).decode()\n"
	"def told(what): return int(re.search(what + r' *= *([0-9,]+)', text)[1].replace(',', "
	"''))\n"
	"print('ready', os.getpid())\n"
	"print(json.dumps({'in_use': told('# bytes in allocated blocks'),\n"
	"  'arenas': int(re.search(r'([0-9,]+) arenas \\* ([0-9,]+) bytes/arena', text)[1]\n"
	"                .replace(',', '')),\n"
	"  'arena_bytes': told(r'[0-9,]+ arenas \\* [0-9,]+ bytes/arena')}), flush=True)\n"
	"sys.stdin.read()\n";

static void test_python(void **state)
{
	char *argv[] = {"python3", "-c", (char *)python_program, NULL};
	const struct allocator_facts *facts;
	struct target target;

	if (!target__start(&target, argv, NULL))
		skip();
	target__read(&target);
	assert_int_equal(target.err, 0);
	facts = find_facts(&target, "pymalloc");
	assert_non_null(facts);
	assert_true(facts->has_in_use);
	expect_near("arenas", facts->bytes, target__told(&target, "arena_bytes"), 0);
	expect_near("in use", facts->in_use_bytes, target__told(&target, "in_use"), 5);
	assert_string_equal(target.found.malloc_owner, "glibc");
	target__end(&target);
}

static const char node_program[] =
	"const v8 = require('v8'); const keep = [];\n"
	"for (let i = 0; i < 100000; i++) keep.push({i: i, s: 'x' + i, a: [i, i + 1]});\n"
	"for (let i = 0; i < 10; i++) keep.push(new Array(300000).fill(i));\n"
	"gc(); gc();\n"
	"console.log('ready', process.pid);\n"
	"console.log(JSON.stringify({heap: v8.getHeapStatistics().total_heap_size}));\n"
	"setInterval(() => keep.length, 1 << 30);\n";

static void test_node(void **state)
{
	char *argv[] = {"node", "--expose-gc", "-e", (char *)node_program, NULL};
	const struct allocator_facts *facts;
	struct target target;

	if (!target__start(&target, argv, NULL))
		skip();
	target__read(&target);
	assert_int_equal(target.err, 0);
	facts = find_facts(&target, "v8");
	assert_non_null(facts);
	expect_near("chunks", facts->bytes, target__told(&target, "heap"), 30);
	target__end(&target);
}

/* Started by the loader's path there is no list of objects to be found: of two mallocs nobody can
 * tell then which is called. What lies in memory is told all the same. */
static void test_by_loader(void **state)
{
	char path[PATH_MAX], library[] = LIBRARIES "libjemalloc.so.2";
	char *argv[] = {"/lib64/ld-linux-x86-64.so.2",
			"--preload",
			library,
			path,
			"--threads",
			"1",
			"--blocks",
			"1000",
			NULL};
	struct target target;

	if (!target_path("allocator_heap", path) || access(library, R_OK) || access(argv[0], X_OK))
		skip();
	assert_true(target__start(&target, argv, NULL));
	target__read(&target);
	assert_int_equal(target.err, 0);
	assert_string_equal(target.found.malloc_owner, "");
	assert_true(target.found.has_jemalloc);
	expect_near("active", target.found.jemalloc.active_bytes, target__told(&target, "active"),
		    1);
	target__end(&target);
}

static void test_glibc(void **state)
{
	struct target target;

	start_heap(&target, "allocator_heap", NULL);
	assert_false(target.found.has_jemalloc);
	assert_int_equal(target.claims.count, 0);
	target__end(&target);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_jemalloc),  cmocka_unit_test(test_jemalloc_static),
		cmocka_unit_test(test_tcmalloc),  cmocka_unit_test(test_mimalloc),
		cmocka_unit_test(test_musl),      cmocka_unit_test(test_musl_static),
		cmocka_unit_test(test_python),    cmocka_unit_test(test_node),
		cmocka_unit_test(test_by_loader), cmocka_unit_test(test_glibc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
