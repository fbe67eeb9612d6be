// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * attach_empty PID: an empty BPF program on each site where `memdrift trace -p PID` would count,
 * with the same kind of link, for tools/bench. Reads "on" and "off" and answers with the number of
 * probes in place.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/doctor_calibrate.h"
#include "memdrift/config.h"
#include "ingest/programs.h"
#include "probe/allocator.h"
#include "probe/attach.h"

/* More objects with an allocator than any program maps. */
#define OBJECTS_MAX 16

struct empty {
	struct memdrift *skel;
	struct allocator_cache *cache;
	pid_t pid;
	struct probe_link *links[OBJECTS_MAX];
	size_t object_count;
	size_t probes;
};

static int load(struct empty *empty)
{
	struct bpf_program *prog;
	struct bpf_map *map;

	empty->skel = memdrift__open();
	if (!empty->skel)
		return -errno;
	bpf_object__for_each_program (prog, empty->skel->obj)
		bpf_program__set_autoload(prog, prog == empty->skel->progs.empty_probe);
	bpf_map__set_max_entries(empty->skel->maps.records, (uint32_t)sysconf(_SC_PAGESIZE));
	bpf_object__for_each_map(map, empty->skel->obj) if (bpf_map__type(map) ==
							    BPF_MAP_TYPE_PERCPU_HASH)
		bpf_map__set_max_entries(map, 1);
	attach__choose_type(empty->skel->progs.empty_probe);
	return memdrift__load(empty->skel);
}

static int attach_object(void *ctx, const struct allocator_mapping *mapping)
{
	struct attach_site sites[ALLOCATOR_FUNCTIONS_MAX];
	const struct allocator_object *object = mapping->object;
	struct empty *empty = ctx;
	size_t n = 0;
	char path[40];
	int err;

	if (empty->object_count == OBJECTS_MAX)
		return -ENOSPC;
	for (size_t i = 0; i < object->function_count; i++)
		if (object->functions[i].ready)
			sites[n++] =
				(struct attach_site){.offset = object->functions[i].site.offset};
	snprintf(path, sizeof(path), "/proc/self/fd/%d", mapping->fd);
	err = attach__uprobes(empty->skel->progs.empty_probe, ATTACH_HERE, empty->pid, path, sites,
			      n, &empty->links[empty->object_count]);
	if (err)
		return err;
	empty->object_count++;
	for (size_t i = 0; i < n; i++)
		empty->probes += !sites[i].error;
	return 0;
}

static void detach(struct empty *empty)
{
	while (empty->object_count)
		probe_link__close(empty->links[--empty->object_count]);
	empty->probes = 0;
}

static int obey(struct empty *empty)
{
	char line[16];
	int err = 0;

	while (!err && fgets(line, sizeof(line), stdin)) {
		detach(empty);
		if (!strcmp(line, "on\n"))
			err = allocator_cache__each_mapped(empty->cache, empty->pid, attach_object,
							   empty, NULL);
		printf("%zu\n", empty->probes);
		fflush(stdout);
	}
	detach(empty);
	return err;
}

int main(int argc, char **argv)
{
	struct empty empty = {0};
	struct insn_costs costs;
	int err;

	if (argc != 2 || (empty.pid = atoi(argv[1])) <= 0) {
		fprintf(stderr, "usage: attach_empty PID\n");
		return 2;
	}
	log_bridge_libbpf();
	/* Measured as memdrift does, for the sites follow from it. */
	err = doctor_calibrate(&costs);
	if (!err)
		err = load(&empty);
	if (!err) {
		empty.cache = allocator_cache__new(&costs);
		err = empty.cache ? obey(&empty) : -ENOMEM;
	}
	if (err)
		fprintf(stderr, "attach_empty: %s\n", strerror(-err));
	allocator_cache__free(empty.cache);
	memdrift__destroy(empty.skel);
	return err ? 1 : 0;
}
