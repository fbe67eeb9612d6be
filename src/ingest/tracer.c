// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "ingest/tracer.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "ingest/tracer_impl.h"
#include "probe/attach.h"
#include "probe/keeper.h"
#include "probe/tracepoint.h"
#include "unwind/unwinder.h"

static const struct {
	const char *tracepoint;
	enum { MMAP, MUNMAP, MREMAP, BRK, MPROTECT, MADVISE, EXIT_GROUP, RETURN, OTHER } prog;
	bool optional; /* not on every kernel */
} tracepoints[] = {
	{"syscalls/sys_enter_mmap", MMAP, false},
	{"syscalls/sys_enter_munmap", MUNMAP, false},
	{"syscalls/sys_enter_mremap", MREMAP, false},
	{"syscalls/sys_enter_brk", BRK, false},
	{"syscalls/sys_enter_mprotect", MPROTECT, false},
	{"syscalls/sys_enter_pkey_mprotect", MPROTECT, true},
	{"syscalls/sys_enter_madvise", MADVISE, false},
	{"syscalls/sys_enter_exit_group", EXIT_GROUP, false},
	{"syscalls/sys_exit_mmap", RETURN, false},
	{"syscalls/sys_exit_munmap", RETURN, false},
	{"syscalls/sys_exit_mremap", RETURN, false},
	{"syscalls/sys_exit_brk", RETURN, false},
	{"syscalls/sys_exit_mprotect", RETURN, false},
	{"syscalls/sys_exit_pkey_mprotect", RETURN, true},
	{"syscalls/sys_exit_madvise", RETURN, false},
	{"syscalls/sys_exit_shmat", OTHER, true},
	{"syscalls/sys_exit_shmdt", OTHER, true},
	{"syscalls/sys_exit_io_setup", OTHER, true},
	{"syscalls/sys_exit_io_destroy", OTHER, true},
	{"syscalls/sys_exit_remap_file_pages", OTHER, true},
	{"syscalls/sys_exit_map_shadow_stack", OTHER, true},
};

#define TRACEPOINTS (sizeof(tracepoints) / sizeof(*tracepoints))
_Static_assert(TRACEPOINTS + 4 <= TRACER_LINKS_MAX, "room for every link");

/* Up to here all counters are made beforehand: 4,096 processes x 1.6 kB x CPUs. */
#define PREALLOC_CPUS_MAX 16

uint32_t tracer__counted_max(bool by_class)
{
	uint64_t each = sizeof(struct alloc_counts) + (by_class ? sizeof(struct class_counts) : 0);
	uint64_t n = TRACER_COUNTERS_BYTES / (each * (uint64_t)libbpf_num_possible_cpus());

	return n < 256 ? 256 : n > 4096 ? 4096 : (uint32_t)n;
}

uint32_t tracer__cpus(void)
{
	return (uint32_t)libbpf_num_possible_cpus();
}

struct memdrift *tracer__programs(struct tracer *tracer)
{
	return tracer->skel;
}

struct keeper *tracer__keeper(struct tracer *tracer)
{
	return tracer->keeper;
}

enum tracer_calls tracer__calls(const struct tracer *tracer)
{
	return tracer->calls;
}

struct live_set *tracer__live_set(struct tracer *tracer)
{
	return tracer->live;
}

struct unwinder *tracer__unwinder(struct tracer *tracer)
{
	return tracer->unwinder;
}

/* The cheapest way to see returns that this kernel has. */
static enum tracer_calls choose_calls(struct memdrift *skel, const struct tracer_options *options)
{
	if (!options->live_bytes)
		return CALLS_ENTRY;
	if (!attach__choose_session(skel->progs.live_session))
		return CALLS_SESSION;
	attach__choose_type(skel->progs.live_enter);
	attach__choose_type(skel->progs.live_return);
	return CALLS_PAIR;
}

/* Programs that the options do not call for are not even loaded. */
static void choose_programs(struct tracer *tracer, const struct tracer_options *options)
{
	struct memdrift *skel = tracer->skel;
	struct bpf_program *const arenas[] = {skel->progs.arena_get2_enter,
					      skel->progs.arena_get2_exit, skel->progs.arena_new,
					      skel->progs.heap_new};
	for (size_t i = 0; i < sizeof(arenas) / sizeof(*arenas); i++)
		bpf_program__set_autoload(arenas[i], options->arenas);
	tracer->calls = choose_calls(skel, options);
	bpf_program__set_autoload(skel->progs.allocator_enter,
				  options->config.count_mallocs && tracer->calls == CALLS_ENTRY);
	bpf_program__set_autoload(skel->progs.live_session, tracer->calls == CALLS_SESSION);
	bpf_program__set_autoload(skel->progs.live_enter, tracer->calls == CALLS_PAIR);
	bpf_program__set_autoload(skel->progs.live_return, tracer->calls == CALLS_PAIR);
	bpf_program__set_autoload(skel->progs.unwind_publish, options->stacks);
	bpf_program__set_autoload(skel->progs.unwind_find_inode, options->stacks);
	bpf_program__set_autoload(skel->progs.page_fault, options->fault_period != 0);
	bpf_program__set_autoload(skel->progs.live_clock, options->live_bytes != 0);
	bpf_program__set_autoload(skel->progs.empty_probe, false);
	bpf_program__set_autoload(skel->progs.bench_walk, false);
	bpf_program__set_autoload(skel->progs.bench_get_stack, false);
	bpf_program__set_autoload(skel->progs.empty_session, false);
	bpf_program__set_autoload(skel->progs.empty_skip, false);
	bpf_program__set_autoload(skel->progs.empty_return, false);
	bpf_program__set_autoload(skel->progs.go_malloc_enter,
				  options->config.count_by & COUNT_GO_BY_CLASS);
	attach__choose_type(skel->progs.allocator_enter);
	attach__choose_type(skel->progs.go_malloc_enter);
}

static void size_live_maps(struct memdrift *skel, uint64_t bytes)
{
	uint32_t spaces = bytes ? LIVE_SPACES_MAX : 1;

	bpf_map__set_max_entries(skel->maps.live_buckets,
				 bytes ? (uint32_t)(bytes / sizeof(struct live_bucket)) : 1);
	bpf_map__set_max_entries(skel->maps.live_spaces, spaces);
	bpf_map__set_max_entries(skel->maps.live_held, spaces);
	bpf_map__set_max_entries(skel->maps.live_free_ids, spaces);
	if (!skel->rodata->config.live_temporary) {
		bpf_map__set_max_entries(skel->maps.last_pointers, 1);
		bpf_map__set_max_entries(skel->maps.temporaries, 1);
	}
	if (!bytes) {
		bpf_map__set_max_entries(skel->maps.live_calls, 1);
		bpf_map__set_max_entries(skel->maps.return_sites, 1);
	}
	skel->bss->live.limit = live_set__limit(live_set__slots(bytes));
}

/* bpf/unwind.h: as many programs can be in a walk as there are CPUs, and some that were preempted.
 */
#define WALK_SLOTS_MIN     64u
#define WALK_SLOTS_PER_CPU 4u

static void size_stack_maps(struct memdrift *skel, const struct tracer_options *options,
			    struct bpf_config *config)
{
	struct bpf_map *const maps[] = {
		skel->maps.stack_blocks, skel->maps.stack_ids,      skel->maps.unwind_pool,
		skel->maps.unwind_rules, skel->maps.unwind_objects, skel->maps.unwind_images,
		skel->maps.unwind_procs, skel->maps.unwind_free,    skel->maps.unwind_inodes};

	config->takes_stacks = options->stacks;
	config->stack_hash_mask =
		options->stack_hash_bits ? (1ull << options->stack_hash_bits) - 1 : ~0ull;
	config->walk_slots = WALK_SLOTS_MIN;
	while (config->walk_slots < WALK_SLOTS_PER_CPU * config->cpus)
		config->walk_slots *= 2;
	bpf_map__set_max_entries(skel->maps.walk_slots, config->walk_slots);
	if (config->fault_period)
		bpf_map__set_max_entries(skel->maps.unwind_pool, UNWIND_POOL_BLOCKS_FULL);
	else
		bpf_map__set_max_entries(skel->maps.fault_counts, 1);
	for (size_t i = 0; !options->stacks && i < sizeof(maps) / sizeof(*maps); i++)
		bpf_map__set_max_entries(maps[i], 1);
	config->stack_blocks = bpf_map__max_entries(skel->maps.stack_blocks);
}

static int open_stacks(struct tracer *tracer)
{
	int err = mapped_array__open(&tracer->stack_array, tracer->skel->maps.stack_blocks);

	if (err)
		return err;
	tracer->stacks = tracer->stack_array.at;
	tracer->stack_blocks = bpf_map__max_entries(tracer->skel->maps.stack_blocks);
	return unwinder__open(tracer->skel, tracer->fault_period != 0, &tracer->unwinder);
}

static int load_programs(struct tracer *tracer, const struct tracer_options *options)
{
	struct memdrift *skel = tracer->skel;
	struct bpf_config config = options->config;

	config.cpus = (uint32_t)libbpf_num_possible_cpus();
	config.track_live = options->live_bytes != 0;
	config.live_stacks = options->live_stacks;
	config.live_temporary = options->live_temporary;
	config.fault_period = options->fault_period;
	if (options->live_bytes)
		config.live_bucket_mask =
			(uint32_t)(options->live_bytes / sizeof(struct live_bucket)) - 1;
	size_stack_maps(skel, options, &config);
	memcpy((void *)&skel->rodata->config, &config, sizeof(config));
	choose_programs(tracer, options);
	bpf_map__set_max_entries(skel->maps.records, (uint32_t)options->ring_bytes);
	bpf_map__set_max_entries(skel->maps.alloc_counts,
				 options->config.count_mallocs ? options->counted_max : 1);
	/* On large machines most of the memory would never be used. */
	if (libbpf_num_possible_cpus() > PREALLOC_CPUS_MAX)
		bpf_map__set_map_flags(skel->maps.alloc_counts, BPF_F_NO_PREALLOC);
	/*
	 * These always are: of values so large the kernel keeps but three in reserve on each CPU,
	 * and more children than that can be born before it has got others (kernel/bpf/memalloc.c).
	 */
	if (options->config.count_by & (COUNT_BY_CLASS | COUNT_GO_BY_CLASS)) {
		memcpy((void *)&skel->rodata->class_table, options->classes,
		       sizeof(*options->classes));
		bpf_map__set_max_entries(skel->maps.class_counts, options->counted_max);
	}
	if (!(options->config.count_by & COUNT_BY_STACK))
		bpf_map__set_max_entries(skel->maps.stack_counts, 1);
	size_live_maps(skel, options->live_bytes);
	return memdrift__load(skel);
}

static int keep_record(void *ctx, void *data, size_t size)
{
	struct tracer *tracer = ctx;

	if (size >= sizeof(struct rec_header))
		tracer->fn(tracer->fn_ctx, data, size);
	/* A negative return ends this round; the record itself has been taken. */
	return ++tracer->taken < tracer->max ? 0 : -E2BIG;
}

/* For tests/kernel/verifier.sh. */
static void log_verified(struct memdrift *skel)
{
	struct bpf_program *prog;

	bpf_object__for_each_program (prog, skel->obj) {
		struct bpf_prog_info info = {0};
		__u32 size = sizeof(info);

		if (bpf_program__fd(prog) >= 0 &&
		    !bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &size))
			log_debug("program %s: %u instructions verified", bpf_program__name(prog),
				  info.verified_insns);
	}
}

int tracer__open(const struct tracer_options *options, struct tracer **out)
{
	struct tracer *tracer = calloc(1, sizeof(*tracer));
	int err;

	if (!tracer)
		return -ENOMEM;
	tracer->skel = memdrift__open();
	if (!tracer->skel) {
		err = -errno;
		log_error("cannot open the built-in BPF programs: %s", strerror(-err));
		goto fail;
	}
	err = load_programs(tracer, options);
	if (err) {
		log_error("the kernel did not accept the BPF programs: %s; run `memdrift doctor`, "
			  "or --verbose for the kernel's reasons",
			  strerror(-err));
		goto fail;
	}
	log_verified(tracer->skel);
	/* Here: it knows the loaded programs, and has no part in the large maps. */
	err = keeper__start(&tracer->keeper);
	if (err) {
		log_error("cannot start the process that keeps the probes: %s", strerror(-err));
		goto fail;
	}
	tracer->skel->bss->keeper_pid = (uint32_t)keeper__pid(tracer->keeper);
	tracer->count_mallocs = options->config.count_mallocs;
	tracer->fault_period = options->fault_period;
	tracer->count_classes = options->config.count_by & (COUNT_BY_CLASS | COUNT_GO_BY_CLASS);
	tracer->ring = ring_buffer__new(bpf_map__fd(tracer->skel->maps.records), keep_record,
					tracer, NULL);
	if (!tracer->ring) {
		err = -errno;
		log_error("cannot map the ring buffer: %s", strerror(-err));
		goto fail;
	}
	if (options->live_bytes)
		err = live_set__open(tracer->skel, options->counted_max * 4, &tracer->live);
	if (err) {
		log_error("cannot map the live set: %s", strerror(-err));
		goto fail;
	}
	if (options->stacks)
		err = open_stacks(tracer);
	if (err) {
		log_error("cannot map the unwind tables: %s", strerror(-err));
		goto fail;
	}
	*out = tracer;
	return 0;
fail:
	tracer__close(tracer);
	return err;
}

void tracer__close(struct tracer *tracer)
{
	if (!tracer)
		return;
	for (int i = 0; i < tracer->link_count; i++)
		bpf_link__destroy(tracer->links[i]);
	tracer_faults__close(tracer);
	keeper__end(tracer->keeper);
	ring_buffer__free(tracer->ring);
	live_set__close(tracer->live);
	unwinder__close(tracer->unwinder);
	mapped_array__close(&tracer->stack_array);
	memdrift__destroy(tracer->skel);
	free(tracer);
}

static struct bpf_program *program_of(struct memdrift *skel, int which)
{
	switch (which) {
	case MMAP:
		return skel->progs.mmap_enter;
	case MUNMAP:
		return skel->progs.munmap_enter;
	case MREMAP:
		return skel->progs.mremap_enter;
	case BRK:
		return skel->progs.brk_enter;
	case MPROTECT:
		return skel->progs.mprotect_enter;
	case MADVISE:
		return skel->progs.madvise_enter;
	case EXIT_GROUP:
		return skel->progs.exit_group_enter;
	case RETURN:
		return skel->progs.mapping_exit;
	default:
		return skel->progs.other_mapping_exit;
	}
}

static int attach_tracepoints(struct tracer *tracer, int tracefs)
{
	for (size_t i = 0; i < TRACEPOINTS; i++) {
		int err = tracepoint__attach(tracefs, tracepoints[i].tracepoint,
					     program_of(tracer->skel, tracepoints[i].prog),
					     &tracer->links[tracer->link_count]);

		if (err == -ENOENT && tracepoints[i].optional)
			continue;
		if (err) {
			log_error("cannot attach to tracepoint %s: %s%s", tracepoints[i].tracepoint,
				  strerror(-err),
				  err == -ENOENT ? "; was this kernel built without "
						   "CONFIG_FTRACE_SYSCALLS?"
						 : "");
			return err;
		}
		tracer->link_count++;
	}
	return 0;
}

static int attach_raw(struct tracer *tracer, struct bpf_program *prog, bool optional)
{
	struct bpf_link *link = bpf_program__attach(prog);
	int err = -errno;

	if (link) {
		tracer->links[tracer->link_count++] = link;
		return 0;
	}
	if (optional)
		return 0;
	log_error("cannot attach %s: %s", bpf_program__name(prog), strerror(-err));
	return err;
}

int tracer__attach(struct tracer *tracer)
{
	struct memdrift *skel = tracer->skel;
	int tracefs = tracefs__open();
	int err;

	if (tracefs < 0) {
		log_error("cannot reach tracefs, which names the tracepoints: %s; is it compiled "
			  "in, or forbidden by lockdown?",
			  strerror(-tracefs));
		return tracefs;
	}
	/* Births first: a child of a target must not be missed between the two steps. */
	err = attach_raw(tracer, skel->progs.process_fork, false);
	if (!err)
		err = attach_raw(tracer, skel->progs.process_exec, false);
	if (!err)
		err = attach_raw(tracer, skel->progs.process_exit, false);
	if (!err)
		err = attach_raw(tracer, skel->progs.oom_victim, true);
	if (!err)
		err = attach_tracepoints(tracer, tracefs);
	close(tracefs);
	return err ? err : tracer_faults__attach(tracer);
}

int tracer__follow(struct tracer *tracer, uint32_t pid, uint64_t start_ns)
{
	struct target target = {.start_ns = start_ns};

	return bpf_map__update_elem(tracer->skel->maps.targets, &pid, sizeof(pid), &target,
				    sizeof(target), BPF_ANY);
}

int tracer__poll_fd(struct tracer *tracer)
{
	return ring_buffer__epoll_fd(tracer->ring);
}

int tracer__poll(struct tracer *tracer, int timeout_ms, int max, tracer_record_fn fn, void *ctx)
{
	int err;

	tracer->fn = fn;
	tracer->fn_ctx = ctx;
	tracer->taken = 0;
	tracer->max = max;
	if (!keeper__lives(tracer->keeper))
		return -EOWNERDEAD;
	/* Below the wake-up level records lie in the ring unannounced: look before waiting. */
	err = ring_buffer__consume(tracer->ring);
	if (!tracer->taken && timeout_ms) {
		struct pollfd pfd = {.fd = tracer__poll_fd(tracer), .events = POLLIN};

		if (poll(&pfd, 1, timeout_ms) < 0)
			return -errno;
		err = ring_buffer__consume(tracer->ring);
	}
	return err < 0 && err != -E2BIG ? err : tracer->taken;
}
