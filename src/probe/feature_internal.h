/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_FEATURE_INTERNAL_H
#define MEMDRIFT_PROBE_FEATURE_INTERNAL_H

/* Shared by feature.c (the list), feature_host.c (the environment), feature_bpf.c (what is loaded
 * and attached) and their unit test; no one else. */

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probe/feature.h"

void feature__set_yes(struct feature *feature, const char *detail, ...)
	__attribute__((format(printf, 2, 3)));
void feature__set_no(struct feature *feature, const char *advice, const char *detail, ...)
	__attribute__((format(printf, 3, 4)));
void feature__set_unknown(struct feature *feature, const char *detail, ...)
	__attribute__((format(printf, 2, 3)));

/* No privilege to try it. */
void feature__set_untried(struct feature *feature);
/* "cannot WHAT: error"; for a refusal the advice names what refuses. */
void feature__set_failed(struct feature *feature, const char *advice, const char *what, int err);

/* A program that counts its runs in a map of one number. */
struct try_counter {
	int map;
	int prog;
};
/* 0 or -errno; to be closed when 0. */
int try_counter__open(struct try_counter *counter, enum bpf_prog_type type, int attach_type);
void try_counter__close(struct try_counter *counter);
uint64_t try_counter__read(const struct try_counter *counter);

/* An event on this thread alone, so that no other pays; attr's size is filled in. -errno. */
struct perf_event_attr;
int feature_open_own_event(struct perf_event_attr *attr);

/* "6.18.44-fc" -> 6 and 18. 0 or -EINVAL. */
int feature_parse_release(const char *release, unsigned int *major, unsigned int *minor);

enum lockdown { LOCKDOWN_UNKNOWN, LOCKDOWN_NONE, LOCKDOWN_INTEGRITY, LOCKDOWN_CONFIDENTIALITY };
/* "none [integrity] confidentiality": the one in brackets. */
enum lockdown feature_parse_lockdown(const char *text);

/*
 * Value of an option ("hidepid") of the last proc file system mounted on /proc according to the
 * text of /proc/self/mountinfo, written into value; "" when the option is not set. 0, or -ENOENT
 * when no proc is mounted there.
 */
int feature_parse_proc_option(const char *mountinfo, const char *option, char *value, size_t size);

/*
 * The capabilities that `memdrift trace` needs and that are not in the set (bit n: capability n),
 * joined by ", ". CAP_SYS_ADMIN stands for CAP_BPF and CAP_PERFMON as it does in the kernel; it is
 * needed itself where probes are perf's. Returns their number.
 */
unsigned int feature_missing_capabilities(uint64_t effective, bool perf_uprobes, char *names,
					  size_t size);

/* The calling thread's effective set; 0 when that cannot be read. */
uint64_t feature_capabilities(void);
/* False in a user namespace of its own, where no capability counts for bpf() and perf. */
bool feature_in_initial_user_namespace(void);
/* CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN, in the initial user namespace. */
bool feature_may_use_bpf(void);

/* Up to size - 1 bytes of a small file, NUL-terminated. Bytes read, or a negative errno. */
long feature_read_file(const char *path, char *buf, size_t size);

/* Enough for a start of `memdrift trace`, which attaches right after: attaching and detaching takes
 * some 60 to 150 ms here, until all CPUs have let go of the probe. */
void check_syscall_tracepoints(struct feature *feature);
void check_uprobes(struct feature *feature);

void probe_kernel_version(struct feature *feature);
void probe_capabilities(struct feature *feature);
void probe_pid_namespace(struct feature *feature);
void probe_proc(struct feature *feature);
void probe_lockdown(struct feature *feature);
void probe_btf(struct feature *feature);
void probe_bpf_jit(struct feature *feature);
void probe_perf_events(struct feature *feature);
void probe_pagemap_scan(struct feature *feature);
void probe_map_files(struct feature *feature);
void probe_process_memory(struct feature *feature);
void probe_memory_cgroup(struct feature *feature);
void probe_tracefs(struct feature *feature);
void probe_uretprobe_syscall(struct feature *feature);
void probe_uprobe_syscall(struct feature *feature);

void probe_bpf(struct feature *feature);
void probe_ring_buffer(struct feature *feature);
void probe_raw_tracepoints(struct feature *feature);
void probe_syscall_tracepoints(struct feature *feature);
void probe_uprobes(struct feature *feature);
void probe_uprobe_multi(struct feature *feature);
void probe_uprobe_multi_threads(struct feature *feature);
void probe_uprobe_session(struct feature *feature);
void probe_task_storage(struct feature *feature);

#endif
