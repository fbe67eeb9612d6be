/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_SUBJECT_NAME_H
#define MEMDRIFT_WATCH_SUBJECT_NAME_H

#include <stdint.h>

#define SUBJECT_UNIT_MAX  256
#define SUBJECT_EXE_MAX   256
#define SUBJECT_COMM_MAX  64
#define SUBJECT_GROUP_MAX 512

/*
 * Who is followed over restarts: the slot-th process at a time of an executable in a unit (a
 * systemd unit, a container, else a control group). Text is raw: any byte but NUL, cut at its
 * bound.
 */
struct subject_name {
	char unit[SUBJECT_UNIT_MAX];    /* "nginx.service", a container's id; "" none */
	char cgroup[SUBJECT_GROUP_MAX]; /* as in /proc/PID/cgroup, of the latest process */
	char exe[SUBJECT_EXE_MAX];
	char comm[SUBJECT_COMM_MAX];
	uint32_t slot; /* 0 first: the lowest that was free when its process was first seen */
};

#endif
