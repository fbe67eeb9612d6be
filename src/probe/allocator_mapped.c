// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "base/log.h"
#include "base/text.h"
#include "probe/allocator.h"

/* One line of /proc/PID/maps, as far as it matters here. */
struct map_line {
	uint64_t start;
	uint64_t end;
	char perms[5];
	uint64_t ino;
	char dev[16];
	const char *path;
};

/* A file that this scan has seen, as the maps name it. All bytes set: it is a hash key. */
struct seen_key {
	char dev[16];
	uint64_t ino;
};

struct seen {
	struct seen_key key;
	UT_hash_handle hh;
};

static bool parse_line(char *text, struct map_line *line)
{
	int path = 0;

	memset(line, 0, sizeof(*line));
	text[strcspn(text, "\n")] = '\0';
	if (sscanf(text, "%" SCNx64 "-%" SCNx64 " %4s %*x %15s %" SCNu64 " %n", &line->start,
		   &line->end, line->perms, line->dev, &line->ino, &path) != 5)
		return false;
	line->path = path ? text + path : "";
	return true;
}

/* 1: new, 0: seen before, -ENOMEM. */
static int note_file(struct seen **all, const struct map_line *line)
{
	struct seen *entry;
	struct seen_key key = {.ino = line->ino};

	memcpy(key.dev, line->dev, sizeof(key.dev));
	HASH_FIND(hh, *all, &key, sizeof(key), entry);
	if (entry)
		return 0;
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->key = key;
	HASH_ADD(hh, *all, key, sizeof(entry->key), entry);
	if (entry->hh.tbl)
		return 1;
	free(entry);
	return -ENOMEM;
}

static void forget_files(struct seen *all)
{
	struct seen *entry, *next;

	HASH_ITER (hh, all, entry, next) {
		HASH_DEL(all, entry);
		free(entry);
	}
}

/*
 * Opens only what is a regular file: opening a device that someone maps would be an act of ours
 * on that device.
 */
static int open_regular(const char *path)
{
	char self[64];
	struct stat st;
	int place, fd;

	place = open(path, O_PATH | O_CLOEXEC);
	if (place < 0)
		return -errno;
	if (fstat(place, &st) || !S_ISREG(st.st_mode)) {
		close(place);
		return -ENOTSUP;
	}
	snprintf(self, sizeof(self), "/proc/self/fd/%d", place);
	fd = open(self, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		fd = -errno;
	close(place);
	return fd;
}

/* The path in the target's mount namespace, if the same file is still there. */
static int open_by_path(pid_t pid, const struct map_line *line)
{
	struct stat st;
	char *path;
	int fd;

	if (line->path[0] != '/' || asprintf(&path, "/proc/%d/root%s", pid, line->path) < 0)
		return -ENOENT;
	fd = open_regular(path);
	free(path);
	if (fd >= 0 && (fstat(fd, &st) || st.st_ino != line->ino)) {
		close(fd);
		return -ENOENT;
	}
	return fd;
}

static int open_mapped(pid_t pid, const struct map_line *line)
{
	char path[96];
	int fd;

	/* Reaches deleted files and other mount namespaces; needs privilege over the target. */
	snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, pid, line->start,
		 line->end);
	fd = open_regular(path);
	if (fd == -EPERM || fd == -EACCES || fd == -ENOENT) {
		int other = open_by_path(pid, line);

		return other >= 0 ? other : fd;
	}
	return fd;
}

struct scan {
	struct allocator_cache *cache;
	pid_t pid;
	char root[32];
	allocator_mapping_fn fn;
	void *ctx;
	struct allocator_scan counts;
};

static void count_unread(struct scan *s, const struct map_line *line, int err)
{
	char name[256];

	s->counts.unread++;
	log_debug("cannot search %s (mapped by pid %d) for allocators: %s",
		  text_printable(name, sizeof(name), line->path), s->pid, strerror(-err));
}

static int visit_file(struct scan *s, const struct map_line *line)
{
	struct allocator_mapping mapping = {
		.pid = s->pid, .path = line->path, .start = line->start};
	int err;

	s->counts.objects++;
	mapping.fd = open_mapped(s->pid, line);
	if (mapping.fd < 0) {
		/*
		 * Since the line was read it was unmapped or cut, or the process has ended: there
		 * is nothing to search.
		 */
		if (mapping.fd != -ENOENT && mapping.fd != -ESRCH)
			count_unread(s, line, mapping.fd);
		return 0;
	}
	err = allocator_cache__find(s->cache, mapping.fd, line->path, s->root, &mapping.object);
	if (!err) {
		err = s->fn(s->ctx, &mapping);
		allocator_object__put(mapping.object);
	} else {
		if (err != -ENOENT)
			count_unread(s, line, err);
		err = 0;
	}
	close(mapping.fd);
	return err;
}

int allocator_cache__each_mapped(struct allocator_cache *cache, pid_t pid, allocator_mapping_fn fn,
				 void *ctx, struct allocator_scan *scan)
{
	struct scan s = {.cache = cache, .pid = pid, .fn = fn, .ctx = ctx};
	struct seen *files = NULL;
	struct map_line line;
	size_t size = 0;
	char *text = NULL;
	char path[32];
	FILE *maps;
	int err = 0;

	snprintf(s.root, sizeof(s.root), "/proc/%d/root", pid);
	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		return errno == ENOENT ? -ESRCH : -errno;
	errno = 0;
	while (!err && getline(&text, &size, maps) > 0) {
		if (!parse_line(text, &line) || line.perms[2] != 'x' || !line.ino)
			continue;
		err = note_file(&files, &line);
		if (err > 0)
			err = visit_file(&s, &line);
	}
	if (!err && ferror(maps))
		err = errno ? -errno : -EIO;
	free(text);
	fclose(maps);
	forget_files(files);
	if (scan)
		*scan = s.counts;
	return err;
}
