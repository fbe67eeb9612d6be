// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/census_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "census/proc_file.h"
#include "census/proc_stat.h"
#include "golang/go_heap.h"
#include "probe/elf_object.h"

/* The pagemap of a running process, kept for the next question; NULL when it has ended. */
static struct pagemap *live_pagemap(struct census *census, const struct process *process)
{
	struct reading_key key = {.start_ns = process->start_ns, .pid = process->pid};
	struct proc_stat stat;

	if (process->end == PROCESS_EXITED)
		return NULL;
	if (census->live.pm && memcmp(&census->live.key, &key, sizeof(key)) == 0 &&
	    pagemap__alive(census->live.pm))
		return census->live.pm;
	pagemap__close(census->live.pm);
	census->live.pm = NULL;
	census->live.key = key;
	if (pagemap__open(process->pid, &census->live.pm))
		return NULL;
	/* Asked after the opening: what was opened is then of the process that is meant. */
	if (proc_stat__read(process->pid, &stat) ||
	    (process->start_ticks && stat.start_ticks != process->start_ticks)) {
		pagemap__close(census->live.pm);
		census->live.pm = NULL;
	}
	return census->live.pm;
}

/* Memory that was mapped since the last reading was not seen by it. */
static bool is_newer(const struct process *process, const struct reading *reading, uint64_t addr)
{
	const struct mapping *piece = process->space ? space__find(process->space, addr) : NULL;

	return piece && piece->start <= addr && piece->origin->created_ns > reading->read_ns;
}

static int answer_resident(void *ctx, const struct process *process, uint64_t start, uint64_t end,
			   uint64_t *bytes, double *age_s)
{
	struct census *census = ctx;
	struct pagemap *pm = live_pagemap(census, process);
	const struct reading *reading;
	uint64_t now = process->ended_ns ? process->ended_ns : monotonic_ns();
	int err;

	*age_s = 0;
	if (pm && pagemap__resident(pm, start, end, bytes) == 0)
		return 0;
	reading = census__reading(census, process);
	if (!reading || !reading->read_ns || is_newer(process, reading, start))
		return -ENODATA;
	err = page_runs__count(&reading->runs, start, end, bytes);
	if (!err && now > reading->read_ns)
		*age_s = (double)(now - reading->read_ns) / 1e9;
	return err;
}

static int answer_peek(void *ctx, const struct process *process, uint64_t addr, uint64_t *words,
		       size_t n)
{
	struct census *census = ctx;
	struct pagemap *pm = live_pagemap(census, process);
	const struct reading *reading;
	int err = pm ? pagemap__peek(pm, addr, words, n * sizeof(*words)) : -ESRCH;

	if (err != -ESRCH)
		return err;
	reading = census__reading(census, process);
	if (!reading || !reading->read_ns || is_newer(process, reading, addr))
		return -ESRCH;
	return heads__peek(&reading->heads, addr, words, n);
}

static int look_at_executable(const struct process *process)
{
	char version[64];
	struct elf_object *obj;
	int fd = proc_file__open(process->pid, "exe", O_RDONLY);
	int err;

	if (fd < 0)
		return fd;
	err = elf_object__open(fd, process->exe ? process->exe : process->comm, &obj);
	if (!err) {
		if (!elf_object__go_version(obj, version, sizeof(version)))
			version[0] = '\0';
		err = elf_object__is_go(obj) ? (int)go_heap__of_version(version) : GO_HEAP_NONE;
		elf_object__close(obj);
	}
	close(fd);
	return err;
}

int census__go_heap(struct census *census, const struct process *process)
{
	struct reading *reading = census__reading(census, process);
	int go_heap;

	/* A file that cannot be read is complained of once. */
	if (reading && reading->go_heap != -ESRCH && reading->go_heap_execs == process->execs)
		return reading->go_heap;
	go_heap = look_at_executable(process);
	if (reading && go_heap != -ESRCH) {
		reading->go_heap = go_heap;
		reading->go_heap_execs = process->execs;
	}
	return go_heap;
}

static int answer_go_heap(void *ctx, const struct process *process)
{
	return census__go_heap(ctx, process);
}

void census__large_facts(struct census *census, struct large_facts *facts)
{
	*facts = (struct large_facts){
		.ctx = census,
		.resident = answer_resident,
		.peek = answer_peek,
		.go_heap = answer_go_heap,
	};
}
