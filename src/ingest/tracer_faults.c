// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Sampled page faults: software events of the kernel's, two on each CPU. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "census/host.h"
#include "ingest/tracer_impl.h"

/*
 * Those that brought a page in, as the kernel counts them for a process. The event of all faults,
 * PERF_COUNT_SW_PAGE_FAULTS, also has those that end in SIGSEGV (arch/x86/mm/fault.c). Major ones
 * are few, and slow by themselves: each comes to the program, which keeps one in a period by
 * chance.
 */
static int open_event(struct tracer *tracer, int cpu, bool major)
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = major ? PERF_COUNT_SW_PAGE_FAULTS_MAJ : PERF_COUNT_SW_PAGE_FAULTS_MIN,
		.sample_period = major ? 1 : tracer->fault_period,
		.disabled = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	struct bpf_link *link;

	/* -ENODEV: that CPU is offline. */
	if (fd < 0)
		return -errno;
	/* The event is the link's from here on. */
	link = bpf_program__attach_perf_event(tracer->skel->progs.page_fault, fd);
	if (!link) {
		int err = -errno;

		close(fd);
		return err;
	}
	tracer->fault_links[tracer->fault_link_count++] = link;
	return 0;
}

/*
 * Every period-th fault of a CPU is sampled, from a place of chance on: if each CPU began to count
 * with the trace, the first sample would always be late, and a process that faults little on each
 * of many CPUs would hardly be seen. An event has no such setting; so we let it count some faults
 * of our own.
 */
static void fault_by_chance(int cpu, uint32_t period, char *scratch, size_t page)
{
	uint32_t chance;
	cpu_set_t *set = CPU_ALLOC((size_t)cpu + 1);
	size_t size = CPU_ALLOC_SIZE((size_t)cpu + 1);

	if (!set)
		return;
	CPU_ZERO_S(size, set);
	CPU_SET_S((size_t)cpu, size, set);
	if (sched_setaffinity(0, size, set)) {
		log_info("page faults of CPU %d are counted from the beginning: %s", cpu,
			 strerror(errno));
	} else if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) == sizeof(chance)) {
		for (size_t i = 0; i < chance % period; i++)
			*(volatile char *)(scratch + i * page) = 1;
		madvise(scratch, period * page, MADV_DONTNEED);
	}
	CPU_FREE(set);
}

static void begin_by_chance(struct tracer *tracer, int cpus)
{
	uint32_t period = tracer->fault_period;
	size_t page = host__page_bytes(), size = CPU_ALLOC_SIZE((size_t)cpus);
	char *scratch = mmap(NULL, period * page, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	cpu_set_t *before = CPU_ALLOC((size_t)cpus);

	if (scratch != MAP_FAILED && before && !sched_getaffinity(0, size, before)) {
		madvise(scratch, period * page, MADV_NOHUGEPAGE);
		for (int cpu = 0; cpu < cpus; cpu++)
			if (tracer->fault_on[cpu])
				fault_by_chance(cpu, period, scratch, page);
		sched_setaffinity(0, size, before);
	}
	if (before)
		CPU_FREE(before);
	if (scratch != MAP_FAILED)
		munmap(scratch, period * page);
}

static int attach_cpu(struct tracer *tracer, int cpu)
{
	int err = open_event(tracer, cpu, false);

	if (!err)
		err = open_event(tracer, cpu, true);
	if (err)
		return err == -ENODEV ? 0 : err;
	tracer->fault_on[cpu] = true;
	tracer->fault_cpus++;
	return 0;
}

int tracer_faults__attach(struct tracer *tracer)
{
	int cpus = libbpf_num_possible_cpus(), err = 0;

	if (!tracer->fault_period)
		return 0;
	tracer->fault_links = calloc(2 * (size_t)cpus, sizeof(struct bpf_link *));
	tracer->fault_on = calloc((size_t)cpus, sizeof(*tracer->fault_on));
	if (!tracer->fault_links || !tracer->fault_on)
		err = -ENOMEM;
	for (int cpu = 0; cpu < cpus && !err; cpu++)
		err = attach_cpu(tracer, cpu);
	if (err)
		log_error("cannot sample page faults: %s", strerror(-err));
	else if (tracer->fault_period > 1)
		begin_by_chance(tracer, cpus);
	return err;
}

void tracer_faults__close(struct tracer *tracer)
{
	for (int i = 0; i < tracer->fault_link_count; i++)
		bpf_link__destroy(tracer->fault_links[i]);
	free(tracer->fault_links);
	free(tracer->fault_on);
}

uint64_t tracer_faults__cpus_missed(const struct tracer *tracer)
{
	int online = host__cpus_online();

	return tracer->fault_links && online > tracer->fault_cpus
		       ? (uint64_t)(online - tracer->fault_cpus)
		       : 0;
}

static bool is_of(const struct fault_key *key, uint32_t pid, uint64_t start_ns)
{
	return !pid || (key->pid == pid && key->start_ticks == (uint32_t)(start_ns / BOOT_TICK_NS));
}

void tracer__each_fault(struct tracer *tracer, uint32_t pid, uint64_t start_ns, tracer_fault_fn fn,
			void *ctx)
{
	struct bpf_map *map = tracer->skel->maps.fault_counts;
	uint32_t steps = 0;
	struct fault_key key, next;
	void *from = NULL;
	uint64_t count;

	if (!tracer->fault_period)
		return;
	/* A walk starts anew when the key at hand is deleted: bounded. */
	while (steps++ < 2 * bpf_map__max_entries(map) &&
	       !bpf_map__get_next_key(map, from, &next, sizeof(next))) {
		key = next;
		from = &key;
		if (is_of(&key, pid, start_ns) &&
		    !bpf_map__lookup_elem(map, &key, sizeof(key), &count, sizeof(count), 0))
			fn(ctx, &key, count);
	}
}

void tracer__forget_fault(struct tracer *tracer, const struct fault_key *key)
{
	bpf_map__delete_elem(tracer->skel->maps.fault_counts, key, sizeof(*key), 0);
}
