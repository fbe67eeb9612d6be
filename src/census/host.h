/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_HOST_H
#define MEMDRIFT_CENSUS_HOST_H

#include <stdint.h>

/* CPUs online, from /sys/devices/system/cpu/online as glibc counts them; never less than 1. */
int host__cpus_online(void);
/* Bytes of a page. */
uint64_t host__page_bytes(void);
/* Number of CPUs in a kernel list such as "0-3,8,10-11\n"; -EINVAL. */
int cpu_list__count(const char *text);

#endif
