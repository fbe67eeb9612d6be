/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_SAMPLER_H
#define MEMDRIFT_WATCH_SAMPLER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drift/series.h"
#include "watch/own_cost.h"
#include "watch/subject_name.h"

/*
 * A pass over /proc each interval: who lives, and the memory of those that are followed.
 *
 * Of a followed process /proc/PID/statm is held open and read in place (1 us, a sixth of opening
 * anything there); only when a figure of it moved, and every full_passes passes, status is
 * read for all the components (12 us). A process whose statm stands still can change in swapped-out
 * memory and threads alone: those two can be so many passes old, nothing else. The open file is
 * bound to its process: one that has taken its pid is never read for it.
 *
 * Not followed: kernel threads, zombies, processes that did not live for SAMPLER_YOUNG_PASSES
 * passes (only their pid is known of), and, beyond the bound, the smallest ones.
 *
 * How far the figures may be off: by proc_stat__rss_error_bytes(threads) of the running kernel,
 * status and statm alike (0 since Linux 6.17). Swapped-out shmem is not in VmSwap.
 */
struct sampler;

#define SAMPLER_FULL_PASSES  6 /* by default: a minute of the default interval */
#define SAMPLER_YOUNG_PASSES 6
/* Followed at most by default: 1.5 kB and an open file each. */
#define SAMPLER_SUBJECTS_DEFAULT 4096
/* Processes known of, followed or not: 40 bytes each. pid_max can be 4 million. */
#define SAMPLER_KNOWN_MAX 65536

struct sampler_options {
	double interval_s;   /* of wall time; > 0: tells which processes are young when it starts */
	size_t subjects_max; /* 0: SAMPLER_SUBJECTS_DEFAULT */
	uint32_t full_passes; /* 0: SAMPLER_FULL_PASSES. More where passes follow each other fast */
	double limits_s;      /* control groups are read again after so long; 0: five minutes */
	uint64_t *losses; /* of WATCH_LOSS_MAX; processes_gone and subjects_dropped count here */
};

/* A followed process. It stays where it is until `gone` was called for it. */
struct watched {
	struct subject_name name;
	uint32_t pid;
	uint64_t start_time;   /* clock ticks since boot, as in /proc/PID/stat */
	uint64_t command_hash; /* of its command line; 0: it has none */
	/* The latest: COMPONENTS_PASS are known, the others SERIES_UNKNOWN. */
	struct sample sample;
	bool is_new;         /* first time that it is handed out */
	bool changed;        /* a component differs from the last pass; true when new */
	int64_t limit_bytes; /* of its control group, the nearest enclosing; SERIES_UNKNOWN: none */
	double cpus;         /* that it may use: online, cpuset, quota, the least; 0 unknown */
	void *user;          /* the caller's; NULL when new */
};

struct sampler_handlers {
	/* Each followed process. No function of the sampler may be called from here. */
	void (*each)(void *ctx, struct watched *watched);
	/* It ended, became another program (it then comes as a new one), or made room for a larger
	 * one. Its last sample is there; it is freed after this. May be NULL. */
	void (*gone)(void *ctx, struct watched *watched);
	void *ctx;
};

/* 0 or a negative errno. RLIMIT_NOFILE is raised as far as it can be; where no descriptor is left a
 * process's file is opened each time. */
int sampler__open(struct sampler **sampler, const struct sampler_options *options);
/* Hands out no more: `gone` is not called, the caller's `user` stays the caller's. */
void sampler__close(struct sampler *sampler);

/*
 * Before the first pass: a process that had this name when watch last ran. One that still lives
 * gets the same name and slot again; else the slot is free, and known to be of that command line.
 * 0, -ENOMEM; names beyond SUBJECTS_NAMES_MAX (subjects.h) are forgotten, oldest first.
 */
int sampler__remember(struct sampler *sampler, const struct subject_name *name, uint32_t pid,
		      uint64_t start_time, uint64_t command_hash);

/* samples get t_s = t_unix. 0 or a negative errno: /proc itself could not be read. */
int sampler__pass(struct sampler *sampler, double t_unix, const struct sampler_handlers *handlers);

/* Those that are followed now. */
size_t sampler__count(const struct sampler *sampler);
/* Calls fn for each of them without reading anything. */
void sampler__each(struct sampler *sampler, void (*fn)(void *ctx, struct watched *watched),
		   void *ctx);
/* A followed process by pid; NULL. */
struct watched *sampler__find(struct sampler *sampler, uint32_t pid);

#endif
