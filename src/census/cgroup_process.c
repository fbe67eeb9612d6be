// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "census/cgroup.h"
#include "census/host.h"
#include "census/proc_file.h"

/* Processes with the very same figures that are asked whether they share their memory. */
#define SAME_FIGURES_MAX 8

/* Entries of /proc/PID/pagemap (Documentation/admin-guide/mm/pagemap.rst). */
#define PAGE_PRESENT   (1ull << 63)
#define PAGE_EXCLUSIVE (1ull << 56)
#define PAGE_NUMBER    ((1ull << 55) - 1)

/* No process has 64 TiB; sums over all of them then stay far from the ends of 64 bits. */
#define PROCESS_BYTES_MAX (1ull << 46)

/* "Pss:   116 kB" at the start of a line, in bytes; -1. */
static int64_t rollup_value(const char *text, const char *key)
{
	size_t len = strlen(key);

	for (const char *line = text; *line; line += strspn(line, "\n")) {
		uint64_t kb;

		if (strncmp(line, key, len) == 0 && line[len] == ':') {
			if (sscanf(line + len + 1, "%" SCNu64 " kB", &kb) != 1 ||
			    kb > PROCESS_BYTES_MAX / 1024)
				return -1;
			return (int64_t)(kb * 1024);
		}
		line += strcspn(line, "\n");
	}
	return -1;
}

int cgroup_process__parse(const char *smaps_rollup, struct cgroup_process *out)
{
	int64_t rss = rollup_value(smaps_rollup, "Rss");
	int64_t pss = rollup_value(smaps_rollup, "Pss");
	int64_t swap = rollup_value(smaps_rollup, "SwapPss");

	if (rss < 0 || pss < 0)
		return -EINVAL;
	out->rss = (uint64_t)rss;
	out->pss = (uint64_t)pss;
	out->swap = swap < 0 ? 0 : (uint64_t)swap;
	out->pss_anon = rollup_value(smaps_rollup, "Pss_Anon");
	out->pss_shmem = rollup_value(smaps_rollup, "Pss_Shmem");
	return 0;
}

/* 0, -ENOENT for one without memory (a kernel thread, a zombie), or a negative errno. */
static int read_process(uint32_t pid, struct cgroup_process *out)
{
	struct proc_stat stat;
	char text[4096];
	uint32_t tid;
	ssize_t n;
	int err = proc_stat__read(pid, &stat);

	if (!err)
		err = proc_memory_tid(pid, &tid);
	if (err)
		return err;
	n = proc_file__read(tid, "smaps_rollup", text, sizeof(text));
	if (n <= 0)
		return n ? (int)n : -ENOENT;
	*out = (struct cgroup_process){.pid = pid};
	memcpy(out->comm, stat.comm, sizeof(out->comm));
	return cgroup_process__parse(text, out);
}

struct process_reader {
	struct cgroup_memory *memory;
	size_t room;
	uint64_t deadline_ns;
};

static void note_unread(struct cgroup_memory *memory, int err)
{
	memory->unread_count++;
	memory->unread_err = err;
}

static int add_process(void *ctx, uint32_t pid)
{
	struct process_reader *reader = ctx;
	struct cgroup_memory *memory = reader->memory;
	struct cgroup_process process;
	int err;

	if (memory->process_count >= CGROUP_MEMORY_PROCESSES_MAX ||
	    monotonic_ns() > reader->deadline_ns) {
		note_unread(memory, -ETIME);
		return 0;
	}
	err = read_process(pid, &process);
	if (err == -ESRCH || err == -ENOENT)
		return 0;
	if (err) {
		note_unread(memory, err);
		return 0;
	}
	if (memory->process_count == reader->room) {
		size_t room = reader->room ? 2 * reader->room : 64;
		struct cgroup_process *bigger =
			reallocarray(memory->processes, room, sizeof(*bigger));

		if (!bigger) {
			note_unread(memory, -ENOMEM);
			return 0;
		}
		memory->processes = bigger;
		reader->room = room;
	}
	memory->processes[memory->process_count++] = process;
	return 0;
}

static int compare_processes(const void *left, const void *right)
{
	const struct cgroup_process *a = left, *b = right;

	if (a->pss != b->pss)
		return a->pss < b->pss ? 1 : -1;
	return (a->pid > b->pid) - (a->pid < b->pid);
}

/* What the page table of a process has at an address: an entry of its pagemap; 0. */
static uint64_t page_entry(uint32_t pid, uint64_t address)
{
	int fd = proc_file__open(pid, "pagemap", O_RDONLY);
	uint64_t entry = 0;

	if (fd < 0)
		return 0;
	if (pread_fully(fd, &entry, sizeof(entry),
			(off_t)(address / host__page_bytes() * sizeof(entry))) != sizeof(entry))
		entry = 0;
	close(fd);
	return entry;
}

/* An address that every program has touched: where its stack began (field 28 of /proc/PID/stat). */
static uint64_t start_of_stack(uint32_t pid)
{
	char text[2048];
	uint64_t address = 0;
	const char *p;

	if (proc_file__read(pid, "stat", text, sizeof(text)) <= 0)
		return 0;
	p = strrchr(text, ')');
	for (int field = 3; p && field <= 28; field++)
		p = strchr(p + 1, ' ');
	if (p)
		address = strtoull(p, NULL, 10);
	return address;
}

/*
 * Two processes with one memory. A kernel without kcmp (its CONFIG_KCMP; Debian's cloud kernels)
 * tells it by a page of the stack that both have and that is mapped but once (pagemap bit 56, since
 * 77bb499bb60f; the page's number needs CAP_SYS_ADMIN). Not known is no.
 */
static bool is_same_memory(uint32_t a, uint32_t b)
{
	const uint64_t once = PAGE_PRESENT | PAGE_EXCLUSIVE;
	long order = syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0);
	uint64_t address, entry;

	if (order >= 0)
		return order == 0;
	address = start_of_stack(a);
	if (!address || address != start_of_stack(b))
		return false;
	entry = page_entry(a, address);
	return (entry & once) == once && (entry & PAGE_NUMBER) && entry == page_entry(b, address);
}

/* A child of vfork runs in its parent's memory and has its figures: it is not counted again. */
static void find_shared(struct cgroup_memory *memory)
{
	for (size_t i = 1; i < memory->process_count; i++) {
		struct cgroup_process *process = &memory->processes[i];
		size_t first = i > SAME_FIGURES_MAX ? i - SAME_FIGURES_MAX : 0;

		for (size_t j = i; j-- > first && !process->shares_with;) {
			const struct cgroup_process *other = &memory->processes[j];

			if (other->pss != process->pss || other->rss != process->rss)
				break;
			if (is_same_memory(other->pid, process->pid))
				process->shares_with =
					other->shares_with ? other->shares_with : other->pid;
		}
	}
}

int cgroup_processes__read(const char *dir, struct cgroup_memory *memory)
{
	struct process_reader reader = {.memory = memory,
					.deadline_ns = monotonic_ns() + CGROUP_MEMORY_NS_MAX};
	int err = memory->stat.flat ? cgroup__each_own_process(dir, add_process, &reader)
				    : cgroup__each_process(dir, add_process, &reader);

	if (err)
		return err;
	if (memory->process_count)
		qsort(memory->processes, memory->process_count, sizeof(*memory->processes),
		      compare_processes);
	find_shared(memory);
	return 0;
}
