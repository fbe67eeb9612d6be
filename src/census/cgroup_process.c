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
#include "base/log.h"
#include "census/cgroup.h"
#include "census/host.h"
#include "census/proc_file.h"

/* A process that shares its memory shares it with its parent as a rule, or with a brother whose
 * parent has ended: of these so many are asked. */
#define BROTHERS_MAX 8

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

/* Where its stack began (field 28 of /proc/PID/stat): the same in all that were forked, not
 * executed, from one process. 0: unknown. */
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
	*out = (struct cgroup_process){
		.pid = pid,
		.ppid = stat.ppid,
		.stack_address = start_of_stack(tid),
	};
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

/*
 * Two processes with one memory. A kernel without kcmp (its CONFIG_KCMP; Debian's cloud kernels)
 * tells it by a page of the stack that both have and that is mapped but once (pagemap bit 56, since
 * 77bb499bb60f; the page's number needs CAP_SYS_ADMIN). Not known is no.
 */
static bool is_same_memory(const struct cgroup_process *a, const struct cgroup_process *b)
{
	const uint64_t once = PAGE_PRESENT | PAGE_EXCLUSIVE;
	long order;
	uint64_t entry;

	if (!a->stack_address || a->stack_address != b->stack_address)
		return false;
	order = syscall(SYS_kcmp, a->pid, b->pid, KCMP_VM, 0, 0);
	if (order >= 0)
		return order == 0;
	entry = page_entry(a->pid, a->stack_address);
	return (entry & once) == once && (entry & PAGE_NUMBER) &&
	       entry == page_entry(b->pid, b->stack_address);
}

static int compare_families(const void *left, const void *right)
{
	const struct cgroup_process *a = left, *b = right;

	if (a->stack_address != b->stack_address)
		return a->stack_address < b->stack_address ? -1 : 1;
	return (a->pid > b->pid) - (a->pid < b->pid);
}

static const struct cgroup_process *find_parent(const struct cgroup_memory *memory,
						const struct cgroup_process *process)
{
	const struct cgroup_process key = {.pid = process->ppid,
					   .stack_address = process->stack_address};

	return bsearch(&key, memory->processes, memory->process_count, sizeof(key),
		       compare_families);
}

/* The first of those that share its memory: owners[i] is i for the first, else one before. */
static size_t first_owner(const size_t *owners, size_t i)
{
	while (owners[i] != i)
		i = owners[i];
	return i;
}

static bool join(const struct cgroup_memory *memory, size_t *owners, size_t i, size_t j)
{
	size_t a, b;

	if (!is_same_memory(&memory->processes[i], &memory->processes[j]))
		return false;
	a = first_owner(owners, i);
	b = first_owner(owners, j);
	owners[a > b ? a : b] = a < b ? a : b;
	return true;
}

/* Process i with its parent, or a brother before it. */
static void join_relatives(const struct cgroup_memory *memory, size_t *owners, size_t i)
{
	const struct cgroup_process *parent = find_parent(memory, &memory->processes[i]);
	size_t first = i > BROTHERS_MAX ? i - BROTHERS_MAX : 0;

	if (parent && join(memory, owners, i, (size_t)(parent - memory->processes)))
		return;
	for (size_t j = i; j-- > first;) {
		if (join(memory, owners, i, j))
			return;
	}
}

/*
 * A child of vfork runs in its parent's memory and has its figures, but for what others do with
 * pages that all share: it is not counted again.
 */
static int find_shared(struct cgroup_memory *memory)
{
	size_t n = memory->process_count;
	size_t *owners = calloc(n + 1, sizeof(*owners));

	if (!owners)
		return -ENOMEM;
	if (n)
		qsort(memory->processes, n, sizeof(*memory->processes), compare_families);
	for (size_t i = 0; i < n; i++)
		owners[i] = i;
	for (size_t i = 0; i < n; i++)
		join_relatives(memory, owners, i);
	for (size_t i = 0; i < n; i++) {
		size_t owner = first_owner(owners, i);

		memory->processes[i].shares_with = owner == i ? 0 : memory->processes[owner].pid;
	}
	free(owners);
	return 0;
}

int cgroup_processes__read(const char *dir, struct cgroup_memory *memory)
{
	struct process_reader reader = {.memory = memory,
					.deadline_ns = monotonic_ns() + CGROUP_MEMORY_NS_MAX};
	int err = memory->stat.flat ? cgroup__each_own_process(dir, add_process, &reader)
				    : cgroup__each_process(dir, add_process, &reader);

	if (err)
		return err;
	err = find_shared(memory);
	if (err) {
		log_error("cannot explain the control group: %s", strerror(-err));
		return err;
	}
	if (memory->process_count)
		qsort(memory->processes, memory->process_count, sizeof(*memory->processes),
		      compare_processes);
	return 0;
}
