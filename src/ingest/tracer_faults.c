// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Sampled page faults: software events of the kernel's, two on each CPU. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"
#include "census/host.h"
#include "ingest/tracer_impl.h"

/*
 * Those that brought a page in, as the kernel counts them for a process. The event of all faults,
 * PERF_COUNT_SW_PAGE_FAULTS, also has those that end in SIGSEGV (arch/x86/mm/fault.c).
 */
static const uint64_t events[] = {PERF_COUNT_SW_PAGE_FAULTS_MIN, PERF_COUNT_SW_PAGE_FAULTS_MAJ};

/*
 * Every period-th fault of a CPU is sampled, and from a place of chance on: if each CPU began to
 * count with the trace, the first sample would always be late, and a process that faults little on
 * many CPUs would not be seen at all. An event has no such setting, but whose period changes while
 * it counts fires with the next fault, under its old period, and then when as many as that have
 * come (__perf_event_period(), perf_swevent_set_period()). That first one the program leaves out.
 */
static uint64_t first_period(uint32_t period)
{
	uint64_t chance;

	if (period == 1 || getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != sizeof(chance))
		return period;
	/* 2 to period + 1: the period itself would be taken for a sample. */
	chance = 2 + chance % period;
	return chance == period ? period + 1 : chance;
}

/* -ENODEV: that CPU is offline. */
static int open_event(struct tracer *tracer, uint64_t event, int cpu)
{
	uint64_t period = tracer->fault_period, first = first_period(tracer->fault_period);
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = event,
		.sample_period = first,
		.disabled = 1,
	};
	int fd = (int)syscall(SYS_perf_event_open, &attr, -1, cpu, -1, PERF_FLAG_FD_CLOEXEC);
	struct bpf_link *link;

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
	return first != period && ioctl(fd, PERF_EVENT_IOC_PERIOD, &period) ? -errno : 0;
}

int tracer_faults__attach(struct tracer *tracer)
{
	int cpus = libbpf_num_possible_cpus(), err = 0;

	if (!tracer->fault_period)
		return 0;
	tracer->fault_links =
		calloc((size_t)cpus * sizeof(events) / sizeof(*events), sizeof(struct bpf_link *));
	if (!tracer->fault_links)
		return -ENOMEM;
	for (int cpu = 0; cpu < cpus && !err; cpu++) {
		for (size_t i = 0; i < sizeof(events) / sizeof(*events) && !err; i++)
			err = open_event(tracer, events[i], cpu);
		if (!err)
			tracer->fault_cpus++;
		if (err == -ENODEV)
			err = 0;
	}
	if (err)
		log_error("cannot sample page faults: %s", strerror(-err));
	return err;
}

void tracer_faults__close(struct tracer *tracer)
{
	for (int i = 0; i < tracer->fault_link_count; i++)
		bpf_link__destroy(tracer->fault_links[i]);
	free(tracer->fault_links);
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
	return !pid || (key->pid == pid && key->start_ticks == (uint32_t)(start_ns / TICK_NS));
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
