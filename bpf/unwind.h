/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_UNWIND_H
#define MEMDRIFT_BPF_UNWIND_H

/* Walks up user stacks by the tables of memdrift/unwind.h. */
#include "common.h"
#include "memdrift/unwind.h"

/* Tables of all objects; the loader sets the size. User space writes them through mmap(2). */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, UNWIND_POOL_BLOCKS);
	__type(key, __u32);
	__type(value, union unwind_block);
} unwind_pool __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, UNWIND_RULES_MAX);
	__type(key, __u32);
	__type(value, struct unwind_rule);
} unwind_rules __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, UNWIND_OBJECTS_MAX);
	__type(key, __u32);
	__type(value, struct unwind_object);
} unwind_objects __weak SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, UNWIND_IMAGES_MAX);
	__type(key, __u32);
	__type(value, struct unwind_image);
} unwind_images __weak SEC(".maps");

/* Followed processes, as many as `targets` holds. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16384);
	__type(key, __u32);
	__type(value, struct unwind_process);
} unwind_procs __weak SEC(".maps");

/* Raised before blocks of the pool are given to another object. */
__u64 unwind_epoch __weak;

/* UNWIND_WANTS_*, by image; and how often something was asked for. */
__u8 unwind_wants[UNWIND_IMAGES_MAX] __weak;
__u32 unwind_asked __weak;

static __always_inline bool read_user(void *into, __u32 bytes, __u64 address)
{
	return !bpf_probe_read_user(into, bytes, (void *)address);
}

static __always_inline const union unwind_block *block_at(__u32 index)
{
	return bpf_map_lookup_elem(&unwind_pool, &index);
}

static __always_inline const struct unwind_rule *rule_at(__u32 index)
{
	return bpf_map_lookup_elem(&unwind_rules, &index);
}

static __always_inline const struct unwind_object *object_at(__u32 index)
{
	return bpf_map_lookup_elem(&unwind_objects, &index);
}

struct unwind_walk;
static __always_inline bool find_behind_trampoline(struct unwind_walk *walk, __u64 slot,
						   __u64 *address);
static __always_inline bool find_probed(__u64 copy, __u64 *address);

#include "unwind_step.h"

/*
 * Memory for a walk, claimed while it lasts. Programs on uprobes can be preempted by others on the
 * same CPU, so that one slot for each CPU would be overwritten (8 threads on 2 CPUs of a fully
 * preemptible 6.12: two thirds of the walks found it taken): they share slots, and each begins to
 * look at another place. The loader makes four for each CPU, at least 64.
 */
struct walk_slot {
	__u32 busy;
	__u32 generation; /* of the image when the walk began */
	__u64 epoch;
	/* Of the search for the same stack, see stack.h. */
	__u64 difference;
	__u32 first;
	__s32 id;
	__u32 stored, failed;
	struct unwind_walk walk;
};

#define WALK_SLOTS_MIN 64
/* How many are tried. */
#define WALK_PROBES 16

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, WALK_SLOTS_MIN);
	__type(key, __u32);
	__type(value, struct walk_slot);
} walk_slots __weak SEC(".maps");

static __always_inline struct walk_slot *claim_slot(void)
{
	__u32 begin = bpf_get_smp_processor_id() * 4;

	for (__u32 i = 0; i < WALK_PROBES; i++) {
		__u32 index = (begin + i) & (config.walk_slots - 1);
		struct walk_slot *slot = bpf_map_lookup_elem(&walk_slots, &index);

		if (slot && !__sync_lock_test_and_set(&slot->busy, 1))
			return slot;
	}
	return NULL;
}

static __always_inline void release_slot(struct walk_slot *slot)
{
	__sync_lock_test_and_set(&slot->busy, 0);
}

/* Calls in which return probes wait, the innermost first: include/linux/uprobes.h. */
struct return_instance___walk {
	unsigned long stack; /* where the return address was */
	unsigned long orig_ret_vaddr;
	bool chained; /* to another one of the same place, which follows */
	struct return_instance___walk *next;
} __attribute__((preserve_access_index));

struct uprobe_task___walk {
	struct return_instance___walk *return_instances;
	/* The probed instruction that is executed now, and its copy. */
	unsigned long vaddr, xol_vaddr;
} __attribute__((preserve_access_index));

struct task_struct___walk {
	struct uprobe_task___walk *utask;
} __attribute__((preserve_access_index));

/* MAX_URETPROBE_DEPTH of include/linux/uprobes.h. */
#define RETURN_PROBES_MAX 64

struct return_search {
	struct unwind_walk *walk;
	__u64 slot;
	__u64 address; /* out; 0: not found */
};

static long look_at_return(__u32 i, struct return_search *search)
{
	struct return_instance___walk *at = (void *)search->walk->trampolines;

	if (!at)
		return 1;
	search->walk->trampolines = (__u64)BPF_CORE_READ(at, next);
	/* Those that a longjmp has left behind stand for other places. */
	if (BPF_CORE_READ(at, stack) != search->slot || BPF_CORE_READ(at, chained))
		return 0;
	search->address = BPF_CORE_READ(at, orig_ret_vaddr);
	return 1;
}

static __always_inline bool find_behind_trampoline(struct unwind_walk *walk, __u64 slot,
						   __u64 *address)
{
	struct return_search search = {.walk = walk, .slot = slot};
	struct task_struct___walk *task;

	/* As the walk they go outwards: the next one is further on. */
	if (!walk->trampolines) {
		task = (void *)bpf_get_current_task();
		walk->trampolines = (__u64)BPF_CORE_READ(task, utask, return_instances);
	}
	if (!walk->trampolines)
		return false;
	bpf_loop(RETURN_PROBES_MAX, look_at_return, &search, 0);
	if (!search.address)
		return false;
	*address = search.address;
	return true;
}

static __always_inline bool find_probed(__u64 copy, __u64 *address)
{
	struct task_struct___walk *task = (void *)bpf_get_current_task();
	struct uprobe_task___walk *probes = BPF_CORE_READ(task, utask);

	if (!probes || BPF_CORE_READ(probes, xol_vaddr) != copy)
		return false;
	*address = BPF_CORE_READ(probes, vaddr);
	return true;
}

/* Where a walk begins. */
enum walk_from {
	FROM_ENTRY,  /* of a function that is being called: sp is where its return address is */
	FROM_RETURN, /* behind a call that has returned, or a system call */
	FROM_INSTRUCTION, /* anywhere in a function */
};

/* Its pointers never change: what does is in map memory, where the verifier does not follow it. */
struct walk_context {
	struct unwind_walk *walk;
	const struct unwind_image *image;
};

static long walk_on(__u32 i, struct walk_context *context)
{
	return walk_step(context->walk, context->image);
}

static __always_inline void begin_walk(struct unwind_walk *walk, __u64 ip, __u64 sp, __u64 bp,
				       enum walk_from from)
{
	walk->ip = ip;
	walk->sp = sp;
	walk->bp = bp;
	walk->hash = 0;
	walk->depth = 0;
	walk->end = STACK_END_too_deep;
	walk->exact = from == FROM_INSTRUCTION;
	walk->returned = from == FROM_RETURN;
	walk->guessed = 0;
	walk->mapping = 0;
	walk->trampolines = 0;
	walk->window_at = 1ull << 63;
}

/* What the process has mapped; *process NULL or image NULL: nothing is known. */
static __always_inline const struct unwind_image *
find_image(volatile struct unwind_process *process, __u32 *number)
{
	*number = process ? process->image : 0;
	return *number ? bpf_map_lookup_elem(&unwind_images, number) : NULL;
}

static __always_inline void ask_for(__u32 image, __u32 end)
{
	__u8 *wants = &unwind_wants[BELOW(image, UNWIND_IMAGES_MAX)];
	__u8 want = end == STACK_END_interrupted ? UNWIND_WANTS_FULL : UNWIND_WANTS_MAPS;

	if (*wants & want)
		return;
	*wants |= want;
	__sync_fetch_and_add(&unwind_asked, 1);
}

/*
 * Walks from these registers. False: the process's code or the tables changed meanwhile, and what
 * was found may be of something else.
 */
static __always_inline bool walk_stack(struct walk_slot *slot, __u64 ip, __u64 sp, __u64 bp,
				       enum walk_from from)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32, number;
	volatile struct unwind_process *process = bpf_map_lookup_elem(&unwind_procs, &pid);
	struct unwind_walk *walk = &slot->walk;
	const volatile struct unwind_image *image = find_image(process, &number);
	struct walk_context context = {walk, (const struct unwind_image *)image};
	volatile __u64 *epoch = &unwind_epoch;

	slot->epoch = *epoch;
	if (image) {
		slot->generation = image->generation;
		/* It was this process's while it had that generation. */
		if (process->image != number)
			return false;
	}
	begin_walk(walk, ip, sp, bp, from);
	if (from == FROM_ENTRY) {
		keep_frame(walk, ip);
		if (go_to_caller(walk, sp + 8) == WALK_ENDED)
			return true;
	}
	bpf_loop(2 * STACK_DEPTH, walk_on, &context, 0);
	if (!image)
		return true;
	if (walk->end == STACK_END_interrupted || walk->end == STACK_END_no_mapping)
		ask_for(number, walk->end);
	return image->generation == slot->generation && *epoch == slot->epoch;
}

#endif
