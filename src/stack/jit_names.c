// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "stack/jit_names.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <uthash.h>

#include "census/proc_file.h"
#include "stack/jit_map.h"

/* A process without such a file is asked again after twice as many frames each time, up to here. */
#define BACKOFF_MAX 4096
#define STATUS_MAX  4096

struct jit_process {
	UT_hash_handle hh;
	struct {
		uint64_t start_ns;
		uint64_t pid;
	} key;
	int fd; /* -1: there was none so far */
	uint32_t backoff, wait;
	struct jit_map map;
};

struct known_frame {
	UT_hash_handle hh;
	struct {
		uint64_t address;
		const char *name; /* of the pool: equal names are one */
	} key;
	uint64_t index;
};

struct jit_names {
	struct text_pool *texts;
	struct jit_process *processes;
	struct known_frame *known;
	struct jit_frame *frames;
	size_t count, room;
	size_t entries; /* of all processes */
};

struct jit_names *jit_names__new(void)
{
	struct jit_names *jit = calloc(1, sizeof(*jit));

	if (!jit)
		return NULL;
	jit->texts = text_pool__new(JIT_NAMES_MAX_BYTES);
	if (!jit->texts) {
		free(jit);
		return NULL;
	}
	return jit;
}

static void drop_process(struct jit_names *jit, struct jit_process *process)
{
	HASH_DEL(jit->processes, process);
	jit->entries -= process->map.count;
	if (process->fd >= 0)
		close(process->fd);
	jit_map__clear(&process->map);
	free(process);
}

void jit_names__free(struct jit_names *jit)
{
	struct jit_process *process, *next_process;
	struct known_frame *known, *next_known;

	if (!jit)
		return;
	HASH_ITER (hh, jit->processes, process, next_process)
		drop_process(jit, process);
	HASH_ITER (hh, jit->known, known, next_known) {
		HASH_DEL(jit->known, known);
		free(known);
	}
	free(jit->frames);
	text_pool__free(jit->texts);
	free(jit);
}

/* The last number of NSpid is the PID in its own namespace; the second of Uid the effective user.
 */
static bool read_status(uint32_t pid, unsigned int *own_pid, unsigned int *uid)
{
	char status[STATUS_MAX];
	const char *at;

	if (proc_file__read(pid, "status", status, sizeof(status)) < 0)
		return false;
	at = strstr(status, "\nUid:");
	if (!at || sscanf(at + 5, "%*u %u", uid) != 1)
		return false;
	at = strstr(status, "\nNSpid:");
	if (!at)
		return false;
	at += strlen("\nNSpid:");
	*own_pid = 0;
	while (*at == '\t' || *at == ' ') {
		char *end;

		*own_pid = (unsigned int)strtoul(at, &end, 10);
		if (end == at)
			break;
		at = end;
	}
	return *own_pid;
}

/* Only regular files of the right owner are opened: opening others may have effects. */
static int open_checked(int path_fd, unsigned int uid)
{
	char path[32];
	struct stat st;

	if (fstat(path_fd, &st) || !S_ISREG(st.st_mode) || (st.st_uid != uid && st.st_uid))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", path_fd);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static int open_map(uint32_t pid)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	unsigned int own_pid, uid;
	int root, path_fd, fd;
	char path[64];

	if (!read_status(pid, &own_pid, &uid))
		return -1;
	root = proc_file__open(pid, "root", O_PATH | O_DIRECTORY);
	if (root < 0)
		return -1;
	snprintf(path, sizeof(path), "tmp/perf-%u.map", own_pid);
	path_fd = (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
	close(root);
	if (path_fd < 0)
		return -1;
	fd = open_checked(path_fd, uid);
	close(path_fd);
	return fd;
}

static struct jit_process *find_process(struct jit_names *jit, uint32_t pid, uint64_t start_ns,
					bool make)
{
	struct jit_process *process, key;

	memset(&key, 0, sizeof(key));
	key.key.start_ns = start_ns;
	key.key.pid = pid;
	HASH_FIND(hh, jit->processes, &key.key, sizeof(key.key), process);
	if (process || !make)
		return process;
	/* uthash keeps the order of insertion: its head is the oldest. */
	if (HASH_COUNT(jit->processes) >= JIT_PROCESSES_MAX)
		drop_process(jit, jit->processes);
	process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->key = key.key;
	process->fd = -1;
	HASH_ADD(hh, jit->processes, key, sizeof(process->key), process);
	return process;
}

static bool has_map(struct jit_process *process)
{
	if (process->fd >= 0)
		return true;
	if (process->wait) {
		process->wait--;
		return false;
	}
	process->fd = open_map((uint32_t)process->key.pid);
	process->backoff = process->backoff < BACKOFF_MAX ? 2 * process->backoff + 1 : BACKOFF_MAX;
	process->wait = process->backoff;
	return process->fd >= 0;
}

static uint64_t keep_frame(struct jit_names *jit, uint64_t address, const struct jit_entry *entry)
{
	struct known_frame *known, key;

	memset(&key, 0, sizeof(key));
	key.key.address = address;
	key.key.name = entry->name;
	HASH_FIND(hh, jit->known, &key.key, sizeof(key.key), known);
	if (known)
		return known->index;
	if (jit->count == JIT_FRAMES_MAX)
		return JIT_NONE;
	if (jit->count == jit->room) {
		size_t room = jit->room ? 2 * jit->room : 256;
		struct jit_frame *bigger = reallocarray(jit->frames, room, sizeof(*bigger));

		if (!bigger)
			return JIT_NONE;
		jit->frames = bigger;
		jit->room = room;
	}
	known = calloc(1, sizeof(*known));
	if (!known)
		return JIT_NONE;
	known->key = key.key;
	known->index = jit->count;
	HASH_ADD(hh, jit->known, key, sizeof(known->key), known);
	jit->frames[jit->count] = (struct jit_frame){address, entry->start, entry->name};
	return jit->count++;
}

uint64_t jit_names__find(struct jit_names *jit, uint32_t pid, uint64_t start_ns, uint64_t address,
			 int is_return)
{
	struct jit_process *process = find_process(jit, pid, start_ns, true);
	const struct jit_entry *entry;

	if (!process || !has_map(process))
		return JIT_NONE;
	jit->entries -= process->map.count;
	process->map.max = JIT_ENTRIES_MAX - jit->entries;
	jit_map__read(&process->map, process->fd, jit->texts);
	jit->entries += process->map.count;
	entry = jit_map__find(&process->map, address - (is_return ? 1 : 0));
	return entry ? keep_frame(jit, address, entry) : JIT_NONE;
}

const struct jit_frame *jit_names__frame(const struct jit_names *jit, uint64_t frame)
{
	return frame < jit->count ? &jit->frames[frame] : NULL;
}

void jit_names__ended(struct jit_names *jit, uint32_t pid, uint64_t start_ns)
{
	struct jit_process *process = find_process(jit, pid, start_ns, false);

	if (process)
		drop_process(jit, process);
}
