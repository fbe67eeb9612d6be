// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What can be loaded and attached. Probes are placed on a function of this file, in this process.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe/feature_internal.h"
#include "probe/tracepoint.h"

void feature__set_untried(struct feature *feature)
{
	feature__set_unknown(feature, "not tried: needs CAP_SYS_ADMIN, or CAP_BPF and CAP_PERFMON");
}

void try_counter__close(struct try_counter *counter)
{
	if (counter->prog >= 0)
		close(counter->prog);
	if (counter->map >= 0)
		close(counter->map);
}

/* 0 or -errno. */
int try_counter__open(struct try_counter *counter, enum bpf_prog_type type, int attach_type)
{
	LIBBPF_OPTS(bpf_prog_load_opts, opts, .expected_attach_type = attach_type);
	struct bpf_insn insns[] = {
		{BPF_LD | BPF_DW | BPF_IMM, BPF_REG_1, BPF_PSEUDO_MAP_VALUE, 0, 0},
		{0, 0, 0, 0, 0}, /* offset in the value */
		{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_2, 0, 0, 1},
		{BPF_STX | BPF_DW | BPF_ATOMIC, BPF_REG_1, BPF_REG_2, 0, BPF_ADD},
		{BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, 0},
		{BPF_JMP | BPF_EXIT, 0, 0, 0, 0},
	};

	counter->prog = -1;
	counter->map = bpf_map_create(BPF_MAP_TYPE_ARRAY, "memdrift_try", 4, 8, 1, NULL);
	if (counter->map < 0)
		return -errno;
	insns[0].imm = counter->map;
	counter->prog = bpf_prog_load(type, "memdrift_try", "GPL", insns,
				      sizeof(insns) / sizeof(insns[0]), &opts);
	if (counter->prog < 0) {
		int err = -errno;

		try_counter__close(counter);
		return err;
	}
	return 0;
}

uint64_t try_counter__read(const struct try_counter *counter)
{
	uint64_t value = 0;
	uint32_t zero = 0;

	bpf_map_lookup_elem(counter->map, &zero, &value);
	return value;
}

void feature__set_failed(struct feature *feature, const char *advice, const char *what, int err)
{
	if (err == -EPERM || err == -EACCES)
		advice = "is it forbidden by a seccomp filter, a security module or a container?";
	feature__set_no(feature, advice, "cannot %s: %s", what, strerror(-err));
}

void probe_bpf(struct feature *feature)
{
	struct try_counter counter;
	int err;

	if (!feature_may_use_bpf()) {
		feature__set_untried(feature);
		return;
	}
	err = try_counter__open(&counter, BPF_PROG_TYPE_KPROBE, 0);
	if (err) {
		feature__set_failed(feature,
				    "the kernel must have CONFIG_BPF_SYSCALL and CONFIG_BPF_EVENTS",
				    "load a BPF program", err);
		return;
	}
	feature__set_yes(feature, "programs load");
	try_counter__close(&counter);
}

void probe_ring_buffer(struct feature *feature)
{
	int fd;

	if (!feature_may_use_bpf()) {
		feature__set_untried(feature);
		return;
	}
	fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, "memdrift_try", 0, 0, sysconf(_SC_PAGESIZE),
			    NULL);
	if (fd < 0) {
		feature__set_failed(feature, "", "make a BPF ring buffer", -errno);
		return;
	}
	feature__set_yes(feature, "one stream of records for all CPUs");
	close(fd);
}

void probe_raw_tracepoints(struct feature *feature)
{
	struct try_counter counter;
	int link, err;

	if (!feature_may_use_bpf()) {
		feature__set_untried(feature);
		return;
	}
	err = try_counter__open(&counter, BPF_PROG_TYPE_RAW_TRACEPOINT, 0);
	if (err) {
		feature__set_failed(feature, "", "load a raw tracepoint program", err);
		return;
	}
	/* Process ends are rare enough that a moment of counting them costs nothing. */
	link = bpf_raw_tracepoint_open("sched_process_exit", counter.prog);
	if (link < 0) {
		feature__set_failed(feature, "", "attach to the raw tracepoint sched_process_exit",
				    -errno);
	} else {
		feature__set_yes(feature, "start and end of processes");
		close(link);
	}
	try_counter__close(&counter);
}

void probe_task_storage(struct feature *feature)
{
	int found;

	if (!feature_may_use_bpf()) {
		feature__set_untried(feature);
		return;
	}
	found = libbpf_probe_bpf_map_type(BPF_MAP_TYPE_TASK_STORAGE, NULL);
	if (found == 1)
		feature__set_yes(feature, "per-thread notes without a hash table");
	else if (!found)
		feature__set_no(feature, "", "not in this kernel");
	else
		feature__set_unknown(feature, "cannot be tried: %s", strerror(-found));
}

/* 0 or -errno: the tracepoint's number, as perf wants it. */
static int read_tracepoint_id(int tracefs, const char *direction, const char *name, uint64_t *id)
{
	char path[80], text[24] = "";
	int fd, n;

	snprintf(path, sizeof(path), "events/syscalls/sys_%s_%s/id", direction, name);
	fd = openat(tracefs, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	*id = strtoull(text, NULL, 10);
	return n > 0 && *id ? 0 : -EINVAL;
}

int feature_open_own_event(struct perf_event_attr *attr)
{
	int fd;

	attr->size = sizeof(*attr);
	fd = syscall(SYS_perf_event_open, attr, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The number of the last tracepoint goes to *id. False when the feature is told already. */
static bool find_tracepoints(struct feature *feature, int tracefs, uint64_t *id)
{
	static const char *const names[] = {"mmap", "munmap",   "mremap",
					    "brk",  "mprotect", "madvise"};
	static const char *const directions[] = {"enter", "exit"};

	for (size_t i = 0; i < 2 * sizeof(names) / sizeof(names[0]); i++) {
		int err = read_tracepoint_id(tracefs, directions[i % 2], names[i / 2], id);

		if (err) {
			feature__set_no(feature, "the kernel must have CONFIG_FTRACE_SYSCALLS",
					"the kernel has no tracepoint syscalls/sys_%s_%s: %s",
					directions[i % 2], names[i / 2], strerror(-err));
			return false;
		}
	}
	feature__set_yes(feature, "mmap, munmap, mremap, brk, mprotect, madvise");
	return true;
}

static void probe_tracepoints(struct feature *feature, bool open_one)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_TRACEPOINT, .sample_period = 1};
	uint64_t id = 0;
	int tracefs, fd;

	if (!feature_may_use_bpf()) {
		feature__set_untried(feature);
		return;
	}
	tracefs = tracefs__open();
	if (tracefs < 0) {
		feature__set_unknown(feature, "tracefs cannot be read: %s", strerror(-tracefs));
		return;
	}
	if (find_tracepoints(feature, tracefs, &id) && open_one) {
		attr.config = id;
		fd = feature_open_own_event(&attr);
		if (fd < 0)
			feature__set_failed(feature, "", "open a tracepoint event", fd);
		else
			close(fd);
	}
	close(tracefs);
}

void probe_syscall_tracepoints(struct feature *feature)
{
	probe_tracepoints(feature, true);
}

void check_syscall_tracepoints(struct feature *feature)
{
	probe_tracepoints(feature, false);
}
