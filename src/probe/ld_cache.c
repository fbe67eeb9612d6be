// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/ld_cache.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* glibc's sysdeps/generic/dl-cache.h. Offsets of strings count from the start of the header. */
static const char old_magic[] = "ld.so-1.7.0";
static const char new_magic[] = "glibc-ld.so.cache1.1";

struct cache_header {
	char magic[20];
	uint32_t libraries;
	uint32_t string_bytes;
	uint8_t flags; /* byte order */
	uint8_t padding[3];
	uint32_t extension_offset;
	uint32_t unused[3];
};

struct cache_entry {
	int32_t flags;
	uint32_t soname;
	uint32_t path;
	uint32_t os_version;
	uint64_t hwcap;
};

/* Before 2.2's, a table for libc5 may come first: its magic, a count, 12 bytes each. */
#define OLD_HEADER_BYTES 16
#define OLD_ENTRY_BYTES  12

/* FLAG_ELF_LIBC6 and FLAG_X8664_LIB64 of glibc's ldconfig. */
#define FLAGS_X86_64 0x0303

/* 64 kB on a desktop with 1,500 libraries. */
#define CACHE_MAX_BYTES (16l << 20)

struct ld_cache {
	char *file; /* with a NUL of ours behind the end: every string ends */
	size_t size;
	size_t start; /* of the header */
	size_t libraries;
};

static char *read_whole(const char *path, size_t *size)
{
	struct stat st;
	char *file = NULL;
	ssize_t got;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > CACHE_MAX_BYTES)
		goto out;
	file = malloc((size_t)st.st_size + 1);
	if (!file)
		goto out;
	/* ldconfig replaces the file by a rename: what is open does not change. */
	got = pread(fd, file, (size_t)st.st_size, 0);
	if (got < 0 || got != st.st_size) {
		free(file);
		file = NULL;
		goto out;
	}
	file[got] = '\0';
	*size = (size_t)got;
out:
	close(fd);
	return file;
}

static bool find_header(struct ld_cache *cache)
{
	struct cache_header header;
	uint32_t old_count;

	if (cache->size >= OLD_HEADER_BYTES &&
	    !memcmp(cache->file, old_magic, sizeof(old_magic) - 1)) {
		memcpy(&old_count, cache->file + OLD_HEADER_BYTES - 4, sizeof(old_count));
		/* The next table is aligned to 8 bytes. */
		cache->start = (OLD_HEADER_BYTES + (size_t)old_count * OLD_ENTRY_BYTES + 7) & ~7ul;
	}
	if (cache->start > cache->size || cache->size - cache->start < sizeof(header))
		return false;
	memcpy(&header, cache->file + cache->start, sizeof(header));
	if (memcmp(header.magic, new_magic, sizeof(header.magic)))
		return false;
	cache->libraries = header.libraries;
	return (cache->size - cache->start - sizeof(header)) / sizeof(struct cache_entry) >=
	       cache->libraries;
}

struct ld_cache *ld_cache__open(const char *path)
{
	struct ld_cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return NULL;
	cache->file = read_whole(path, &cache->size);
	if (!cache->file || !find_header(cache)) {
		ld_cache__close(cache);
		return NULL;
	}
	return cache;
}

void ld_cache__close(struct ld_cache *cache)
{
	if (!cache)
		return;
	free(cache->file);
	free(cache);
}

int ld_cache__each(const struct ld_cache *cache, ld_cache_fn fn, void *ctx)
{
	int err = 0;

	for (size_t i = 0; cache && i < cache->libraries && !err; i++) {
		const char *base = cache->file + cache->start;
		size_t left = cache->size - cache->start;
		struct cache_entry entry;

		memcpy(&entry, base + sizeof(struct cache_header) + i * sizeof(entry),
		       sizeof(entry));
		if (entry.flags != FLAGS_X86_64 || entry.soname >= left || entry.path >= left)
			continue;
		err = fn(ctx, base + entry.soname, base + entry.path);
	}
	return err;
}
