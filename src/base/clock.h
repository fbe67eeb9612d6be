/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BASE_CLOCK_H
#define MEMDRIFT_BASE_CLOCK_H

#include <stdint.h>

/* CLOCK_MONOTONIC in ns: the clock of bpf_ktime_get_ns, so of all records. */
uint64_t monotonic_ns(void);

#endif
