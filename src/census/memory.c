// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/memory.h"

#include <errno.h>
#include <string.h>
#include <sys/param.h>
#include <sys/uio.h>

#include "base/clock.h"

/* UIO_MAXIOV of the kernel (include/uapi/linux/uio.h). */
#define PIECES_MAX 1024

uint64_t memory__run_end(struct memory *memory, uint64_t addr)
{
	const struct page_run *runs = memory->runs->runs;
	size_t i;

	if (memory->near < memory->runs->count && runs[memory->near].start <= addr &&
	    addr < runs[memory->near].end)
		return runs[memory->near].end;
	i = page_runs__above(memory->runs, addr);
	if (i == memory->runs->count || runs[i].start > addr)
		return 0;
	memory->near = i;
	return runs[i].end;
}

static int check_bounds(const struct memory *memory, size_t size)
{
	if (memory->deadline_ns && monotonic_ns() > memory->deadline_ns)
		return -ETIME;
	if (memory->bytes_max && memory->bytes_read + size > memory->bytes_max)
		return -EDQUOT;
	return 0;
}

static ssize_t read_pieces(struct memory *memory, const struct iovec *local,
			   const struct iovec *remote, size_t n)
{
	ssize_t got = process_vm_readv(memory->pid, local, n, remote, n, 0);

	memory->calls++;
	if (got < 0)
		return errno == EPERM ? -EACCES : -errno;
	memory->bytes_read += got;
	return got;
}

ssize_t memory__read_some(struct memory *memory, uint64_t addr, void *buf, size_t size)
{
	uint64_t end = memory__run_end(memory, addr);
	struct iovec local, remote;
	ssize_t got;
	int err;

	if (!end)
		return -ENODATA;
	size = MIN(size, end - addr);
	err = check_bounds(memory, size);
	if (err)
		return err;
	local = (struct iovec){.iov_base = buf, .iov_len = size};
	remote = (struct iovec){.iov_base = (void *)addr, .iov_len = size};
	got = read_pieces(memory, &local, &remote, 1);
	return got == 0 ? -EFAULT : got;
}

int memory__read(struct memory *memory, uint64_t addr, void *buf, size_t size)
{
	size_t done = 0;

	if (addr + size < addr)
		return -EFAULT;
	/* Runs that touch may be two. */
	while (done < size) {
		ssize_t got =
			memory__read_some(memory, addr + done, (char *)buf + done, size - done);

		if (got < 0)
			return (int)got;
		done += got;
	}
	return 0;
}

int memory__word(struct memory *memory, uint64_t addr, uint64_t *word)
{
	return memory__read(memory, addr, word, sizeof(*word));
}

/*
 * The pieces of one call. The kernel stops at the first that cannot be read: what follows it is
 * read by the next call.
 */
static int gather_some(struct memory *memory, const uint64_t *addrs, size_t n, size_t each,
		       uint8_t *buf, uint8_t *valid)
{
	struct iovec local[PIECES_MAX], remote[PIECES_MAX];
	uint32_t index[PIECES_MAX];
	size_t count = 0, done = 0;

	for (size_t i = 0; i < n; i++) {
		uint64_t end = memory__run_end(memory, addrs[i]);

		valid[i] = 0;
		if (!end || end - addrs[i] < each)
			continue;
		local[count] = (struct iovec){.iov_base = buf + i * each, .iov_len = each};
		remote[count] = (struct iovec){.iov_base = (void *)addrs[i], .iov_len = each};
		index[count++] = i;
	}
	while (done < count) {
		int err = check_bounds(memory, (count - done) * each);
		size_t whole;
		ssize_t got;

		if (err)
			return err;
		got = read_pieces(memory, local + done, remote + done, count - done);
		if (got == -EFAULT)
			got = 0;
		if (got < 0)
			return (int)got;
		whole = MIN(got / each, count - done);
		for (size_t i = done; i < done + whole; i++)
			valid[index[i]] = 1;
		done += whole;
		done += done < count; /* the one that failed */
	}
	return 0;
}

int memory__gather(struct memory *memory, const uint64_t *addrs, size_t n, size_t each, void *buf,
		   uint8_t *valid)
{
	for (size_t at = 0; at < n; at += PIECES_MAX) {
		int err = gather_some(memory, addrs + at, MIN(n - at, PIECES_MAX), each,
				      (uint8_t *)buf + at * each, valid + at);

		if (err)
			return err;
	}
	return 0;
}
