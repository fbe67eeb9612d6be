/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_BITS_H
#define MEMDRIFT_BPF_BITS_H

#include "memdrift/types.h"

#include <bpf/bpf_helpers.h>

/* The number of significant bits: 0 for 0, k for [2^(k-1), 2^k - 1]. BPF has no instruction for it.
 */
static __always_inline __u32 bucket_of(__u64 size)
{
	__u32 bits = 0;

	/*
	 * A number that the verifier takes for another one: else it follows what comes after for
	 * each of the 64 results, by what each says of the size (four times the work of loading).
	 */
	asm volatile("%0 ^= 0" : "+r"(size));
	if (size >> 32) {
		bits += 32;
		size >>= 32;
	}
	if (size >> 16) {
		bits += 16;
		size >>= 16;
	}
	if (size >> 8) {
		bits += 8;
		size >>= 8;
	}
	if (size >> 4) {
		bits += 4;
		size >>= 4;
	}
	if (size >> 2) {
		bits += 2;
		size >>= 2;
	}
	return bits + (size >> 1 ? 2 : size);
}

#endif
