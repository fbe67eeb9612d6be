// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/ledger_rules.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "census/proc_file.h"
#include "census/subject.h"

/* A container host has some thousands of mounts, few of which are tmpfs. */
#define TMPFS_MAX 4096

enum ledger_component mapping_kind__component(enum mapping_kind kind)
{
	static const enum ledger_component components[MAPPING_KINDS] = {
		[MAPPING_KERNEL] = LEDGER_COMPONENTS,
		[MAPPING_VDSO] = LEDGER_COMPONENTS,
		[MAPPING_MAIN_STACK] = LEDGER_MAIN_STACK,
		[MAPPING_BINARY] = LEDGER_BINARY,
		[MAPPING_BSS] = LEDGER_BINARY,
		[MAPPING_LOADER] = LEDGER_BINARY,
		[MAPPING_PROBES] = LEDGER_BINARY,
		[MAPPING_FILE] = LEDGER_FILE,
		[MAPPING_SHMEM] = LEDGER_SHMEM,
		[MAPPING_BRK] = LEDGER_BRK_HEAP,
		[MAPPING_LARGE] = LEDGER_LARGE_ANONYMOUS,
		[MAPPING_ANONYMOUS] = LEDGER_OTHER_ANONYMOUS,
		[MAPPING_UNKNOWN] = LEDGER_UNKNOWN,
	};

	return components[kind];
}

/* memfd, System V and shared anonymous memory lie in one file system that is mounted nowhere. */
static uint32_t learn_shmem_minor(void)
{
	int fd = memfd_create("memdrift", MFD_CLOEXEC);
	struct stat st;
	uint32_t found = 0;

	if (fd < 0)
		return 0;
	if (!fstat(fd, &st) && major(st.st_dev) == 0)
		found = minor(st.st_dev);
	close(fd);
	return found;
}

static int compare_devices(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

/* "25 24 0:23 / /dev/shm rw - tmpfs tmpfs rw": the third field and the one behind the dash. */
static bool parse_tmpfs(const char *line, uint64_t *device)
{
	const char *type = strstr(line, " - ");
	unsigned int dev_major, dev_minor;

	if (!type || strncmp(type, " - tmpfs ", 9) ||
	    sscanf(line, "%*u %*u %u:%u ", &dev_major, &dev_minor) != 2)
		return false;
	*device = (uint64_t)dev_major << 32 | dev_minor;
	return true;
}

static int read_tmpfs(uint32_t pid, struct mapping_rules *rules)
{
	int fd = proc_file__open(pid, "mountinfo", O_RDONLY);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
	char *line = NULL;
	size_t room = 0;

	rules->tmpfs = calloc(TMPFS_MAX, sizeof(*rules->tmpfs));
	if (!file && fd >= 0)
		close(fd);
	if (!rules->tmpfs) {
		if (file)
			fclose(file);
		return -ENOMEM;
	}
	if (!file)
		return 0; /* then names tell */
	while (rules->tmpfs_count < TMPFS_MAX && getline(&line, &room, file) > 0)
		rules->tmpfs_count += parse_tmpfs(line, &rules->tmpfs[rules->tmpfs_count]);
	free(line);
	fclose(file);
	qsort(rules->tmpfs, rules->tmpfs_count, sizeof(*rules->tmpfs), compare_devices);
	return 0;
}

int mapping_rules__open(struct mapping_rules *rules, uint32_t pid, const struct maps_entry *entries,
			size_t n, uint64_t start_brk, struct memory *memory)
{
	int err;

	*rules = (struct mapping_rules){.entries = entries, .n = n, .start_brk = start_brk};
	err = images__read(entries, n, memory, &rules->images);
	if (!err && pid) {
		rules->shmem_minor = learn_shmem_minor();
		err = read_tmpfs(pid, rules);
	}
	if (err)
		mapping_rules__close(rules);
	return err;
}

void mapping_rules__close(struct mapping_rules *rules)
{
	images__free(&rules->images);
	free(rules->tmpfs);
	memset(rules, 0, sizeof(*rules));
}

static bool starts_with(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

/* Private mappings of /dev/zero are anonymous memory that still bears a name (drivers/char/mem.c,
 * mmap_zero). */
static bool is_anonymous(const struct maps_entry *entry)
{
	return entry_is_anonymous(entry) ||
	       (!entry->shared && entry->inode && !strcmp(entry->path, "/dev/zero"));
}

static bool is_shmem(const struct mapping_rules *rules, const struct maps_entry *entry)
{
	const char *path = entry->path;
	uint64_t device = (uint64_t)entry->dev_major << 32 | entry->dev_minor;

	if (rules->shmem_minor && entry->inode && device == rules->shmem_minor)
		return true;
	if (rules->tmpfs_count && bsearch(&device, rules->tmpfs, rules->tmpfs_count,
					  sizeof(*rules->tmpfs), compare_devices))
		return true;
	/* Buffers that the kernel shares with a process: io_uring, perf, packet sockets, aio. */
	return starts_with(path, "/memfd:") || starts_with(path, "/SYSV") ||
	       starts_with(path, "/dev/zero") || starts_with(path, "/dev/shm/") ||
	       starts_with(path, "[anon_shmem:") || starts_with(path, "anon_inode:") ||
	       starts_with(path, "socket:") || starts_with(path, "/[aio]");
}

bool mapping_is_device(const struct maps_entry *entry)
{
	if (entry->shared)
		return true;
	return starts_with(entry->path, "/dev/") && !starts_with(entry->path, "/dev/shm/") &&
	       strcmp(entry->path, "/dev/zero") != 0;
}

static bool is_kernel_data(const struct maps_entry *entry)
{
	return starts_with(entry->path, "[vvar") || !strcmp(entry->path, "[vsyscall]");
}

bool mapping_is_kernels(const struct maps_entry *entry)
{
	return is_kernel_data(entry) || !strcmp(entry->path, "[vdso]");
}

/* What the loader's own allocations lie beside: libraries, and the kernel's pages for them. */
static bool is_library_side(const struct mapping_rules *rules, const struct maps_entry *entry)
{
	return images__is_binary(&rules->images, entry) || mapping_is_kernels(entry);
}

/* Whether the piece [start, end) of an anonymous entry touches a program or library. */
static bool touches_library(const struct mapping_rules *rules, size_t index, uint64_t start,
			    uint64_t end)
{
	const struct maps_entry *entry = &rules->entries[index];
	const struct maps_entry *before = index ? entry - 1 : NULL;
	const struct maps_entry *after = index + 1 < rules->n ? entry + 1 : NULL;

	if (start > entry->start)
		before = NULL;
	if (end < entry->end)
		after = NULL;
	return images__find(&rules->images, start - 1) ||
	       (before && before->end == start && is_library_side(rules, before)) ||
	       (after && after->start == end && is_library_side(rules, after));
}

/* Without the headers' word: zero-initialised data lies right behind the file's writable part. */
static bool is_behind_data(const struct mapping_rules *rules, size_t index)
{
	const struct maps_entry *entry = &rules->entries[index];
	const struct maps_entry *before = index ? entry - 1 : NULL;

	return before && before->end == entry->start && before->prot & PROT_WRITE &&
	       entry->prot & PROT_WRITE && images__is_binary(&rules->images, before) &&
	       !images__find(&rules->images, before->start);
}

static bool is_large(uint64_t bytes)
{
	return bytes >= LARGE_UNIT_BYTES && bytes % LARGE_UNIT_BYTES <= LARGE_STRAY(bytes);
}

static void lower(uint64_t *end, uint64_t start, uint64_t boundary)
{
	if (boundary > start && boundary < *end)
		*end = boundary;
}

static enum mapping_kind kind_of_anonymous(const struct mapping_rules *rules, size_t index,
					   uint64_t start, uint64_t *end)
{
	const struct maps_entry *entry = &rules->entries[index];
	const struct image *image = images__find(&rules->images, start);
	const uint32_t rw = PROT_READ | PROT_WRITE;

	/* The kernel names a whole mapping [heap] when the brk area lies in it, also where it was
	 * merged with the program's zero-initialised data below. */
	if (!strcmp(entry->path, "[heap]")) {
		lower(end, start, rules->start_brk);
		if (start >= rules->start_brk)
			return MAPPING_BRK;
	}
	if (image) {
		lower(end, start, image->end);
		return MAPPING_BSS;
	}
	if (is_behind_data(rules, index))
		return MAPPING_BSS;
	if (*end - start <= LOADER_BYTES_MAX && touches_library(rules, index, start, *end))
		return MAPPING_LOADER;
	return (entry->prot & rw) == rw && is_large(*end - start) ? MAPPING_LARGE
								  : MAPPING_ANONYMOUS;
}

enum mapping_kind mapping_rules__kind(const struct mapping_rules *rules, size_t index,
				      uint64_t start, uint64_t *end)
{
	const struct maps_entry *entry = &rules->entries[index];

	if (is_kernel_data(entry))
		return MAPPING_KERNEL;
	if (!strcmp(entry->path, "[vdso]"))
		return MAPPING_VDSO;
	if (!strcmp(entry->path, "[stack]"))
		return MAPPING_MAIN_STACK;
	if (!strcmp(entry->path, "[uprobes]"))
		return MAPPING_PROBES;
	if (is_anonymous(entry))
		return kind_of_anonymous(rules, index, start, end);
	if (images__is_binary(&rules->images, entry))
		return MAPPING_BINARY;
	if (is_shmem(rules, entry))
		return MAPPING_SHMEM;
	return entry->inode ? MAPPING_FILE : MAPPING_UNKNOWN;
}
