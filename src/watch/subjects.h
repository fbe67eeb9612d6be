/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_SUBJECTS_H
#define MEMDRIFT_WATCH_SUBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "watch/subject_name.h"

/*
 * Who a process is over restarts. Processes of one executable in one unit share a set of slots; a
 * new one takes a slot that is free: one whose last command line was the same, else the lowest,
 * else a new one. Command lines are known by a hash alone.
 *
 * unit, the first of these that there is:
 *   "pod:UID"       in Kubernetes: a container that is started again has another id, the pod is
 *                   the same
 *   the id, or name, of a container
 *   the systemd unit
 *   the control group, when it is not the root
 */
struct subjects;

/* Names of processes that are gone are kept as long as there is room: 100 bytes and their text. */
#define SUBJECTS_NAMES_MAX 16384

struct subject_process {
	uint32_t pid;
	uint64_t start_time;
	uint64_t command_hash;
};

/* NULL: no memory. */
struct subjects *subjects__new(void);
void subjects__free(struct subjects *subjects);

/*
 * A name of an earlier run and its last process. It is free unless that process still lives, which
 * is looked up when another one asks for the slot. 0, -ENOMEM, -EINVAL (slot beyond
 * SUBJECTS_NAMES_MAX, an empty exe).
 */
int subjects__remember(struct subjects *subjects, const struct subject_name *name,
		       const struct subject_process *process);
/* Sets name->slot by unit and exe and holds it. 0, -ENOMEM. */
int subjects__take(struct subjects *subjects, struct subject_name *name,
		   const struct subject_process *process);
/* It is free again. */
void subjects__release(struct subjects *subjects, const struct subject_name *name);
/* Names that are kept, held or not. */
size_t subjects__count(const struct subjects *subjects);

/* unit and cgroup from the text of a /proc/PID/cgroup. 0, -ENOMEM. */
int subject_name__place(struct subject_name *name, const char *proc_cgroup);
/* exe from what /proc/PID/exe leads to: " (deleted)" is cut, an upgrade of the package is no other
 * program. NULL: the comm in square brackets. comm is to be set. */
void subject_name__program(struct subject_name *name, const char *exe);

#endif
