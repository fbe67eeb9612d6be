/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TYPES_H
#define MEMDRIFT_TYPES_H

/*
 * Fixed-width integers for the headers that BPF programs and user space share. BPF objects get
 * them from bpf/kernel_types.h, user space from the C library.
 */
#ifdef __bpf__
#include "kernel_types.h"
typedef __u8 uint8_t;
typedef __u16 uint16_t;
typedef __u32 uint32_t;
typedef __u64 uint64_t;
typedef __s16 int16_t;
typedef __s32 int32_t;
typedef __s64 int64_t;
#define MEMDRIFT_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#else
#include <stdint.h>
#define MEMDRIFT_ASSERT_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#endif

#endif
