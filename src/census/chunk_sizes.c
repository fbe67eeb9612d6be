// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/chunk_sizes.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/uio.h>

/* IOV_MAX: ranges that one call reads. */
#define BATCH 1024

#define HEADER_BYTES 8
#define CHUNK_ALIGN  16
#define CHUNK_MIN    32
#define FLAG_BITS    7
#define FLAG_MMAPPED 2

static uint64_t usable_of(uint64_t header, uint64_t requested)
{
	uint64_t chunk = header & ~(uint64_t)FLAG_BITS;
	uint64_t own = header & FLAG_MMAPPED ? 2 * HEADER_BYTES : HEADER_BYTES;

	if (chunk % CHUNK_ALIGN || chunk < CHUNK_MIN || chunk - own < requested)
		return 0;
	return chunk - own;
}

/* How many of the first pointers were read; 0: not even the first. */
static long read_headers(uint32_t pid, const uint64_t *pointers, size_t n, uint64_t *headers)
{
	struct iovec remote[BATCH], local = {.iov_base = headers, .iov_len = n * HEADER_BYTES};
	ssize_t got;

	for (size_t i = 0; i < n; i++)
		remote[i] = (struct iovec){(void *)(uintptr_t)(pointers[i] - HEADER_BYTES),
					   HEADER_BYTES};
	got = process_vm_readv((pid_t)pid, &local, 1, remote, n, 0);
	if (got < 0)
		return errno == EFAULT ? 0 : -errno;
	return got / HEADER_BYTES;
}

int glibc_chunk__usable(uint32_t pid, const uint64_t *pointers, const uint64_t *requested, size_t n,
			uint64_t *usable)
{
	uint64_t headers[BATCH];

	memset(usable, 0, n * sizeof(*usable));
	for (size_t done = 0; done < n;) {
		size_t count = n - done < BATCH ? n - done : BATCH;
		long got = read_headers(pid, pointers + done, count, headers);

		if (got < 0)
			return (int)got;
		for (long i = 0; i < got; i++)
			usable[done + (size_t)i] =
				usable_of(headers[i], requested[done + (size_t)i]);
		/* The read ends before a page that is gone: that pointer is passed over. */
		done += (size_t)got < count ? (size_t)got + 1 : count;
	}
	return 0;
}
