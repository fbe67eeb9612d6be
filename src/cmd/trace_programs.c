// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Programs that a command and its children load, each looked at once. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "census/proc_stat.h"
#include "cmd/trace_session.h"
#include "probe/dependency.h"
#include "probe/elf_object.h"
#include "unwind/unwinder.h"

/* A build runs some hundreds of programs; past this they are looked at each time they are loaded.
 */
#define PROGRAMS_MAX 4096

struct program_key {
	uint64_t dev;
	uint64_t ino;
};

struct known_program {
	UT_hash_handle hh;
	struct program_key key;
	char *preload;       /* LD_PRELOAD as it was then; NULL: not set */
	uint32_t allocators; /* as struct process has them */
};

static void remember(struct trace_session *session, const struct stat *st, const char *preload,
		     uint32_t allocators)
{
	struct program_key key = {.dev = st->st_dev, .ino = st->st_ino};
	struct known_program *program;

	HASH_FIND(hh, session->programs, &key, sizeof(key), program);
	if (program || HASH_COUNT(session->programs) >= PROGRAMS_MAX)
		return;
	program = calloc(1, sizeof(*program));
	if (!program)
		return;
	program->key = key;
	program->allocators = allocators;
	if (preload) {
		program->preload = strdup(preload);
		if (!program->preload) {
			free(program);
			return;
		}
	}
	HASH_ADD(hh, session->programs, key, sizeof(program->key), program);
}

/* The next one may have something else preloaded: then its maps must tell. */
static void take_known_allocators(struct process *process, const struct known_program *known)
{
	char *preload = NULL;

	proc_environ(process->pid, "LD_PRELOAD", &preload);
	if (!preload == !known->preload && (!preload || !strcmp(preload, known->preload)))
		process->allocators |= known->allocators;
	free(preload);
}

/* Whether the path names the same file to us as to the process. */
static bool same_file(const char *path, const struct stat *of_process)
{
	struct stat own;

	return !stat(path, &own) && own.st_dev == of_process->st_dev &&
	       own.st_ino == of_process->st_ino;
}

/* A program with a loader has its allocator from a library, if not in itself. */
static bool is_dynamic(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_object *elf;
	bool dynamic = false;

	if (fd < 0)
		return false;
	if (!elf_object__open(fd, path, &elf)) {
		dynamic = elf_object__interpreter(elf) != NULL;
		elf_object__close(elf);
	}
	close(fd);
	return dynamic;
}

/* Probes in what the list says. False: whether its allocator is among it is not certain. */
static bool prepare_list(struct trace_session *session, const struct dependency_list *list,
			 uint32_t *allocators, bool *attached)
{
	int own = -ENOENT;

	for (size_t i = 0; i < list->count; i++) {
		uint32_t kinds = 0;
		int n = coverage__prepare(session->coverage, list->paths[i], &kinds);

		unwinder__prepare(tracer__unwinder(session->tracer), list->paths[i]);
		*attached |= n > 0;
		if (!i)
			own = n;
		/* The others are only there in case that it loads them. */
		if (i < list->mapped)
			*allocators |= kinds;
	}
	/* A static program whose allocator has no name is not covered. */
	return list->count && (own >= 0 || is_dynamic(list->paths[0]));
}

bool trace_program__prepare(struct trace_session *session, struct process *process, bool *late)
{
	struct dependency_list list = {0};
	char *preload = NULL, *library_path = NULL;
	struct known_program *known;
	struct program_key key;
	char link[64];
	struct stat st;
	uint32_t allocators = 0;
	bool certain;
	int err;

	*late = false;
	snprintf(link, sizeof(link), "/proc/%u/exe", process->pid);
	if (!process->exe || stat(link, &st))
		return false;
	key = (struct program_key){.dev = st.st_dev, .ino = st.st_ino};
	HASH_FIND(hh, session->programs, &key, sizeof(key), known);
	if (known) {
		take_known_allocators(process, known);
		return true;
	}
	/* In another mount namespace its libraries are others: its maps will tell. */
	if (!same_file(process->exe, &st))
		return false;
	proc_environ(process->pid, "LD_PRELOAD", &preload);
	proc_environ(process->pid, "LD_LIBRARY_PATH", &library_path);
	err = dependency__of_command(process->exe, preload, library_path, &list);
	certain = !err && prepare_list(session, &list, &allocators, late);
	if (certain) {
		process->allocators |= allocators;
		remember(session, &st, preload, allocators);
	}
	dependency_list__free(&list);
	free(preload);
	free(library_path);
	return certain;
}

void trace_program__prepare_command(struct trace_session *session, const char *program)
{
	const char *preload = getenv("LD_PRELOAD");
	struct dependency_list list = {0};
	uint32_t allocators = 0;
	bool attached = false;
	struct stat st;

	if (dependency__of_command(program, preload, getenv("LD_LIBRARY_PATH"), &list))
		return;
	/*
	 * Known from its first exec on: to look at it once more then would take so long that the
	 * records behind that one wait, and a short program has ended before its mappings are read.
	 */
	if (prepare_list(session, &list, &allocators, &attached) && !stat(list.paths[0], &st))
		remember(session, &st, preload, allocators);
	for (size_t i = 0; i < list.count; i++)
		coverage__prepare_arenas(session->coverage, session->command.pid, list.paths[i]);
	dependency_list__free(&list);
}

void trace_programs__free(struct trace_session *session)
{
	struct known_program *program, *next;

	HASH_ITER (hh, session->programs, program, next) {
		HASH_DEL(session->programs, program);
		free(program->preload);
		free(program);
	}
}
