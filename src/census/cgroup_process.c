// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_process.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kcmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "census/cgroup.h"
#include "census/proc_file.h"

/* Processes with the very same figures that are asked whether they share their memory. */
#define SAME_FIGURES_MAX 8

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
			if (syscall(SYS_kcmp, other->pid, process->pid, KCMP_VM, 0, 0) == 0)
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
