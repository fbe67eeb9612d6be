// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Kinds of uprobe links, each placed on a function of this file, in this process only. */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/capability.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "probe/feature_internal.h"

/* enum bpf_attach_type of include/uapi/linux/bpf.h in 6.6 and 6.13; Debian 12's ends before. */
#define ATTACH_UPROBE_MULTI   48
#define ATTACH_UPROBE_SESSION 57

/* BPF_LINK_CREATE's part of union bpf_attr for ATTACH_UPROBE_MULTI. */
struct uprobe_multi_attr {
	uint32_t prog_fd, target_fd, attach_type, flags;
	uint64_t path, offsets, ref_ctr_offsets, cookies;
	uint32_t count, multi_flags, pid, reserved;
};

/* Runs as often as it is called: neither inlined nor thought to be without effect. */
__attribute__((noinline)) static void probed_function(void)
{
	__asm__ volatile("" ::: "memory");
}

static void *run_probed_function(void *unused)
{
	probed_function();
	return unused;
}

/* Where in /proc/self/exe a function of ours lies. 0 when it cannot be told. */
static uint64_t offset_in_own_file(void (*function)(void))
{
	uint64_t address = (uintptr_t)function, offset = 0;
	unsigned long start, end, file_offset;
	char line[512];
	FILE *maps = fopen("/proc/self/maps", "re");

	if (!maps)
		return 0;
	while (!offset && fgets(line, sizeof(line), maps)) {
		if (sscanf(line, "%lx-%lx %*s %lx", &start, &end, &file_offset) == 3 &&
		    address >= start && address < end)
			offset = address - start + file_offset;
	}
	fclose(maps);
	return offset;
}

static void try_uprobe(struct feature *feature, const struct try_counter *counter,
		       unsigned int type)
{
	struct perf_event_attr attr = {
		.type = type,
		.config1 = (uintptr_t) "/proc/self/exe",
		.config2 = offset_in_own_file(probed_function),
		.sample_period = 1,
	};
	int event = attr.config2 ? feature_open_own_event(&attr) : -ENOENT, link;

	if (event < 0) {
		feature__set_failed(feature, "", "place a uprobe", event);
		return;
	}
	link = bpf_link_create(counter->prog, event, BPF_PERF_EVENT, NULL);
	if (link < 0) {
		feature__set_failed(feature, "", "attach a BPF program to a uprobe", -errno);
		close(event);
		return;
	}
	probed_function();
	if (try_counter__read(counter) == 1)
		feature__set_yes(feature, "placed one on memdrift itself and saw its hit");
	else
		feature__set_no(feature, "does another uprobe user or a virtual machine interfere?",
				"a uprobe on memdrift itself was placed and not hit");
	close(link);
	close(event);
}

/* The number by which perf knows uprobes. False when the feature is told already. */
static bool find_pmu(struct feature *feature, unsigned int *type)
{
	static const char path[] = "/sys/bus/event_source/devices/uprobe/type";
	char text[16];
	long n = feature_read_file(path, text, sizeof(text));

	if (n < 0) {
		feature__set_no(feature,
				"the kernel must have CONFIG_UPROBE_EVENTS and /sys be mounted",
				"cannot read %s: %s", path, strerror(-n));
		return false;
	}
	*type = strtoul(text, NULL, 10);
	feature__set_yes(feature, "perf event type %u", *type);
	return true;
}

void check_uprobes(struct feature *feature)
{
	unsigned int type;

	find_pmu(feature, &type);
}

/* A link on probed_function, for pid or, when 0, for whoever runs this program file. -errno. */
static int link_multi(const struct try_counter *counter, int attach_type, pid_t pid)
{
	uint64_t offset = offset_in_own_file(probed_function);
	struct uprobe_multi_attr attr = {
		.prog_fd = counter->prog,
		.attach_type = attach_type,
		.path = (uintptr_t) "/proc/self/exe",
		.offsets = (uintptr_t)&offset,
		.count = 1,
		.pid = pid,
	};
	int fd;

	if (!offset)
		return -ENOENT;
	fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return fd < 0 ? -errno : fd;
}

/*
 * Attaches to this process with one link, calls the function and counts. Stores the hits, or gives
 * -errno: an older kernel refuses the program or the link.
 */
static int try_multi(int attach_type, bool in_thread, uint64_t *hits)
{
	struct try_counter counter;
	pthread_t thread;
	int link, err;

	err = try_counter__open(&counter, BPF_PROG_TYPE_KPROBE, attach_type);
	if (err)
		return err;
	link = link_multi(&counter, attach_type, getpid());
	err = link < 0 ? link : 0;
	if (!err && in_thread) {
		err = -pthread_create(&thread, NULL, run_probed_function, NULL);
		if (!err)
			pthread_join(thread, NULL);
	} else if (!err) {
		probed_function();
	}
	if (link >= 0)
		close(link);
	*hits = try_counter__read(&counter);
	try_counter__close(&counter);
	return err;
}

static void probe_multi(struct feature *feature, int attach_type, bool in_thread,
			uint64_t wanted_hits, const char *yes, const char *no)
{
	uint64_t hits = 0;
	int err;

	if (!feature_may_use_bpf()) {
		feature__set_untried(feature);
		return;
	}
	err = try_multi(attach_type, in_thread, &hits);
	if (err == -EINVAL || err == -E2BIG || err == -EOPNOTSUPP)
		feature__set_no(feature, "", "not in this kernel");
	else if (err)
		feature__set_failed(feature, "", "attach to memdrift itself", err);
	else if (hits == wanted_hits)
		feature__set_yes(feature, "%s", yes);
	else
		feature__set_no(feature, "", "%s", no);
}

void probe_uprobes(struct feature *feature)
{
	struct try_counter counter;
	unsigned int type;
	int err;

	/* Perf's are not to be had; see feature_missing_capabilities(). */
	if (!(feature_capabilities() & (1ull << CAP_SYS_ADMIN))) {
		probe_multi(feature, ATTACH_UPROBE_MULTI, true, 1,
			    "by multi links alone: CAP_SYS_ADMIN is missing",
			    "perf's need CAP_SYS_ADMIN, a multi link misses threads");
		return;
	}
	if (!find_pmu(feature, &type))
		return;
	if (!feature_may_use_bpf()) {
		feature__set_untried(feature);
		return;
	}
	err = try_counter__open(&counter, BPF_PROG_TYPE_KPROBE, 0);
	if (err) {
		feature__set_failed(feature, "", "load a BPF program", err);
		return;
	}
	try_uprobe(feature, &counter, type);
	try_counter__close(&counter);
}

void probe_uprobe_multi(struct feature *feature)
{
	probe_multi(feature, ATTACH_UPROBE_MULTI, false, 1, "one link for many probes",
		    "attached, but not hit");
}

void probe_uprobe_multi_threads(struct feature *feature)
{
	probe_multi(feature, ATTACH_UPROBE_MULTI, true, 1,
		    "a link for a process covers its threads",
		    "a link for a process misses its threads: perf links are used");
}

void probe_uprobe_session(struct feature *feature)
{
	/* The program answers 0 at the entry, so that it runs at the return as well. */
	probe_multi(feature, ATTACH_UPROBE_SESSION, false, 2, "entry and return with one link",
		    "attached, but not hit at entry and return");
}
