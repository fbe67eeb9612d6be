// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/proc_maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "census/proc_file.h"
#include "model/model.h"

/* A path has at most 4,095 bytes, each of which the kernel may write as four. */
#define LINE_BYTES_MAX (64u << 10)

struct entry_list {
	struct maps_entry *entries;
	size_t n;
	size_t room;
};

static const char *read_hex(const char *p, const char *end, uint64_t *value)
{
	const char *first = p;
	uint64_t v = 0;

	for (; p < end && p - first < 17; p++) {
		unsigned int digit;

		if (*p >= '0' && *p <= '9')
			digit = *p - '0';
		else if (*p >= 'a' && *p <= 'f')
			digit = *p - 'a' + 10;
		else
			break;
		v = v << 4 | digit;
	}
	*value = v;
	return p == first || p - first > 16 ? NULL : p;
}

static const char *read_decimal(const char *p, const char *end, uint64_t *value)
{
	const char *first = p;
	uint64_t v = 0;

	for (; p < end && *p >= '0' && *p <= '9'; p++) {
		if (v > (UINT64_MAX - 9) / 10)
			return NULL;
		v = v * 10 + (*p - '0');
	}
	*value = v;
	return p == first ? NULL : p;
}

static const char *expect(const char *p, const char *end, char c)
{
	return p && p < end && *p == c ? p + 1 : NULL;
}

static const char *read_protection(const char *p, const char *end, struct maps_entry *entry)
{
	if (!p || end - p < 4 || (p[0] != 'r' && p[0] != '-') || (p[1] != 'w' && p[1] != '-') ||
	    (p[2] != 'x' && p[2] != '-') || (p[3] != 'p' && p[3] != 's'))
		return NULL;
	entry->prot = (p[0] == 'r' ? PROT_READ : 0) | (p[1] == 'w' ? PROT_WRITE : 0) |
		      (p[2] == 'x' ? PROT_EXEC : 0);
	entry->shared = p[3] == 's';
	return p + 4;
}

/*
 * The kernel writes a line break as \012 and leaves all else as it is, backslashes too: a file
 * that has those four characters in its name cannot be told from one with a line break.
 */
static char *copy_path(const char *p, const char *end)
{
	char *path = malloc(end - p + 1);
	char *out = path;

	if (!path)
		return NULL;
	while (p < end) {
		if (*p == '\\' && end - p >= 4 && memcmp(p, "\\012", 4) == 0) {
			*out++ = '\n';
			p += 4;
		} else {
			*out++ = *p++;
		}
	}
	*out = '\0';
	return path;
}

/* "start-end rwxp offset major:minor inode   path" without its line break. */
static int parse_line(const char *p, const char *end, struct maps_entry *entry)
{
	uint64_t major, minor;

	p = read_hex(p, end, &entry->start);
	p = expect(p, end, '-');
	p = p ? read_hex(p, end, &entry->end) : NULL;
	p = expect(p, end, ' ');
	p = read_protection(p, end, entry);
	p = expect(p, end, ' ');
	p = p ? read_hex(p, end, &entry->offset) : NULL;
	p = expect(p, end, ' ');
	p = p ? read_hex(p, end, &major) : NULL;
	p = expect(p, end, ':');
	p = p ? read_hex(p, end, &minor) : NULL;
	p = expect(p, end, ' ');
	p = p ? read_decimal(p, end, &entry->inode) : NULL;
	if (!p || entry->end < entry->start)
		return -EINVAL;
	entry->dev_major = major;
	entry->dev_minor = minor;
	while (p < end && *p == ' ')
		p++;
	entry->path = copy_path(p, end);
	return entry->path ? 0 : -ENOMEM;
}

static int grow_list(struct entry_list *list)
{
	size_t room = list->room ? 2 * list->room : 256;
	struct maps_entry *entries;

	if (list->n == MAPS_ENTRIES_MAX)
		return -E2BIG;
	entries = reallocarray(list->entries, room, sizeof(*entries));
	if (!entries)
		return -ENOMEM;
	list->entries = entries;
	list->room = room;
	return 0;
}

static int add_line(struct entry_list *list, const char *line, const char *end)
{
	struct maps_entry *entry;
	uint64_t seen_to = list->n ? list->entries[list->n - 1].end : 0;
	int err = 0;

	if (list->n == list->room)
		err = grow_list(list);
	if (err)
		return err;
	entry = &list->entries[list->n];
	err = parse_line(line, end, entry);
	if (err)
		return err;
	/*
	 * A mapping that merged with its lower neighbour after that one was written out is shown
	 * from the neighbour's start: only what lies above is news.
	 */
	if (entry->start < seen_to) {
		uint64_t cut = (entry->end < seen_to ? entry->end : seen_to) - entry->start;

		entry->start += cut;
		if (entry->inode)
			entry->offset += cut;
	}
	if (entry->start == entry->end)
		free(entry->path);
	else
		list->n++;
	return 0;
}

/* Takes whole lines; *used tells how far. */
static int add_lines(struct entry_list *list, const char *text, size_t size, size_t *used)
{
	const char *p = text, *end = text + size;
	int err = 0;

	while (!err && p < end) {
		const char *line_end = memchr(p, '\n', end - p);

		if (!line_end)
			break;
		err = add_line(list, p, line_end);
		p = line_end + 1;
	}
	*used = p - text;
	return err;
}

static int finish_list(struct entry_list *list, int err, struct maps_entry **entries, size_t *n)
{
	if (err) {
		maps_entries__free(list->entries, list->n);
		return err;
	}
	if (!list->n) {
		free(list->entries);
		list->entries = NULL;
	}
	*entries = list->entries;
	*n = list->n;
	return 0;
}

int proc_maps__parse(const char *text, size_t size, struct maps_entry **entries, size_t *n)
{
	struct entry_list list = {0};
	size_t used;
	int err = add_lines(&list, text, size, &used);

	if (!err && used != size)
		err = add_line(&list, text + used, text + size);
	return finish_list(&list, err, entries, n);
}

static int read_lines(int fd, struct entry_list *list)
{
	size_t have = 0, used;
	char *buf = malloc(LINE_BYTES_MAX);
	int err = 0;

	if (!buf)
		return -ENOMEM;
	while (!err) {
		ssize_t got = read(fd, buf + have, LINE_BYTES_MAX - have);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			err = -errno;
		if (got <= 0)
			break;
		have += got;
		err = add_lines(list, buf, have, &used);
		have -= used;
		memmove(buf, buf + used, have);
		if (have == LINE_BYTES_MAX)
			err = -EINVAL;
	}
	if (!err && have)
		err = -EINVAL; /* the kernel ends every line */
	free(buf);
	return err;
}

static int read_maps(uint32_t pid, const char *name, struct maps_entry **entries, size_t *n)
{
	struct entry_list list = {0};
	int fd = proc_file__open(pid, name, O_RDONLY);
	int err;

	if (fd < 0)
		return fd;
	err = read_lines(fd, &list);
	close(fd);
	return finish_list(&list, err, entries, n);
}

int proc_maps__read(uint32_t pid, struct maps_entry **entries, size_t *n)
{
	char name[64];
	uint32_t tid;
	int err = read_maps(pid, "maps", entries, n);

	if (err || *n)
		return err;
	/* Nothing mapped: no memory at all, or only the leader has none left. */
	err = proc_memory_tid(pid, &tid);
	if (err == -ENOENT || (!err && tid == pid))
		return 0;
	if (err)
		return err;
	snprintf(name, sizeof(name), "task/%u/maps", tid);
	return read_maps(pid, name, entries, n);
}

const struct maps_entry *proc_maps__find(const struct maps_entry *entries, size_t n, uint64_t addr)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (entries[middle].end <= addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && entries[low].start <= addr ? &entries[low] : NULL;
}
