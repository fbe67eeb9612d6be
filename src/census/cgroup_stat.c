// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_memory.h"

#include <stdio.h>
#include <string.h>

#include "census/cgroup_file.h"

/* No host has 2^56 bytes: nonsense is unknown, and sums stay far from the ends of 64 bits. */
#define BYTES_MAX (1ll << 56)

/* Known values only; less than nothing is nothing: the two are not read at one instant. */
static int64_t less(int64_t value, int64_t part)
{
	if (value < 0 || part < 0)
		return value;
	return value > part ? value - part : 0;
}

static int64_t add_known(int64_t sum, int64_t part)
{
	if (part < 0)
		return sum;
	/* Nonsense (see BYTES_MAX) must not overflow before it is dropped. */
	if (part > BYTES_MAX || sum > BYTES_MAX)
		return CGROUP_NO_LIMIT;
	return sum < 0 ? part : sum + part;
}

/* Of the group with those below it. */
static int64_t total(const char *text, const char *key)
{
	char name[64];
	int64_t value;

	snprintf(name, sizeof(name), "total_%s", key);
	value = cgroup_text__value(text, name);
	return value < 0 ? cgroup_text__value(text, key) : value;
}

/*
 * Version 1 (mm/memcontrol-v1.c, memcg1_stat_format): "cache" is NR_FILE_PAGES, which has shmem and
 * the swap cache in it; "rss" is anonymous memory that is mapped. Kernel memory has a counter of
 * its own, and TCP's buffers another that usage does not include.
 */
static void read_v1(const char *dir, const char *text, struct cgroup_stat *out)
{
	char control[256];
	int64_t cache = total(text, "cache");

	out->usage = cgroup_file__bytes(dir, "memory.usage_in_bytes");
	out->peak = cgroup_file__bytes(dir, "memory.max_usage_in_bytes");
	out->anon = total(text, "rss");
	out->shmem = total(text, "shmem");
	out->file = less(less(cache, out->shmem), total(text, "swapcached"));
	out->mapped = total(text, "mapped_file");
	out->inactive_file = total(text, "inactive_file");
	out->swap = total(text, "swap");
	out->kernel = cgroup_file__bytes(dir, "memory.kmem.usage_in_bytes");
	out->sockets = 0;
	out->hugetlb = 0;
	out->limit_hits = cgroup_file__bytes(dir, "memory.failcnt");
	if (cgroup_file__read(dir, "memory.oom_control", control, sizeof(control)) > 0)
		out->oom_kills = cgroup_text__value(control, "oom_kill");
	out->flat = cgroup_file__bytes(dir, "memory.use_hierarchy") == 0;
}

/* Before "kernel" (5.18, a8c49af3be5f) its parts are there alone. */
static int64_t kernel_parts(const char *text)
{
	static const char *const parts[] = {"kernel_stack", "pagetables", "sec_pagetables",
					    "percpu",       "vmalloc",    "slab"};
	int64_t sum = -1;

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
		sum = add_known(sum, cgroup_text__value(text, parts[i]));
	return sum;
}

/* Version 2 (mm/memcontrol.c, memory_stats): "file" has shmem and the swap cache in it; zswap's
 * memory is in "kernel" already. */
static void read_v2(const char *dir, const char *text, struct cgroup_stat *out)
{
	char events[512];

	out->usage = cgroup_file__bytes(dir, "memory.current");
	out->peak = cgroup_file__bytes(dir, "memory.peak");
	out->anon = cgroup_text__value(text, "anon");
	out->shmem = cgroup_text__value(text, "shmem");
	out->file = less(less(cgroup_text__value(text, "file"), out->shmem),
			 cgroup_text__value(text, "swapcached"));
	out->mapped = cgroup_text__value(text, "file_mapped");
	out->inactive_file = cgroup_text__value(text, "inactive_file");
	out->kernel = cgroup_text__value(text, "kernel");
	if (out->kernel < 0)
		out->kernel = kernel_parts(text);
	out->sockets = cgroup_text__value(text, "sock");
	out->hugetlb = add_known(0, cgroup_text__value(text, "hugetlb"));
	out->slab = cgroup_text__value(text, "slab");
	out->page_tables = add_known(cgroup_text__value(text, "pagetables"),
				     cgroup_text__value(text, "sec_pagetables"));
	out->kernel_stack = cgroup_text__value(text, "kernel_stack");
	out->percpu = cgroup_text__value(text, "percpu");
	out->swap = cgroup_file__bytes(dir, "memory.swap.current");
	if (cgroup_file__read(dir, "memory.events", events, sizeof(events)) > 0) {
		out->limit_hits = cgroup_text__value(events, "max");
		out->oom_kills = cgroup_text__value(events, "oom_kill");
	}
}

static void drop_nonsense(struct cgroup_stat *out)
{
	int64_t *const values[] = {
		&out->usage,        &out->peak,   &out->anon,          &out->file,
		&out->shmem,        &out->mapped, &out->kernel,        &out->sockets,
		&out->hugetlb,      &out->swap,   &out->slab,          &out->page_tables,
		&out->kernel_stack, &out->percpu, &out->inactive_file,
	};

	for (size_t i = 0; i < sizeof(values) / sizeof(*values); i++) {
		if (*values[i] > BYTES_MAX)
			*values[i] = -1;
	}
}

void cgroup_stat__read(const char *dir, int version, struct cgroup_stat *out)
{
	char text[CGROUP_TEXT_MAX];

	*out = (struct cgroup_stat){
		.usage = -1,
		.peak = -1,
		.anon = -1,
		.file = -1,
		.shmem = -1,
		.mapped = -1,
		.kernel = -1,
		.sockets = -1,
		.hugetlb = -1,
		.swap = -1,
		.slab = -1,
		.page_tables = -1,
		.kernel_stack = -1,
		.percpu = -1,
		.inactive_file = -1,
		.limit_hits = -1,
		.oom_kills = -1,
	};
	cgroup_file__read(dir, "memory.stat", text, sizeof(text));
	if (version == 1)
		read_v1(dir, text, out);
	else
		read_v2(dir, text, out);
	drop_nonsense(out);
}
