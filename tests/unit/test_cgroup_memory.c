// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "census/cgroup_memory.h"
#include "cmd/cmd.h"
#include "cmd/explain_cgroup.h"
#include "output/bar.h"
#include "output/cgroup_report.h"
#include "output/table.h"

#include "cgroup_tree.h"

#define M    (1024 * 1024LL)
#define CPUS 2

/* As a kernel of version 2 (6.12) prints them, shortened. */
static const char stat_v2[] =
	"anon 104857600\nfile 83886080\nkernel 10485760\nkernel_stack 1048576\n"
	"pagetables 2097152\nsec_pagetables 4096\npercpu 524288\nsock 1048576\n"
	"vmalloc 0\nshmem 20971520\nzswap 0\nfile_mapped 31457280\n"
	"file_dirty 0\nswapcached 2097152\nanon_thp 0\ninactive_anon 0\n"
	"inactive_file 16777216\nactive_file 33554432\n"
	"slab_reclaimable 1\nslab_unreclaimable 1\nslab 4194304\n";

static void version_2_is_read(void **state)
{
	struct cgroup_stat stat;
	char dir[PATH_MAX];

	tree__make(dir);
	tree__put(dir, "memory.stat", stat_v2);
	tree__put(dir, "memory.current", "209715200\n");
	tree__put(dir, "memory.peak", "262144000\n");
	tree__put(dir, "memory.swap.current", "4096\n");
	tree__put(dir, "memory.events", "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\n");
	cgroup_stat__read(dir, 2, &stat);
	assert_int_equal(stat.usage, 200 * M);
	assert_int_equal(stat.peak, 250 * M);
	assert_int_equal(stat.anon, 100 * M);
	/* "file" has shmem and the swap cache in it. */
	assert_int_equal(stat.file, 80 * M - 20 * M - 2 * M);
	assert_int_equal(stat.shmem, 20 * M);
	assert_int_equal(stat.mapped, 30 * M);
	assert_int_equal(stat.kernel, 10 * M);
	assert_int_equal(stat.sockets, M);
	assert_int_equal(stat.hugetlb, 0);
	assert_int_equal(stat.swap, 4096);
	assert_int_equal(stat.page_tables, 2 * M + 4096);
	assert_int_equal(stat.inactive_file, 16 * M);
	assert_int_equal(stat.limit_hits, 12);
	assert_int_equal(stat.oom_kills, 2);
	assert_false(stat.flat);

	/* Before 5.18 the kernel's part is told in pieces; the swap cache since 5.13. */
	tree__put(dir, "memory.stat",
		  "anon 0\nfile 100\nkernel_stack 1\npercpu 2\nsock 4\nshmem 50\nfile_mapped 0\n"
		  "slab 16\nslab_reclaimable 32\n");
	cgroup_stat__read(dir, 2, &stat);
	assert_int_equal(stat.kernel, 1 + 2 + 16);
	assert_int_equal(stat.file, 50);
	tree__remove(dir);
}

static void version_1_is_read(void **state)
{
	struct cgroup_stat stat;
	char dir[PATH_MAX];

	tree__make(dir);
	tree__put(dir, "memory.stat",
		  "cache 1\nrss 2\nshmem 3\nmapped_file 4\nswap 5\nswapcached 6\ninactive_file 7\n"
		  "hierarchical_memory_limit 1\ntotal_cache 83886080\ntotal_rss 104857600\n"
		  "total_shmem 20971520\ntotal_mapped_file 31457280\ntotal_swap 4096\n"
		  "total_swapcached 2097152\ntotal_inactive_file 16777216\n");
	tree__put(dir, "memory.usage_in_bytes", "209715200\n");
	tree__put(dir, "memory.max_usage_in_bytes", "262144000\n");
	tree__put(dir, "memory.kmem.usage_in_bytes", "10485760\n");
	tree__put(dir, "memory.failcnt", "12\n");
	tree__put(dir, "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n");
	tree__put(dir, "memory.use_hierarchy", "1\n");
	cgroup_stat__read(dir, 1, &stat);
	assert_int_equal(stat.usage, 200 * M);
	assert_int_equal(stat.peak, 250 * M);
	assert_int_equal(stat.anon, 100 * M);
	assert_int_equal(stat.file, 58 * M);
	assert_int_equal(stat.shmem, 20 * M);
	assert_int_equal(stat.mapped, 30 * M);
	assert_int_equal(stat.kernel, 10 * M);
	assert_int_equal(stat.sockets, 0);
	assert_int_equal(stat.swap, 4096);
	assert_int_equal(stat.slab, -1);
	assert_int_equal(stat.limit_hits, 12);
	assert_int_equal(stat.oom_kills, 2);
	assert_false(stat.flat);
	tree__put(dir, "memory.use_hierarchy", "0\n");
	cgroup_stat__read(dir, 1, &stat);
	assert_true(stat.flat);
	tree__remove(dir);
}

static void what_cannot_be_read_is_unknown(void **state)
{
	char dir[PATH_MAX], *huge = malloc(1 << 20);
	struct cgroup_memory memory = {0};

	tree__make(dir);
	memset(huge, 'x', (1 << 20) - 1);
	huge[(1 << 20) - 1] = '\0';
	for (int version = 1; version <= 2; version++) {
		cgroup_stat__read("/nowhere", version, &memory.stat);
		assert_int_equal(memory.stat.usage, -1);
		assert_int_equal(memory.stat.anon, -1);
		tree__put(dir, "memory.stat", huge);
		cgroup_stat__read(dir, version, &memory.stat);
		assert_int_equal(memory.stat.file, -1);
		/* Sums of nonsense do not overflow, and are not believed. */
		tree__put(dir, "memory.stat",
			  "anon 9223372036854775807\nfile 9223372036854775807\n"
			  "shmem 9223372036854775807\nkernel_stack 9223372036854775807\n"
			  "slab 9223372036854775807\nrss 9223372036854775807\n"
			  "cache 9223372036854775807\nfile_mapped 9223372036854775807\n"
			  "pagetables 9223372036854775807\nsec_pagetables 9223372036854775807\n");
		cgroup_stat__read(dir, version, &memory.stat);
		assert_int_equal(memory.stat.anon, -1);
		assert_int_equal(memory.stat.shmem, -1);
		assert_int_equal(memory.stat.kernel, -1);
		cgroup_memory__derive(&memory, CPUS);
		assert_false(memory.has_difference);
		assert_int_equal(memory.cache, -1);
	}
	free(huge);
	tree__remove(dir);
}

static const char rollup[] = "55c5fc777000-7ffed916e000 ---p 00000000 00:00 0   [rollup]\n"
			     "Rss:                1756 kB\nPss:                 250 kB\n"
			     "Pss_Dirty:           116 kB\nPss_Anon:            116 kB\n"
			     "Pss_File:            130 kB\nPss_Shmem:             4 kB\n"
			     "Swap:                 16 kB\nSwapPss:               8 kB\n";

static void a_process_is_read_by_pss(void **state)
{
	struct cgroup_process process;

	assert_int_equal(cgroup_process__parse(rollup, &process), 0);
	assert_int_equal(process.rss, 1756 * 1024);
	assert_int_equal(process.pss, 250 * 1024);
	assert_int_equal(process.pss_anon, 116 * 1024);
	assert_int_equal(process.pss_shmem, 4 * 1024);
	assert_int_equal(process.swap, 8 * 1024);
	assert_int_equal(cgroup_process__parse("Rss: 4 kB\nPss: 2 kB\n", &process), 0);
	assert_int_equal(process.pss_anon, -1);
	assert_int_equal(cgroup_process__parse("", &process), -EINVAL);
	assert_int_equal(cgroup_process__parse("Rss: 4 kB\n", &process), -EINVAL);
	assert_int_equal(cgroup_process__parse("Rss: x kB\nPss: 2 kB\n", &process), -EINVAL);
	assert_int_equal(cgroup_process__parse("Rss: 99999999999999999 kB\nPss: 2 kB\n", &process),
			 -EINVAL);
}

/* 200 MB: 100 anonymous, 58 file and 20 shmem of which 30 are mapped, 10 kernel, 1 socket, and 11
 * that no counter has; two processes, and a third in the memory of the first. */
static void fill(struct cgroup_memory *memory)
{
	static const struct cgroup_process processes[] = {
		{.pid = 11,
		 .comm = "redis\x1b[31m",
		 .rss = 90 * M,
		 .pss = 80 * M,
		 .pss_anon = 60 * M,
		 .pss_shmem = 8 * M},
		{.pid = 13,
		 .comm = "child",
		 .rss = 90 * M,
		 .pss = 80 * M,
		 .pss_anon = 60 * M,
		 .pss_shmem = 8 * M,
		 .shares_with = 11},
		{.pid = 12,
		 .comm = "web",
		 .rss = 50 * M,
		 .pss = 45 * M,
		 .pss_anon = 35 * M,
		 .swap = M},
	};

	*memory = (struct cgroup_memory){
		.facts = {.path = strdup("/a/b\x1b[2J"),
			  .version = 2,
			  .limit_bytes = 400 * M,
			  .limit_path = strdup("/a"),
			  .usage_bytes = 200 * M,
			  .high_bytes = -1,
			  .cpu_quota = 1.5},
		.stat = {.usage = 200 * M,
			 .peak = -1,
			 .anon = 100 * M,
			 .file = 58 * M,
			 .shmem = 20 * M,
			 .mapped = 30 * M,
			 .kernel = 10 * M,
			 .sockets = M,
			 .swap = M,
			 .slab = -1,
			 .page_tables = -1,
			 .kernel_stack = -1,
			 .percpu = -1,
			 .inactive_file = 16 * M,
			 .limit_hits = 1234,
			 .oom_kills = 1},
		.process_count = 3,
		.readings = 1,
		.steady = true,
	};
	memory->processes = malloc(sizeof(processes));
	memcpy(memory->processes, processes, sizeof(processes));
	cgroup_memory__derive(memory, CPUS);
}

static void the_parts_add_up_to_usage(void **state)
{
	struct cgroup_memory memory;

	fill(&memory);
	assert_int_equal(memory.pss_sum, 125 * M); /* the child once */
	assert_int_equal(memory.rss_sum, 140 * M);
	assert_int_equal(memory.swap_sum, M);
	assert_int_equal(memory.tmpfs, 20 * M - 8 * M);
	assert_int_equal(memory.cache, 58 * M - (30 * M - 8 * M));
	assert_true(memory.has_difference);
	assert_int_equal(memory.anon_difference, 5 * M);
	assert_int_equal(memory.mapped_difference, 30 * M - 30 * M);
	assert_int_equal(memory.rest, 11 * M);
	assert_int_equal((int64_t)memory.pss_sum + memory.cache + memory.tmpfs +
				 memory.stat.kernel + memory.stat.sockets + memory.difference,
			 memory.stat.usage);
	/* 11 of 200 MB without a counter is more than counters on their way. */
	assert_true(memory.parts_check.done);
	assert_false(memory.parts_check.ok);
	memory.stat.usage = 190 * M;
	cgroup_memory__derive(&memory, CPUS);
	assert_true(memory.parts_check.ok);

	/* More mapped than there is (not of one instant): the sum holds. */
	memory.stat.mapped = 90 * M;
	cgroup_memory__derive(&memory, CPUS);
	assert_int_equal(memory.cache, 0);
	assert_int_equal(memory.tmpfs, 0);
	assert_int_equal((int64_t)memory.pss_sum + memory.stat.kernel + memory.stat.sockets +
				 memory.difference,
			 memory.stat.usage);

	/* Processes missing: what they have is in no part, and is no difference. */
	memory.unread_count = 1;
	cgroup_memory__derive(&memory, CPUS);
	assert_false(memory.has_difference);
	memory.unread_count = 0;
	memory.processes[0].pss_anon = -1;
	cgroup_memory__derive(&memory, CPUS);
	assert_false(memory.has_difference);
	cgroup_memory__free(&memory);
}

static char *text_in(const struct cgroup_memory *memory, const struct text_options *options)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(cgroup_text__write(out, memory, options), 0);
	fclose(out);
	return text;
}

static char *text_of(const struct cgroup_memory *memory)
{
	const struct text_options options = {.utf8 = true};

	return text_in(memory, &options);
}

static void expect_narrow_and_printable(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");
		char line[1024];

		assert_true(len < sizeof(line));
		snprintf(line, sizeof(line), "%.*s", (int)len, text);
		assert_true(text_columns(line) <= REPORT_COLUMNS);
		assert_null(strchr(line, '\033'));
		text += len + (text[len] == '\n');
	}
}

static void the_text_says_what_holds_it(void **state)
{
	struct cgroup_memory memory;
	char *text;

	fill(&memory);
	text = text_of(&memory);
	expect_narrow_and_printable(text);
	assert_non_null(strstr(text, "control group /a/b\\x1b[2J"));
	assert_non_null(strstr(text, "200.0 MB of 400.0 MB (50.0 %)"));
	assert_non_null(strstr(text, "62.5 % is in its 3 processes, 80.0 MB of it in redis"));
	assert_non_null(strstr(text, "The limit of 400.0 MB is that of /a, above it."));
	assert_non_null(strstr(text, "quota is 1.5 CPUs"));
	assert_non_null(strstr(text, "hit 1,234 times"));
	assert_non_null(strstr(text, "runs in the memory of pid 11"));
	/* Notes are whole. */
	assert_null(strstr(text, "…"));
	assert_non_null(strstr(text, "by PSS; RSS adds up to "));
	assert_non_null(strstr(text, " of all is inactive\n"));
	assert_non_null(strstr(text, "+16.0 MB"));
	assert_non_null(strstr(text, "Not consistent: the kernel's counters add up to 189.0 MB"));
	free(text);

	/* No processes, nothing known: no crash, and no zeros for it. */
	memory.process_count = 0;
	memory.stat = (struct cgroup_stat){
		.usage = -1, .anon = -1, .file = -1, .kernel = -1, .inactive_file = -1};
	memory.facts.limit_bytes = -1;
	cgroup_memory__derive(&memory, CPUS);
	text = text_of(&memory);
	assert_non_null(strstr(text, "usage unknown"));
	assert_null(strstr(text, "page cache"));
	free(text);
	cgroup_memory__free(&memory);
}

static void a_long_name_is_cut_to_its_end(void **state)
{
	struct cgroup_memory memory;
	char *text, path[2000];

	fill(&memory);
	free(memory.facts.path);
	free(memory.facts.limit_path);
	path[0] = '\0';
	for (int i = 0; i < 300; i++)
		strcat(path, "/b\u00fc");
	strcat(path, "/last.service");
	memory.facts.path = strdup(path);
	memory.facts.limit_path = strndup(path, strlen(path) - strlen("/last.service"));
	text = text_of(&memory);
	expect_narrow_and_printable(text);
	assert_memory_equal(text, "control group …", strlen("control group …"));
	assert_non_null(strstr(text, "/last.service  200.0 MB of 400.0 MB"));
	free(text);
	/* Of a terminal that knows no UTF-8 nothing else is printed. */
	text = text_in(&memory, &(const struct text_options){.columns = 80});
	for (const char *at = text; *at; at++)
		assert_true((unsigned char)*at < 0x80);
	free(text);
	cgroup_memory__free(&memory);
}

static void the_json_has_null_for_unknown(void **state)
{
	struct cgroup_memory memory;
	json_t *root, *part;
	size_t i;
	json_int_t sum = 0;

	fill(&memory);
	root = cgroup_json__make(&memory);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "schema")),
			    "memdrift.explain-cgroup/1");
	assert_true(json_is_null(json_object_get(root, "peak_bytes")));
	json_array_foreach (json_object_get(root, "parts"), i, part)
		sum += json_integer_value(json_object_get(part, "bytes"));
	assert_int_equal(sum, 200 * M);
	assert_int_equal(json_array_size(json_object_get(root, "processes")), 3);
	json_decref(root);
	memory.unread_count = 1;
	cgroup_memory__derive(&memory, CPUS);
	root = cgroup_json__make(&memory);
	assert_true(json_is_null(json_object_get(root, "difference")));
	json_decref(root);
	cgroup_memory__free(&memory);
}

static void what_is_no_memory_group_is_refused(void **state)
{
	static const char *const paths[] = {
		"/no/such/group\x1b[31m", "/tmp", "../..", "/etc/passwd", "/../..",
		"no-such-group"};
	FILE *out = fopen("/dev/null", "w");

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		assert_int_equal(explain_cgroup(paths[i], false, out), EXIT_FAILED);
	fclose(out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(version_2_is_read),
		cmocka_unit_test(version_1_is_read),
		cmocka_unit_test(what_cannot_be_read_is_unknown),
		cmocka_unit_test(a_process_is_read_by_pss),
		cmocka_unit_test(the_parts_add_up_to_usage),
		cmocka_unit_test(the_text_says_what_holds_it),
		cmocka_unit_test(a_long_name_is_cut_to_its_end),
		cmocka_unit_test(the_json_has_null_for_unknown),
		cmocka_unit_test(what_is_no_memory_group_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
