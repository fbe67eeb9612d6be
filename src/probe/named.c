// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/named.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "probe/elf_object.h"
#include "probe/near_names.h"

#define ROLES                                                                                      \
	"malloc, calloc, realloc, reallocarray, posix_memalign, aligned_alloc, memalign, valloc, " \
	"pvalloc and free"

#define FORM "write role=symbol or role=0xADDRESS, such as malloc=my_alloc,free=0x1240"

/* Name and file of a message, made safe to print. */
#define PRINTABLE_MAX 256

/* Functions of one name, in both tables; an alias at the same address is the same function. */
struct lookup {
	const char *symbol;
	uint64_t vaddr[4], size;
	size_t count;
	struct near_names *near; /* NULL: nobody asks for names that are like it */
};

static int look_at(void *ctx, const struct elf_function *function)
{
	struct lookup *l = ctx;

	if (strcmp(function->name, l->symbol)) {
		if (l->near)
			near_names__offer(l->near, function->name);
		return 0;
	}
	if (function->size > l->size)
		l->size = function->size;
	for (size_t i = 0; i < l->count; i++)
		if (l->vaddr[i] == function->vaddr)
			return 0;
	if (l->count < sizeof(l->vaddr) / sizeof(l->vaddr[0]))
		l->vaddr[l->count++] = function->vaddr;
	return 0;
}

static void search_tables(struct elf_object *elf, struct lookup *l)
{
	elf_object__each_function(elf, ELF_DYNSYM, look_at, l);
	elf_object__each_function(elf, ELF_SYMTAB, look_at, l);
}

/* The file's own symbols, and those that its distribution has for a stripped one. */
static void search_symbols(struct elf_object *elf, const char *path, struct lookup *l)
{
	struct elf_object *debug;
	int fd;

	search_tables(elf, l);
	if (l->count)
		return;
	fd = elf_object__open_debug_file(elf, "/");
	if (fd < 0)
		return;
	if (!elf_object__open(fd, path, &debug)) {
		search_tables(debug, l);
		elf_object__close(debug);
	}
	close(fd);
}

static int explain_missing(struct elf_object *elf, const char *path, struct lookup *l)
{
	struct near_names near = {.wanted = l->symbol};
	char names[NEAR_NAMES_TEXT_MAX], symbol[PRINTABLE_MAX], file[PRINTABLE_MAX];

	l->near = &near;
	search_symbols(elf, path, l);
	text_printable(symbol, sizeof(symbol), l->symbol);
	text_printable(file, sizeof(file), path);
	if (near_names__print(&near, names, sizeof(names)))
		log_error("--symbols: %s has no function %s; near it are %s", file, symbol, names);
	else if (near.offered)
		log_error("--symbols: %s has no function %s, nor any with a name like it", file,
			  symbol);
	else
		log_error("--symbols: %s has no symbols, %s no more than others: give its address",
			  file, symbol);
	return -EINVAL;
}

static int explain_several(const struct lookup *l, const char *path)
{
	char symbol[PRINTABLE_MAX], file[PRINTABLE_MAX];

	log_error("--symbols: %s has several functions %s, at 0x%" PRIx64 " and 0x%" PRIx64
		  "%s: give an address",
		  text_printable(file, sizeof(file), path),
		  text_printable(symbol, sizeof(symbol), l->symbol), l->vaddr[0], l->vaddr[1],
		  l->count > 2 ? " and others" : "");
	return -EINVAL;
}

static int find_symbol(struct elf_object *elf, const char *path, struct named_function *function,
		       const char *symbol)
{
	struct lookup l = {.symbol = symbol};

	search_symbols(elf, path, &l);
	if (!l.count)
		return explain_missing(elf, path, &l);
	if (l.count > 1)
		return explain_several(&l, path);
	function->vaddr = l.vaddr[0];
	function->size = l.size;
	return 0;
}

struct start_search {
	uint64_t vaddr;
	uint64_t start; /* of the function around it; 0: none is known */
};

static int look_around(void *ctx, const struct elf_function *function)
{
	struct start_search *s = ctx;

	if (function->vaddr == s->vaddr ||
	    (function->vaddr < s->vaddr && s->vaddr - function->vaddr < function->size))
		s->start = function->vaddr;
	return s->start == s->vaddr;
}

/*
 * A breakpoint inside of an instruction would change what the program does: what is known to be no
 * start of a function is refused.
 */
static int check_start(struct elf_object *elf, const char *path, uint64_t vaddr)
{
	struct start_search s = {.vaddr = vaddr};
	char file[PRINTABLE_MAX];
	uint64_t end;

	if (elf_object__function_at(elf, vaddr, &s.start, &end))
		s.start = 0;
	if (s.start != vaddr)
		elf_object__each_function(elf, ELF_DYNSYM, look_around, &s);
	if (s.start != vaddr)
		elf_object__each_function(elf, ELF_SYMTAB, look_around, &s);
	if (!s.start || s.start == vaddr)
		return 0;
	log_error("--symbols: 0x%" PRIx64 " of %s lies inside of the function at 0x%" PRIx64
		  ": give a function's first address",
		  vaddr, text_printable(file, sizeof(file), path), s.start);
	return -EINVAL;
}

static int find_address(struct elf_object *elf, const char *path, struct named_function *function,
			const char *text)
{
	char file[PRINTABLE_MAX], printable[PRINTABLE_MAX], *end;
	uint64_t offset, vaddr;

	errno = 0;
	vaddr = strtoull(text, &end, 16);
	text_printable(file, sizeof(file), path);
	if (errno || *end || end == text + 2) {
		log_error("--symbols: \"%s\" is no address; " FORM,
			  text_printable(printable, sizeof(printable), text));
		return -EINVAL;
	}
	if (elf_object__file_offset(elf, vaddr, &offset)) {
		log_error("--symbols: 0x%" PRIx64
			  " lies in no executable segment of %s; an address "
			  "is as `objdump -d` shows it, not one in a process",
			  vaddr, file);
		return -EINVAL;
	}
	function->vaddr = vaddr;
	return check_start(elf, path, vaddr);
}

/* One "role=place". */
static int add_function(struct named_object *object, struct elf_object *elf, char *text)
{
	struct named_function function = {.size = 0};
	char printable[PRINTABLE_MAX], shown[ALLOCATOR_KEY_MAX / 2];
	char *place = strchr(text, '=');
	int err;

	if (!place || place == text || !place[1]) {
		log_error("--symbols \"%s\" does not say what the function does: " FORM
			  "; roles are " ROLES,
			  text_printable(printable, sizeof(printable), text));
		return -EINVAL;
	}
	*place++ = '\0';
	if (family__role(text, &function.layout)) {
		log_error("--symbols: there is no role \"%s\"; roles are " ROLES,
			  text_printable(printable, sizeof(printable), text));
		return -EINVAL;
	}
	if (object->count == NAMED_FUNCTIONS_MAX) {
		log_error("--symbols: more than %d functions of one file", NAMED_FUNCTIONS_MAX);
		return -EINVAL;
	}
	err = strncmp(place, "0x", 2) ? find_symbol(elf, object->path, &function, place)
				      : find_address(elf, object->path, &function, place);
	if (err)
		return err;
	snprintf(function.key, sizeof(function.key), "%s (%s)",
		 text_printable(shown, sizeof(shown), place), text);
	object->functions[object->count++] = function;
	return 0;
}

static int add_functions(struct named_object *object, struct elf_object *elf, const char *symbols)
{
	char *text = strdup(symbols), *save = NULL;
	size_t before = object->count;
	int err = text ? 0 : -ENOMEM;

	for (char *word = text ? strtok_r(text, ",", &save) : NULL; word && !err;
	     word = strtok_r(NULL, ",", &save))
		err = add_function(object, elf, word);
	free(text);
	if (!err && object->count == before) {
		log_error("--symbols names no function: " FORM);
		err = -EINVAL;
	}
	return err;
}

/* The object at path, made when it is new. */
static int object_at(struct named_objects *objects, const char *path, int fd,
		     struct named_object **out)
{
	struct named_object *object;
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	*out = named_objects__find(objects, st.st_dev, st.st_ino);
	if (*out)
		return 0;
	if (objects->count == NAMED_OBJECTS_MAX) {
		log_error("--object: more than %d files", NAMED_OBJECTS_MAX);
		return -EINVAL;
	}
	object = calloc(1, sizeof(*object));
	if (!object)
		return -ENOMEM;
	object->path = strdup(path);
	if (!object->path) {
		free(object);
		return -ENOMEM;
	}
	object->dev = st.st_dev;
	object->ino = st.st_ino;
	objects->list[objects->count++] = object;
	*out = object;
	return 0;
}

static int explain_file(const char *path, int err)
{
	char file[PRINTABLE_MAX];

	text_printable(file, sizeof(file), path);
	if (err == -EINVAL)
		log_error("--object %s: this is no ELF file of a program or library", file);
	else if (err == -ENOTSUP)
		log_error("--object %s: this is no file of x86-64", file);
	else
		log_error("--object %s: %s", file, strerror(-err));
	return err == -EINVAL || err == -ENOTSUP ? -ENOEXEC : err;
}

int named_objects__add(struct named_objects *objects, const char *path, const char *symbols)
{
	/* O_NONBLOCK: a FIFO would wait for its writer. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), err;
	struct named_object *object = NULL;
	struct elf_object *elf;

	if (fd < 0)
		return explain_file(path, -errno);
	err = elf_object__open(fd, path, &elf);
	if (err) {
		close(fd);
		return explain_file(path, err);
	}
	err = object_at(objects, path, fd, &object);
	if (!err)
		err = add_functions(object, elf, symbols);
	elf_object__close(elf);
	close(fd);
	return err;
}

struct named_object *named_objects__find(const struct named_objects *objects, dev_t dev, ino_t ino)
{
	for (size_t i = 0; objects && i < objects->count; i++)
		if (objects->list[i]->dev == dev && objects->list[i]->ino == ino)
			return objects->list[i];
	return NULL;
}

void named_objects__free(struct named_objects *objects)
{
	for (size_t i = 0; i < objects->count; i++) {
		free(objects->list[i]->path);
		free(objects->list[i]);
	}
	objects->count = 0;
}
