// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Where the names of a stripped object may be: beside it, or packed inside it. */
#include <errno.h>
#include <lzma.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include "probe/elf_object_internal.h"

/* The link is a file name, padded to 4 bytes, and a checksum. NAME_MAX is 255. */
#define DEBUG_LINK_MAX 264

/* Chromium's debug file has 2 GB; more is not read for a checksum. */
#define DEBUG_FILE_MAX_BYTES (4ull << 30)

/*
 * Fedora's largest have 3 MB, unpacked 10. xz packs zeroes 7,000:1, so that both sides need a
 * bound; its dictionary has 8 MiB at the usual presets and 64 at the highest.
 */
#define MINI_DEBUG_MAX_BYTES    (32ull << 20)
#define MINI_DEBUG_UNPACKED_MAX (128ull << 20)
#define MINI_DEBUG_MEMORY_MAX   (80ull << 20)
#define PIECE_BYTES             65536

/* gdb's documentation, "Separate Debug Files": a name, a NUL, zeroes up to 4 bytes, the CRC. */
static bool read_debug_link(const struct elf_object *obj, const char **name, uint32_t *crc)
{
	Elf_Data *data = elf_object__section_data(obj, obj->debug_link, DEBUG_LINK_MAX, 1);
	size_t length, at;

	if (!data)
		return false;
	*name = data->d_buf;
	length = strnlen(*name, data->d_size);
	at = (length + 1 + 3) & ~(size_t)3;
	if (!length || at > data->d_size || data->d_size - at < sizeof(*crc))
		return false;
	/* It leads nowhere but into the directories that are looked at. */
	if (memchr(*name, '/', length) || !strcmp(*name, ".") || !strcmp(*name, ".."))
		return false;
	memcpy(crc, (const char *)data->d_buf + at, sizeof(*crc));
	return true;
}

/* Of another file than the object itself. */
static bool checksum_is(const struct elf_object *obj, int fd, uint32_t wanted)
{
	uint8_t piece[PIECE_BYTES];
	uint64_t left = DEBUG_FILE_MAX_BYTES;
	struct stat own, other;
	uLong crc = crc32(0, NULL, 0);
	ssize_t got;
	off_t at = 0;

	if (fstat(obj->fd, &own) || fstat(fd, &other) || !S_ISREG(other.st_mode) ||
	    (own.st_dev == other.st_dev && own.st_ino == other.st_ino))
		return false;
	while ((got = pread(fd, piece, sizeof(piece), at)) > 0 && left >= (uint64_t)got) {
		crc = crc32(crc, piece, (uInt)got);
		at += got;
		left -= (uint64_t)got;
	}
	return !got && crc == wanted;
}

int elf_object__open_debug_link(const struct elf_object *obj, const char *path, const char *root)
{
	/* Before the object's directory, and behind it. */
	static const char *const places[][2] = {
		{"", "/"}, {"", "/.debug/"}, {"usr/lib/debug", "/"}};
	const char *name, *slash = strrchr(path, '/');
	char candidate[4096 + 2 * DEBUG_LINK_MAX];
	uint32_t crc;

	if (!slash || slash - path > 4096 || !read_debug_link(obj, &name, &crc))
		return -ENOENT;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
		int fd;

		snprintf(candidate, sizeof(candidate), "%s%.*s%s%s", places[i][0],
			 (int)(slash - path), path, places[i][1], name);
		fd = elf_object__open_below(root, candidate);
		if (fd < 0)
			continue;
		if (checksum_is(obj, fd, crc))
			return fd;
		close(fd);
	}
	return -ENOENT;
}

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t wrote = write(fd, bytes, size);

		if (wrote <= 0)
			return -ENOMEM;
		bytes += wrote;
		size -= (size_t)wrote;
	}
	return 0;
}

static int unpack(const void *packed, size_t size, int to)
{
	lzma_stream stream = LZMA_STREAM_INIT;
	uint8_t piece[PIECE_BYTES];
	lzma_ret ret = lzma_stream_decoder(&stream, MINI_DEBUG_MEMORY_MAX, LZMA_CONCATENATED);
	int err = ret == LZMA_OK ? 0 : -ENOMEM;

	stream.next_in = packed;
	stream.avail_in = size;
	while (!err && ret == LZMA_OK) {
		stream.next_out = piece;
		stream.avail_out = sizeof(piece);
		ret = lzma_code(&stream, LZMA_FINISH);
		if (ret != LZMA_OK && ret != LZMA_STREAM_END)
			err = ret == LZMA_MEM_ERROR ? -ENOMEM : -EINVAL;
		else if (stream.total_out > MINI_DEBUG_UNPACKED_MAX)
			err = -EFBIG;
		else
			err = write_all(to, piece, sizeof(piece) - stream.avail_out);
	}
	lzma_end(&stream);
	return err;
}

int elf_object__open_mini_debug(const struct elf_object *obj)
{
	Elf_Data *data = elf_object__section_data(obj, obj->mini_debug, MINI_DEBUG_MAX_BYTES, 1);
	int fd, err;

	if (!data)
		return obj->mini_debug ? -EINVAL : -ENOENT;
	fd = memfd_create("minidebuginfo", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	err = unpack(data->d_buf, data->d_size, fd);
	if (err) {
		close(fd);
		return err;
	}
	return fd;
}
