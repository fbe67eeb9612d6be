// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "stack/debug_file.h"
#include "stack/objects_internal.h"
#include "stack/symbol_load.h"

#define VDSO_NAME      "[vdso]"
#define VDSO_BYTES_MAX (64u << 10)

static const char *root_of(const struct object *object, char root[32])
{
	snprintf(root, 32, "/proc/%u/root", object->pid);
	return root;
}

static int open_debug_file(struct object_cache *cache, struct object *object,
			   const struct elf_object *elf, bool use_servers)
{
	char root[32];

	if (object->debug_fd >= 0)
		return 0;
	object->debug_fd = debug_file__open(elf, object->path, root_of(object, root), use_servers);
	if (object->debug_fd < 0)
		return -ENOENT;
	cache->open_fds++;
	return 0;
}

void object_cache__hold_debug_file(struct object_cache *cache, struct object *object)
{
	struct stat own, other;
	struct elf_object *elf;
	char root[32];

	if (stat("/", &own) || stat(root_of(object, root), &other) ||
	    (own.st_dev == other.st_dev && own.st_ino == other.st_ino) ||
	    elf_object__open(object->fd, object->path, &elf))
		return;
	open_debug_file(cache, object, elf, false);
	elf_object__close(elf);
}

static void describe(struct object *object, const struct elf_object *elf)
{
	uint8_t id[ELF_BUILD_ID_MAX];
	struct elf_code_segment code;
	size_t bytes = elf_object__build_id(elf, id);

	for (size_t i = 0; i < bytes; i++)
		sprintf(object->build_id + 2 * i, "%02x", id[i]);
	while (object->segment_count < OBJECT_SEGMENTS_MAX &&
	       elf_object__code_segment(elf, object->segment_count, &code)) {
		struct frame_file *file = &object->files[object->segment_count++];

		file->text_vaddr = code.vaddr;
		file->text_offset = code.offset;
		file->text_bytes = code.bytes;
	}
}

/* Those without a build-id are known to be the same by their index only. */
static void fill_key(struct shared_key *key, const struct object *object,
		     const struct elf_object *elf)
{
	memset(key, 0, sizeof(*key));
	for (size_t i = 0; i < object->segment_count; i++) {
		key->code[i].vaddr = object->files[i].text_vaddr;
		key->code[i].offset = object->files[i].text_offset;
		key->code[i].bytes = object->files[i].text_bytes;
	}
	key->has_symtab = elf_object__has_symtab(elf);
	key->has_debug_file = object->debug_fd >= 0;
	if (object->build_id[0])
		snprintf(key->build_id, sizeof(key->build_id), "%s", object->build_id);
	else
		snprintf(key->build_id, sizeof(key->build_id), "object %u", object->index);
}

static void load_symbols(struct object_cache *cache, struct object *object, struct elf_object *elf)
{
	struct shared_symbols *shared;
	struct shared_key key;

	fill_key(&key, object, elf);
	HASH_FIND(hh, cache->shared, &key, sizeof(key), shared);
	if (shared) {
		object->symbols = shared->table;
		return;
	}
	shared = calloc(1, sizeof(*shared));
	if (!shared)
		return;
	shared->key = key;
	if (symbol_table__load(elf, object->path, object->debug_fd, &shared->table)) {
		free(shared);
		return;
	}
	object->symbols = shared->table;
	HASH_ADD(hh, cache->shared, key, sizeof(shared->key), shared);
}

/*
 * Of this process, and of all others on this kernel but those of 32 bits, as a file. It is the
 * kernel's own, and its section headers are its end.
 */
static int open_vdso(void)
{
	const Elf64_Ehdr *vdso = (const Elf64_Ehdr *)getauxval(AT_SYSINFO_EHDR);
	size_t bytes;
	int fd;

	if (!vdso)
		return -1;
	bytes = vdso->e_shoff + (size_t)vdso->e_shnum * vdso->e_shentsize;
	if (bytes > VDSO_BYTES_MAX)
		return -1;
	fd = memfd_create("vdso", MFD_CLOEXEC);
	if (fd >= 0 && write(fd, vdso, bytes) != (ssize_t)bytes) {
		close(fd);
		return -1;
	}
	return fd;
}

void object_cache__load(struct object_cache *cache, struct object *object)
{
	bool is_vdso = !strcmp(object->path, VDSO_NAME);
	struct elf_object *elf;

	if (object->loaded)
		return;
	object->loaded = true;
	for (size_t i = 0; i < OBJECT_SEGMENTS_MAX + 1; i++) {
		object->files[i].path = object->path;
		object->files[i].build_id = object->build_id;
	}
	if (is_vdso && object->fd < 0) {
		object->fd = open_vdso();
		cache->open_fds += object->fd >= 0;
	}
	if (object->fd >= 0 && !elf_object__open(object->fd, object->path, &elf)) {
		describe(object, elf);
		if (!is_vdso)
			open_debug_file(cache, object, elf, cache->use_servers);
		load_symbols(cache, object, elf);
		elf_object__close(elf);
	}
	if (!cache->keep_files)
		object_cache__close(cache, object);
}

const char *object_cache__function(struct object_cache *cache, uint32_t object,
				   uint64_t file_offset, uint64_t *start)
{
	if (object >= cache->count)
		return NULL;
	object_cache__load(cache, cache->objects[object]);
	if (!cache->objects[object]->symbols)
		return NULL;
	return symbol_table__find(cache->objects[object]->symbols, file_offset, start);
}

static struct frame_file *find_file(struct object *object, uint64_t file_offset)
{
	for (size_t i = 0; i < object->segment_count; i++) {
		struct frame_file *file = &object->files[i];

		if (file_offset >= file->text_offset &&
		    file_offset - file->text_offset < file->text_bytes)
			return file;
	}
	return &object->files[OBJECT_SEGMENTS_MAX];
}

const struct frame_file *object_cache__file(struct object_cache *cache, uint32_t object,
					    uint64_t file_offset)
{
	if (object >= cache->count || cache->objects[object]->path[0] != '/')
		return NULL;
	object_cache__load(cache, cache->objects[object]);
	return find_file(cache->objects[object], file_offset);
}

static void open_same(struct object_cache *cache, struct object *object, const char *path)
{
	struct stat st;

	if (object->fd >= 0 || stat(path, &st) || !S_ISREG(st.st_mode))
		return;
	object->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (object->fd < 0)
		return;
	cache->open_fds++;
	if (fstat(object->fd, &st) || st.st_dev != object->key.dev ||
	    st.st_ino != object->key.inode || (uint64_t)st.st_size != object->key.size ||
	    (uint64_t)st.st_mtim.tv_sec != object->key.changed_s ||
	    (uint64_t)st.st_mtim.tv_nsec != object->key.changed_ns)
		object_cache__close(cache, object);
}

/* The very file again, when it had to be closed. */
static void reopen(struct object_cache *cache, struct object *object)
{
	char root[32], path[PATH_MAX + 32];

	if (!object->key.inode)
		return;
	if ((size_t)snprintf(path, sizeof(path), "%s%s", root_of(object, root), object->path) <
	    sizeof(path))
		open_same(cache, object, path);
	open_same(cache, object, object->path);
}

int object_cache__lines(struct object_cache *cache, uint32_t index, const uint64_t *offsets,
			size_t n, source_line_fn fn, void *ctx)
{
	struct object *object = index < cache->count ? cache->objects[index] : NULL;
	struct elf_object *elf;
	uint64_t *vaddrs;
	int err;

	if (!object || object->path[0] != '/')
		return -ENOENT;
	object_cache__load(cache, object);
	reopen(cache, object);
	if (object->fd < 0 || elf_object__open(object->fd, object->path, &elf))
		return -ENOENT;
	open_debug_file(cache, object, elf, cache->use_servers);
	elf_object__close(elf);
	vaddrs = calloc(n, sizeof(*vaddrs));
	if (!vaddrs)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const struct frame_file *file = find_file(object, offsets[i]);

		vaddrs[i] = offsets[i] - file->text_offset + file->text_vaddr;
	}
	err = source_lines__read((const int[]){object->fd, object->debug_fd}, 2, vaddrs, n, fn,
				 ctx);
	free(vaddrs);
	return err;
}
