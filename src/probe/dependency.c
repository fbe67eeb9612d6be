// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/dependency.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <bsd/string.h>

#include "probe/elf_object.h"
#include "probe/ld_cache.h"

/* The kernel follows at most this many scripts (exec_binprm), and reads this much of each. */
#define SCRIPTS_MAX     5
#define SCRIPT_LINE_MAX 256

/* What the loader fills in for $LIB: Debian's way, then others'. */
static const char *const lib_names[] = {"lib/x86_64-linux-gnu", "lib64", "lib"};

static const char *const default_dirs[] = {
	"/lib/x86_64-linux-gnu",
	"/usr/lib/x86_64-linux-gnu",
	"/lib64",
	"/usr/lib64",
	"/lib",
	"/usr/lib",
	"/usr/local/lib", /* musl's */
};

/* Libraries for CPUs of these levels lie beside the plain ones and are preferred by the loader. */
static const char *const cpu_levels[] = {"glibc-hwcaps/x86-64-v4/", "glibc-hwcaps/x86-64-v3/",
					 "glibc-hwcaps/x86-64-v2/"};

struct library {
	char *path;
	char *origin; /* directory of the real file, for $ORIGIN */
	char *rpath;  /* NULL when absent or overruled by DT_RUNPATH */
	char *runpath;
	dev_t dev;
	ino_t ino;
	size_t parent; /* who needs it; the program is its own */
};

struct closure {
	struct library *libraries; /* DEPENDENCY_MAX */
	size_t count;
	struct ld_cache *cache;
	const char *library_path;
};

static bool is_known(const struct closure *c, const struct stat *st)
{
	for (size_t i = 0; i < c->count; i++) {
		if (c->libraries[i].dev == st->st_dev && c->libraries[i].ino == st->st_ino)
			return true;
	}
	return false;
}

static char *dup_or_null(const char *text)
{
	return text ? strdup(text) : NULL;
}

static char *real_directory(const char *path)
{
	char *real = realpath(path, NULL);
	char *slash = real ? strrchr(real, '/') : NULL;

	if (slash)
		slash[slash == real] = '\0';
	return real;
}

/*
 * Adds the file when it is an x86-64 ELF file. 1: it is there now or was before, 0: it is not
 * one, or there is no such file.
 */
static int add_file(struct closure *c, const char *path, size_t parent)
{
	struct library *library = &c->libraries[c->count];
	struct elf_object *elf;
	struct stat st;
	int fd, added = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return 0;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		goto close_fd;
	added = is_known(c, &st);
	if (added || c->count == DEPENDENCY_MAX || elf_object__open(fd, path, &elf))
		goto close_fd;
	*library = (struct library){.path = strdup(path),
				    .origin = real_directory(path),
				    .runpath = dup_or_null(elf_object__runpath(elf)),
				    .dev = st.st_dev,
				    .ino = st.st_ino,
				    .parent = parent};
	if (!library->runpath)
		library->rpath = dup_or_null(elf_object__rpath(elf));
	elf_object__close(elf);
	added = 1;
	c->count++;
close_fd:
	close(fd);
	return added;
}

/* Replaces $ORIGIN, $LIB and $PLATFORM (also ${…}) in the len bytes at text. */
static bool expand(const char *text, size_t len, const char *origin, const char *lib, char *out,
		   size_t size)
{
	const struct {
		const char *name;
		const char *value;
	} tokens[] = {{"ORIGIN", origin ? origin : "."}, {"LIB", lib}, {"PLATFORM", "x86_64"}};
	size_t used = 0;

	for (size_t i = 0; i < len;) {
		const char *value = NULL;

		for (size_t t = 0; text[i] == '$' && t < 3 && !value; t++) {
			size_t name = strlen(tokens[t].name),
			       brace = i + 1 < len && text[i + 1] == '{';

			if (len - i - 1 < name + 2 * brace ||
			    strncmp(text + i + 1 + brace, tokens[t].name, name) ||
			    (brace && text[i + 2 + name] != '}'))
				continue;
			value = tokens[t].value;
			i += 1 + name + 2 * brace;
		}
		if (value) {
			if (strlen(value) >= size - used)
				return false;
			used += strlcpy(out + used, value, size - used);
		} else {
			if (size - used < 2)
				return false;
			out[used++] = text[i++];
		}
	}
	out[used] = '\0';
	return used;
}

static bool add_from_directory(struct closure *c, const char *dir, const char *name, size_t parent)
{
	char path[PATH_MAX];
	bool added = false;

	/* Which level this CPU has is the loader's business: all that exist may be chosen. */
	for (size_t i = 0; i < sizeof(cpu_levels) / sizeof(cpu_levels[0]); i++) {
		if (snprintf(path, sizeof(path), "%s/%s%s", dir, cpu_levels[i], name) <
		    (int)sizeof(path))
			add_file(c, path, parent);
	}
	if (snprintf(path, sizeof(path), "%s/%s", dir, name) < (int)sizeof(path))
		added = add_file(c, path, parent);
	return added;
}

/* A list of directories with colons (LD_LIBRARY_PATH also with semicolons) between them. */
static bool add_from_list(struct closure *c, const char *list, const char *origin, const char *name,
			  size_t parent)
{
	while (list && *list) {
		size_t len = strcspn(list, ":;");

		for (size_t i = 0; len && i < sizeof(lib_names) / sizeof(lib_names[0]); i++) {
			char dir[PATH_MAX];

			if (expand(list, len, origin, lib_names[i], dir, sizeof(dir)) &&
			    add_from_directory(c, dir, name, parent))
				return true;
			if (!memmem(list, len, "LIB", 3))
				break;
		}
		list += len + (list[len] != '\0');
	}
	return false;
}

struct cache_query {
	struct closure *closure;
	const char *name;
	size_t parent;
	bool found;
};

static int match_soname(void *ctx, const char *soname, const char *path)
{
	struct cache_query *q = ctx;

	/* All of them: they differ in the CPU level. */
	if (!strcmp(soname, q->name) && add_file(q->closure, path, q->parent))
		q->found = true;
	return 0;
}

/* In the loader's order (ld.so(8)). */
static void add_needed(struct closure *c, const char *name, size_t parent)
{
	struct cache_query query = {.closure = c, .name = name, .parent = parent};
	const struct library *needer = &c->libraries[parent];

	if (strchr(name, '/')) {
		char path[PATH_MAX];

		if (expand(name, strlen(name), needer->origin, lib_names[0], path, sizeof(path)))
			add_file(c, path, parent);
		return;
	}
	if (!needer->runpath) {
		for (size_t i = parent;; i = c->libraries[i].parent) {
			if (add_from_list(c, c->libraries[i].rpath, c->libraries[i].origin, name,
					  parent))
				return;
			if (i == c->libraries[i].parent)
				break;
		}
	}
	if (add_from_list(c, c->library_path, needer->origin, name, parent) ||
	    add_from_list(c, needer->runpath, needer->origin, name, parent))
		return;
	ld_cache__each(c->cache, match_soname, &query);
	for (size_t i = 0; !query.found && i < sizeof(default_dirs) / sizeof(default_dirs[0]); i++)
		query.found = add_from_directory(c, default_dirs[i], name, parent);
}

/* Opens a library again for its names: only one needs to be held in memory at a time. */
static void add_needed_of(struct closure *c, size_t index)
{
	struct elf_object *elf;
	const char *name;
	int fd;

	fd = open(c->libraries[index].path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return;
	if (!elf_object__open(fd, c->libraries[index].path, &elf)) {
		/* musl's interpreter is its libc. */
		if (elf_object__interpreter(elf))
			add_file(c, elf_object__interpreter(elf), index);
		for (size_t i = 0; i < DEPENDENCY_MAX && (name = elf_object__needed(elf, i)); i++)
			add_needed(c, name, index);
		elf_object__close(elf);
	}
	close(fd);
}

static void add_preloads(struct closure *c, const char *list)
{
	while (list && *list) {
		size_t len = strcspn(list, " :\t\n");
		char name[PATH_MAX];

		if (len && len < sizeof(name)) {
			memcpy(name, list, len);
			name[len] = '\0';
			add_needed(c, name, 0);
		}
		list += len + (list[len] != '\0');
	}
}

static void add_preload_file(struct closure *c)
{
	char text[4096]; /* a few paths at most; the rest of a longer file is left */
	ssize_t got;
	int fd;

	fd = open("/etc/ld.so.preload", O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (got <= 0)
		return;
	text[got] = '\0';
	add_preloads(c, text);
}

static int match_allocator(void *ctx, const char *soname, const char *path)
{
	static const char *const prefixes[] = {"libc.so.6",   "libjemalloc.so", "libtcmalloc",
					       "libmimalloc", "libsnmalloc",    "libc.musl-"};

	for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		if (!strncmp(soname, prefixes[i], strlen(prefixes[i])))
			add_file(ctx, path, 0);
	}
	return 0;
}

/* The interpreter that a script names in its first line. 1, 0 when it is no script, or -errno. */
static int script_interpreter(const char *path, char interpreter[PATH_MAX])
{
	char line[SCRIPT_LINE_MAX + 1];
	struct stat st;
	ssize_t got;
	char *start;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return -errno;
	if (fstat(fd, &st))
		got = -errno;
	else if (!S_ISREG(st.st_mode))
		got = -EACCES;
	else
		got = pread(fd, line, SCRIPT_LINE_MAX, 0);
	close(fd);
	if (got < 2)
		return got < 0 ? (int)got : -ENOEXEC;
	line[got] = '\0';
	if (line[0] != '#' || line[1] != '!')
		return 0;
	line[strcspn(line, "\n")] = '\0';
	start = line + 2 + strspn(line + 2, " \t");
	start[strcspn(start, " \t")] = '\0';
	if (!*start)
		return -ENOEXEC;
	strlcpy(interpreter, start, PATH_MAX);
	return 1;
}

static int add_program(struct closure *c, const char *program)
{
	char path[PATH_MAX], next[PATH_MAX];

	if (strlcpy(path, program, sizeof(path)) >= sizeof(path))
		return -ENAMETOOLONG;
	for (int i = 0; i < SCRIPTS_MAX; i++) {
		int script = script_interpreter(path, next);

		if (script < 0)
			return script;
		if (!script)
			return add_file(c, path, 0) ? 0 : -ENOEXEC;
		strlcpy(path, next, sizeof(path));
	}
	return -ELOOP;
}

static int take_paths(struct closure *c, size_t mapped, struct dependency_list *out)
{
	out->paths = calloc(c->count + 1, sizeof(out->paths[0]));
	if (!out->paths)
		return -ENOMEM;
	for (size_t i = 0; i < c->count; i++) {
		if (!c->libraries[i].path)
			continue;
		out->paths[out->count++] = c->libraries[i].path;
		c->libraries[i].path = NULL;
		if (i < mapped)
			out->mapped = out->count;
	}
	return 0;
}

int dependency__of_command(const char *program, const char *preload, const char *library_path,
			   struct dependency_list *out)
{
	struct closure c = {.library_path = library_path};
	size_t mapped;
	int err;

	*out = (struct dependency_list){0};
	c.libraries = calloc(DEPENDENCY_MAX, sizeof(c.libraries[0]));
	if (!c.libraries)
		return -ENOMEM;
	c.cache = ld_cache__open("/etc/ld.so.cache");
	err = add_program(&c, program);
	if (!err) {
		add_preloads(&c, preload);
		add_preload_file(&c);
		/* Those that are found on the way are at the end of the list. */
		for (size_t i = 0; i < c.count; i++) {
			if (c.libraries[i].path)
				add_needed_of(&c, i);
		}
		mapped = c.count;
		ld_cache__each(c.cache, match_allocator, &c);
		add_file(&c, "/lib/ld-musl-x86_64.so.1", 0);
		err = take_paths(&c, mapped, out);
	}
	for (size_t i = 0; i < c.count; i++) {
		free(c.libraries[i].path);
		free(c.libraries[i].origin);
		free(c.libraries[i].rpath);
		free(c.libraries[i].runpath);
	}
	free(c.libraries);
	ld_cache__close(c.cache);
	return err;
}

void dependency_list__free(struct dependency_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->paths[i]);
	free(list->paths);
	*list = (struct dependency_list){0};
}
