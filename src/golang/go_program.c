// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "golang/go_program.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "census/proc_file.h"
#include "golang/go_crossref.h"
#include "probe/elf_object.h"

static const char *const names[GO_VARIABLES] = {
	[GO_CONTROLLER] = "runtime.gcController",
	[GO_MEMSTATS] = "runtime.memstats",
	[GO_MHEAP] = "runtime.mheap_",
	[GO_PERSISTENT_CHUNKS] = "runtime.persistentChunks",
	[GO_BUCKHASH] = "runtime.buckhash",
	[GO_GC_BITS] = "runtime.gcBitsArenas",
};

/* The kernel tells where the program begins to run: a position-independent one lies anywhere, and
 * the first segment of Go's own linker is not at 0. */
static int read_slide(uint32_t pid, const struct elf_object *obj, uint64_t *slide)
{
	static const uint64_t type = AT_ENTRY;
	uint64_t entry;
	int err = proc_auxv(pid, &type, 1, &entry);

	if (err)
		return err;
	*slide = entry - elf_object__entry(obj);
	return entry ? 0 : -ENOENT;
}

static bool have_variables(const struct go_program *program)
{
	return program->at[GO_CONTROLLER] && program->at[GO_MEMSTATS] && program->at[GO_MHEAP];
}

/* Symbols of the program, or of its separate debug file, which is at the same addresses. */
static void find_by_symbols(struct go_program *program, struct elf_object *obj, int fd)
{
	if (elf_object__find_variables(obj, names, GO_VARIABLES, program->at) <= 0 ||
	    !have_variables(program))
		return;
	if (!go_layout__read_dwarf(fd, &program->layout)) {
		program->source = "symbols and DWARF";
	} else if (go_layout__of_version(program->version, &program->layout)) {
		program->source = "symbols, offsets of this version";
		program->by_version = true;
	}
	program->known = program->source;
}

static void find_by_debug_file(struct go_program *program, const struct elf_object *obj)
{
	int fd = elf_object__open_debug_file(obj, "/");
	struct elf_object *debug;

	if (fd < 0)
		return;
	if (!elf_object__open(fd, "the debug file of a Go program", &debug)) {
		find_by_symbols(program, debug, fd);
		elf_object__close(debug);
	}
	close(fd);
}

/* Without symbols. */
static int find_by_code(struct go_program *program, const struct elf_object *obj,
			struct subject *subject)
{
	int err;

	if (!go_layout__of_version(program->version, &program->layout)) {
		program->why_unknown = "no symbols, and a version that is not known by its code";
		return 0;
	}
	err = go_crossref__find(obj, subject, program);
	if (err == -ENOMEM)
		return err;
	program->by_version = true;
	program->known = !err && have_variables(program);
	if (program->known)
		program->source = "references in the code, offsets of this version";
	else
		program->why_unknown = "no symbols, and its code refers to other variables";
	return 0;
}

static int locate(struct go_program *program, struct elf_object *obj, int fd,
		  struct subject *subject)
{
	int err = 0;

	find_by_symbols(program, obj, fd);
	if (!program->known && !have_variables(program))
		find_by_debug_file(program, obj);
	if (!program->known && have_variables(program))
		program->why_unknown = "no DWARF that serves, and no known offsets";
	else if (!program->known)
		err = find_by_code(program, obj, subject);
	for (int i = 0; i < GO_VARIABLES; i++) {
		if (program->at[i])
			program->at[i] += program->slide;
	}
	return err;
}

static int match_cgo(void *ctx, const struct elf_function *function)
{
	/* runtime/asm_amd64.s has it in programs that link runtime/cgo. */
	return !strcmp(function->name, "_cgo_topofstack");
}

int go_program__read(struct subject *subject, struct go_program *program)
{
	int fd = proc_file__open(subject->pid, "exe", O_RDONLY | O_CLOEXEC);
	struct elf_object *obj;
	int err;

	*program = (struct go_program){0};
	if (fd < 0)
		return fd == -ESRCH && !subject__is_alive(subject) ? -ESRCH : -ENOENT;
	err = elf_object__open(fd, subject->exe ? subject->exe : "a program", &obj);
	if (err) {
		close(fd);
		return err == -ENOMEM ? err : -ENOENT;
	}
	if (!elf_object__go_version(obj, program->version, sizeof(program->version)) &&
	    !elf_object__is_go(obj))
		err = -ENOENT;
	if (!err)
		err = read_slide(subject->pid, obj, &program->slide);
	if (!err)
		err = locate(program, obj, fd, subject);
	if (!err)
		program->has_cgo = elf_object__each_go_function(obj, match_cgo, NULL) == 1;
	elf_object__close(obj);
	close(fd);
	return err == -ESRCH || err == -ENOMEM ? err : err ? -ENOENT : 0;
}
