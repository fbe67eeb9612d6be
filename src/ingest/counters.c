// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What the BPF programs add up by themselves: read from their maps. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/log.h"
#include "ingest/tracer_impl.h"
#include "stack/kept_stack.h"
#include "unwind/unwinder.h"

/* As many values as there are CPUs. A child may be counted since its birth; its sums must stay. */
static int add_values(struct bpf_map *map, uint32_t pid, const void *values)
{
	size_t size = bpf_map__value_size(map) * (size_t)libbpf_num_possible_cpus();

	return bpf_map__update_elem(map, &pid, sizeof(pid), values, size, BPF_NOEXIST);
}

static int add_counts_of(struct tracer *tracer, uint32_t pid)
{
	size_t cpus = (size_t)libbpf_num_possible_cpus();
	struct alloc_counts *fresh = calloc(cpus, sizeof(*fresh));
	uint32_t space = 0;
	int err;

	if (!fresh)
		return -ENOMEM;
	if (tracer->live)
		space = live_set__new_space(tracer->live);
	for (size_t i = 0; i < cpus; i++)
		fresh[i].space = space;
	err = add_values(tracer->skel->maps.alloc_counts, pid, fresh);
	free(fresh);
	if (err && space)
		live_set__release(tracer->live, space);
	return err == -EEXIST ? 0 : err;
}

static int add_classes_of(struct tracer *tracer, uint32_t pid)
{
	struct class_counts *fresh =
		calloc((size_t)libbpf_num_possible_cpus(), sizeof(struct class_counts));
	int err = fresh ? add_values(tracer->skel->maps.class_counts, pid, fresh) : -ENOMEM;

	free(fresh);
	return err == -EEXIST ? 0 : err;
}

int tracer__count(struct tracer *tracer, uint32_t pid)
{
	int err = 0;

	/* Calls are counted from when it has alloc_counts. */
	if (tracer->count_classes)
		err = add_classes_of(tracer, pid);
	if (!err && tracer->count_mallocs)
		err = add_counts_of(tracer, pid);
	return err;
}

void tracer__uncount(struct tracer *tracer, uint32_t pid)
{
	bpf_map__delete_elem(tracer->skel->maps.alloc_counts, &pid, sizeof(pid), 0);
	if (tracer->count_classes)
		bpf_map__delete_elem(tracer->skel->maps.class_counts, &pid, sizeof(pid), 0);
}

int tracer__add_nested_call(struct tracer *tracer, uint16_t number, int64_t distance)
{
	uint64_t key = NESTED_CALL_KEY(number, distance);
	uint8_t present = 1;

	if (distance != (int32_t)distance)
		return -ERANGE;
	return bpf_map__update_elem(tracer->skel->maps.nested_calls, &key, sizeof(key), &present,
				    sizeof(present), BPF_ANY);
}

static void add_counts(struct alloc_counts *sums, const struct alloc_counts *cpu)
{
	for (int i = 0; i < CALL_ROWS; i++)
		sums->calls[i] += cpu->calls[i];
	for (int i = 0; i < SIZE_BUCKETS; i++) {
		sums->buckets[i].count += cpu->buckets[i].count;
		sums->buckets[i].bytes += cpu->buckets[i].bytes;
	}
	sums->impossible += cpu->impossible;
	sums->tail_calls += cpu->tail_calls;
	sums->failed += cpu->failed;
	sums->failed_bytes += cpu->failed_bytes;
	sums->unknown_frees += cpu->unknown_frees;
	/* The same on all. */
	sums->space = cpu->space;
	sums->go_calls += cpu->go_calls;
	sums->stacks += cpu->stacks;
	sums->frames += cpu->frames;
}

int tracer__read_counts(struct tracer *tracer, uint32_t pid, struct alloc_counts *sums)
{
	int cpus = libbpf_num_possible_cpus(), err;
	struct alloc_counts *values = malloc(sizeof(*values) * (size_t)cpus);

	if (!values)
		return -ENOMEM;
	err = bpf_map__lookup_elem(tracer->skel->maps.alloc_counts, &pid, sizeof(pid), values,
				   sizeof(*values) * (size_t)cpus, 0);
	memset(sums, 0, sizeof(*sums));
	for (int i = 0; !err && i < cpus; i++)
		add_counts(sums, &values[i]);
	free(values);
	return err;
}

static void add_classes(struct class_counts *sums, const struct class_counts *cpu)
{
	for (int i = 0; i < CLASS_ROWS; i++) {
		sums->rows[i].count += cpu->rows[i].count;
		sums->rows[i].requested_bytes += cpu->rows[i].requested_bytes;
		sums->rows[i].class_bytes += cpu->rows[i].class_bytes;
	}
	sums->header_unknown += cpu->header_unknown;
}

int tracer__read_classes(struct tracer *tracer, uint32_t pid, struct class_counts *sums)
{
	int cpus = libbpf_num_possible_cpus(), err;
	struct class_counts *values;

	if (!tracer->count_classes)
		return -ENOENT;
	values = malloc(sizeof(*values) * (size_t)cpus);
	if (!values)
		return -ENOMEM;
	err = bpf_map__lookup_elem(tracer->skel->maps.class_counts, &pid, sizeof(pid), values,
				   sizeof(*values) * (size_t)cpus, 0);
	memset(sums, 0, sizeof(*sums));
	for (int i = 0; !err && i < cpus; i++)
		add_classes(sums, &values[i]);
	free(values);
	return err;
}

/* Sum over CPUs of one element of a per-CPU array of u64. */
static uint64_t read_per_cpu(struct bpf_map *map, uint32_t index)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t *values = calloc((size_t)cpus, sizeof(*values)), sum = 0;

	if (!values)
		return 0;
	if (!bpf_map__lookup_elem(map, &index, sizeof(index), values,
				  sizeof(*values) * (size_t)cpus, 0))
		for (int i = 0; i < cpus; i++)
			sum += values[i];
	free(values);
	return sum;
}

uint64_t tracer__bystander_hits(struct tracer *tracer)
{
	return read_per_cpu(tracer->skel->maps.bystander_hits, 0);
}

void tracer__read_losses(struct tracer *tracer, uint64_t *losses)
{
	struct unwind_pool_stats unwind;
	struct bpf_program *prog;

	for (uint32_t i = 0; i < LOSS_KERNEL_MAX; i++)
		losses[i] += read_per_cpu(tracer->skel->maps.losses, i);
	losses[LOSS_unwind_images_full] += unwinder__images_full(tracer->unwinder);
	unwinder__stats(tracer->unwinder, &unwind);
	losses[LOSS_unwind_tables_full] += unwind.refused;
	losses[LOSS_fault_cpus_missed] += tracer_faults__cpus_missed(tracer);
	bpf_object__for_each_program (prog, tracer->skel->obj) {
		struct bpf_prog_info info = {0};
		__u32 size = sizeof(info);

		if (bpf_program__fd(prog) < 0 ||
		    bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &size))
			continue;
		losses[LOSS_missed_recursion] += info.recursion_misses;
		if (info.recursion_misses)
			log_debug("%s was skipped %llu times", bpf_program__name(prog),
				  (unsigned long long)info.recursion_misses);
	}
}

/* Walks restart when the key at hand is deleted meanwhile: bounded by twice what a map may hold. */
static bool next_key(struct bpf_map *map, const void *from, void *next, uint32_t *steps)
{
	return (*steps)++ < 2 * bpf_map__max_entries(map) &&
	       !bpf_map__get_next_key(map, from, next, bpf_map__key_size(map));
}

static size_t add_range(struct address_range *ranges, size_t n, size_t max, uint64_t start,
			uint64_t len)
{
	if (n >= max || !len || start + len < start)
		return n;
	ranges[n] = (struct address_range){.start = start & ~0xfffull,
					   .end = (start + len + 0xfff) & ~0xfffull};
	return n + 1;
}

/*
 * Whether the thread has left the call that its entry tells of: the kernel may have skipped the
 * program that would have removed the entry. A thread that runs at this moment tells nothing.
 */
static bool has_left(uint32_t pid, uint32_t tid, uint32_t type)
{
	long number = type == REC_MUNMAP ? SYS_munmap : type == REC_MREMAP ? SYS_mremap : SYS_mmap;
	char path[64], text[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/task/%u/syscall", pid, tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return text[0] && strncmp(text, "running", 7) && strtol(text, NULL, 10) != number;
}

int tracer__read_inflight(struct tracer *tracer, uint32_t pid, struct address_range *ranges,
			  size_t max)
{
	struct bpf_map *map = tracer->skel->maps.inflight;
	uint32_t key, next, steps = 0;
	void *from = NULL;
	size_t n = 0;

	while (n < max && next_key(map, from, &next, &steps)) {
		struct inflight call;

		key = next;
		from = &key;
		if (bpf_map__lookup_elem(map, &key, sizeof(key), &call, sizeof(call), 0) ||
		    call.pid != pid || has_left(pid, key, call.type))
			continue;
		if (call.type == REC_MUNMAP || call.type == REC_MREMAP ||
		    (call.type == REC_MMAP && call.map_flags & 0x10 /* MAP_FIXED */))
			n = add_range(ranges, n, max, call.addr, call.len);
		if (call.type == REC_MREMAP && call.aux2)
			n = add_range(ranges, n, max, call.aux2, call.aux);
	}
	return (int)n;
}

int tracer__read_stack(const struct tracer *tracer, int32_t id, struct kept_stack *stack)
{
	return kept_stack__decode(tracer->stacks, tracer->stack_blocks, id, stack);
}

static void each_weight(struct bpf_map *map, uint32_t pid, tracer_weight_fn fn, void *ctx)
{
	struct stack_key key, next;
	struct size_count sums;
	void *from = NULL;
	uint32_t steps = 0;

	while (next_key(map, from, &next, &steps)) {
		key = next;
		from = &key;
		if ((!pid || key.pid == pid) &&
		    !bpf_map__lookup_elem(map, &key, sizeof(key), &sums, sizeof(sums), 0))
			fn(ctx, &key, &sums);
	}
}

void tracer__each_weight(struct tracer *tracer, uint32_t pid, tracer_weight_fn fn, void *ctx)
{
	each_weight(tracer->skel->maps.stack_counts, pid, fn, ctx);
}

void tracer__each_temporary(struct tracer *tracer, uint32_t pid, tracer_weight_fn fn, void *ctx)
{
	each_weight(tracer->skel->maps.temporaries, pid, fn, ctx);
}

bool tracer__was_reused(struct tracer *tracer, uint32_t pid, uint64_t start_ns)
{
	struct target target;

	return !bpf_map__lookup_elem(tracer->skel->maps.targets, &pid, sizeof(pid), &target,
				     sizeof(target), 0) &&
	       target.start_ns != start_ns;
}

void tracer__each_target(struct tracer *tracer, void (*fn)(void *ctx, uint32_t pid), void *ctx)
{
	struct bpf_map *map = tracer->skel->maps.targets;
	uint32_t key, next, steps = 0;
	void *from = NULL;

	while (next_key(map, from, &next, &steps)) {
		key = next;
		from = &key;
		fn(ctx, key);
	}
}
