// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * attach_stack: what a call stack costs, for tools/bench. Reads a command a line, answers with a
 * number:
 *
 *	empty PID    an empty BPF program on the function probed() of stack_depth  -> 1
 *	walk PID     memdrift's walk                                                -> 1
 *	kernel PID   bpf_get_stack                                                  -> 1
 *	off          takes it off -> frames of the last stack; 0 of `empty`
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "ingest/programs.h"
#include "memdrift/config.h"
#include "memdrift/unwind.h"
#include "probe/attach.h"
#include "probe/elf_object.h"
#include "unwind/unwinder.h"

struct bench {
	struct memdrift *skel;
	struct unwinder *unwinder;
	struct probe_link *link;
};

static int load(struct bench *bench)
{
	struct memdrift *skel = memdrift__open();
	struct bpf_program *prog;
	struct bpf_map *map;
	int err;

	bench->skel = skel;
	if (!skel)
		return -errno;
	bpf_object__for_each_program (prog, skel->obj)
		bpf_program__set_autoload(prog, prog == skel->progs.empty_probe ||
							prog == skel->progs.bench_walk ||
							prog == skel->progs.bench_get_stack ||
							prog == skel->progs.unwind_publish);
	bpf_map__set_max_entries(skel->maps.records, (uint32_t)sysconf(_SC_PAGESIZE));
	bpf_object__for_each_map(map, skel->obj)
	{
		if (bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_HASH)
			bpf_map__set_max_entries(map, 1);
	}
	skel->rodata->config.walk_slots = bpf_map__max_entries(skel->maps.walk_slots);
	skel->rodata->config.stack_blocks = bpf_map__max_entries(skel->maps.stack_blocks);
	skel->rodata->config.stack_hash_mask = ~0ull;
	attach__choose_type(skel->progs.empty_probe);
	attach__choose_type(skel->progs.bench_walk);
	attach__choose_type(skel->progs.bench_get_stack);
	err = memdrift__load(skel);
	if (!err)
		err = unwinder__open(skel, false, &bench->unwinder);
	return err;
}

static int take_probed(void *ctx, const struct elf_function *function)
{
	uint64_t *offset = ctx;

	if (!strcmp(function->name, "probed"))
		*offset = function->file_offset;
	return 0;
}

/* Where probed() is in the program's file. 0: nowhere. */
static uint64_t find_probed(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct elf_object *elf;
	uint64_t offset = 0;

	if (fd < 0)
		return 0;
	if (!elf_object__open(fd, path, &elf)) {
		elf_object__each_function(elf, ELF_SYMTAB, take_probed, &offset);
		elf_object__close(elf);
	}
	close(fd);
	return offset;
}

static int put_on(struct bench *bench, const struct bpf_program *prog, int pid)
{
	struct attach_site site = {0};
	char path[40];
	int err = unwinder__look(bench->unwinder, (uint32_t)pid);

	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	site.offset = find_probed(path);
	if (!err && !site.offset)
		err = -ENOENT;
	if (!err)
		err = attach__uprobes(prog, ATTACH_HERE, pid, path, &site, 1, &bench->link);
	puts("1");
	return err;
}

static void take_off(struct bench *bench)
{
	probe_link__close(bench->link);
	bench->link = NULL;
	printf("%u\n", bench->skel->bss->bench_frames);
	bench->skel->bss->bench_frames = 0;
}

static int obey(struct bench *bench)
{
	const struct memdrift *skel = bench->skel;
	char line[32];
	int err = 0, pid;

	while (!err && fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "empty %d", &pid) == 1)
			err = put_on(bench, skel->progs.empty_probe, pid);
		else if (sscanf(line, "walk %d", &pid) == 1)
			err = put_on(bench, skel->progs.bench_walk, pid);
		else if (sscanf(line, "kernel %d", &pid) == 1)
			err = put_on(bench, skel->progs.bench_get_stack, pid);
		else
			take_off(bench);
		fflush(stdout);
	}
	return err;
}

int main(void)
{
	struct bench bench = {0};
	int err;

	log_bridge_libbpf();
	err = load(&bench);
	if (!err)
		err = obey(&bench);
	if (err)
		fprintf(stderr, "attach_stack: %s\n", strerror(-err));
	probe_link__close(bench.link);
	unwinder__close(bench.unwinder);
	memdrift__destroy(bench.skel);
	return err ? 1 : 0;
}
