// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "records.h"

#define BASE 0x7f0000000000ull

/* A world of processes, all with the same maps: a file, a heap, a stack. */
struct world {
	int error; /* of every reading */
	int reads;
	bool empty;
	uint64_t extra; /* one more mapping of a page at this address */
	uint64_t now_ns;
	struct address_range inflight[4];
	int inflight_count;
};

static int read_maps(void *ctx, uint32_t pid, uint64_t ticks, struct maps_entry **entries,
		     size_t *n)
{
	struct world *world = ctx;
	struct maps_entry *lines;

	world->reads++;
	*entries = NULL;
	*n = 0;
	if (world->error || world->empty)
		return world->error;
	lines = calloc(4, sizeof(*lines));
	assert_non_null(lines);
	lines[0] = (struct maps_entry){.start = 0x400000,
				       .end = 0x402000,
				       .prot = PROT_READ | PROT_EXEC,
				       .inode = 5,
				       .path = strdup("/bin/x")};
	lines[1] = (struct maps_entry){
		.start = 0x600000, .end = 0x610000, .prot = RW, .path = strdup("[heap]")};
	*n = 2;
	if (world->extra)
		lines[(*n)++] = (struct maps_entry){.start = world->extra,
						    .end = world->extra + PAGE,
						    .prot = RW,
						    .path = strdup("")};
	lines[(*n)++] = (struct maps_entry){.start = 0x7ffd00000000,
					    .end = 0x7ffd00021000,
					    .prot = RW,
					    .path = strdup("[stack]")};
	*entries = lines;
	return 0;
}

#define WORLD_BYTES (0x2000 + 0x10000 + 0x21000)

static int read_inflight(void *ctx, uint32_t pid, struct address_range *ranges, size_t max)
{
	struct world *world = ctx;

	memcpy(ranges, world->inflight, world->inflight_count * sizeof(*ranges));
	return world->inflight_count;
}

static uint64_t now_ns(void *ctx)
{
	return ((struct world *)ctx)->now_ns;
}

static void start(struct model *model, struct world *world)
{
	struct model_reader reader = {
		.ctx = world,
		.read_maps = read_maps,
		.read_inflight = read_inflight,
		.now_ns = now_ns,
	};

	*world = (struct world){.now_ns = 1000};
	assert_int_equal(model__init(model, &reader, 0, 1, 8), 0);
}

static void feed_mmap(struct model *model, uint32_t pid, uint64_t time_ns, uint64_t addr,
		      uint64_t len, uint32_t prot, uint32_t flags)
{
	struct rec_mapping rec = mapping(REC_MMAP, pid, pid, time_ns - 1, time_ns);

	rec.len = len;
	rec.prot = prot;
	rec.map_flags = flags;
	rec.result = (int64_t)addr;
	rec.stack = 4;
	feed(model, &rec);
}

static void feed_munmap(struct model *model, uint32_t pid, uint64_t time_ns, uint64_t addr,
			uint64_t len)
{
	struct rec_mapping rec = mapping(REC_MUNMAP, pid, pid, time_ns, time_ns);

	rec.addr = addr;
	rec.len = len;
	feed(model, &rec);
}

static void an_unknown_process_is_added_with_its_maps(void **state)
{
	struct process *process;
	struct world world;
	struct model model;

	start(&model, &world);
	feed_mmap(&model, 7, 2000, BASE, 100, RW, ANON);
	process = model__find(&model, 7);
	assert_non_null(process);
	assert_int_equal(world.reads, 1);
	assert_int_equal(process->space->mapped_bytes, WORLD_BYTES + PAGE);
	assert_true(space__find(process->space, 0x400000)->origin->before_trace);
	assert_false(space__find(process->space, BASE)->origin->before_trace);
	assert_int_equal(space__find(process->space, BASE)->origin->stack, 4);
	assert_int_equal(process->start_ticks,
			 START_NS / (1000000000 / (uint64_t)sysconf(_SC_CLK_TCK)));
	assert_int_equal(process->mapping.mmap_calls, 1);
	assert_int_equal(process->mapping.mmap_bytes, PAGE);
	assert_false(process->needs_reread);
	feed_munmap(&model, 7, 3000, BASE, 1);
	assert_int_equal(process->mapping.munmap_calls, 1);
	assert_int_equal(process->mapping.munmap_bytes, PAGE);
	assert_int_equal(process->space->mapped_bytes, WORLD_BYTES);
	model__free(&model);
}

static void failed_calls_are_counted_apart(void **state)
{
	struct rec_mapping rec = mapping(REC_MMAP, 7, 7, 1999, 2000);
	struct process *process;
	struct world world;
	struct model model;

	start(&model, &world);
	process = model__add(&model, 7, START_NS, "x", 1);
	rec.hdr.flags = RECF_FAILED;
	rec.len = MB;
	rec.result = -ENOMEM;
	feed(&model, &rec);
	assert_int_equal(process->mapping.failed_calls, 1);
	assert_int_equal(process->mapping.mmap_calls, 0);
	assert_false(process->needs_reread);
	/* A munmap that the kernel refuses at once. */
	feed_munmap(&model, 7, 3000, 0x400001, PAGE);
	rec = mapping(REC_MUNMAP, 7, 7, 3000, 3001);
	rec.hdr.flags = RECF_FAILED;
	rec.addr = 0x400001;
	rec.len = PAGE;
	feed(&model, &rec);
	assert_int_equal(process->mapping.failed_calls, 2);
	assert_int_equal(process->mapping.munmap_calls, 0);
	assert_int_equal(process->space->mapped_bytes, WORLD_BYTES);
	assert_false(process->needs_reread);
	/* One that was expected to work: counted out again, and healed. */
	feed_munmap(&model, 7, 4000, 0x400000, 2 * PAGE);
	assert_int_equal(process->mapping.munmap_bytes, 2 * PAGE);
	rec.enter_ns = 4000;
	rec.addr = 0x400000;
	rec.len = 2 * PAGE;
	feed(&model, &rec);
	assert_int_equal(process->mapping.failed_calls, 3);
	assert_int_equal(process->mapping.munmap_calls, 0);
	assert_int_equal(process->mapping.munmap_bytes, 0);
	assert_true(process->needs_reread);
	assert_int_equal(model__heal(&model, false), 1);
	assert_false(process->needs_reread);
	assert_int_equal(process->healed_ranges, 1);
	assert_int_equal(process->space->mapped_bytes, WORLD_BYTES);
	/* And one mprotect. */
	rec = mapping(REC_MPROTECT, 7, 7, 5000, 5001);
	rec.hdr.flags = RECF_FAILED;
	rec.addr = 0x400000;
	rec.len = PAGE;
	feed(&model, &rec);
	assert_true(process->needs_reread);
	model__free(&model);
}

static void a_commit_by_map_fixed_keeps_age_and_stack(void **state)
{
	struct rec_mapping rec = mapping(REC_MMAP_FIXED, 7, 7, 3000, 3001);
	struct process *process;
	struct origin *origin;
	struct world world;
	struct model model;

	start(&model, &world);
	feed_mmap(&model, 7, 2000, BASE, 64 * MB, PROT_NONE, ANON);
	process = model__find(&model, 7);
	origin = space__find(process->space, BASE)->origin;
	rec.addr = BASE;
	rec.len = 4 * MB;
	rec.prot = RW;
	rec.map_flags = ANON | MAP_FIXED;
	feed(&model, &rec);
	/* In the middle of the call the range is gone, and a re-read leaves that to the events. */
	assert_int_equal(origin->live_bytes, 60 * MB);
	world.extra = BASE;
	model__heal(&model, true);
	assert_false(space__covers(process->space, BASE, PAGE));
	rec.hdr.type = REC_MMAP;
	rec.hdr.time_ns = 3005;
	rec.result = (int64_t)BASE;
	feed(&model, &rec);
	/* The reading dropped what this world does not show; the reservation itself stays known. */
	assert_ptr_equal(space__find(process->space, BASE)->origin, origin);
	assert_int_equal(origin->committed_bytes, 4 * MB);
	assert_int_equal(origin->created_ns, 2000);
	assert_int_equal(origin->stack, 4);
	model__free(&model);
}

static void what_failed_is_put_back(void **state)
{
	struct rec_mapping rec = mapping(REC_MREMAP_ENTER, 7, 7, 3000, 3001);
	struct process *process;
	struct origin *origin;
	struct world world;
	struct model model;

	start(&model, &world);
	feed_mmap(&model, 7, 2000, BASE, 8 * PAGE, RW, ANON);
	process = model__find(&model, 7);
	origin = space__find(process->space, BASE)->origin;
	rec.addr = BASE;
	rec.len = 8 * PAGE;
	rec.aux = 16 * PAGE;
	feed(&model, &rec);
	assert_int_equal(process->space->mapped_bytes, WORLD_BYTES);
	rec.hdr.type = REC_MREMAP;
	rec.hdr.flags = RECF_FAILED;
	rec.result = -ENOMEM;
	feed(&model, &rec);
	assert_ptr_equal(space__find(process->space, BASE)->origin, origin);
	assert_int_equal(origin->live_bytes, 8 * PAGE);
	assert_true(process->needs_reread);
	model__free(&model);
}

static void a_fork_copies_and_a_vfork_shares(void **state)
{
	struct process *parent, *child, *sharer;
	struct world world;
	struct model model;

	start(&model, &world);
	parent = model__add(&model, 7, START_NS, "parent", 1);
	feed_mmap(&model, 7, 2000, BASE, PAGE, RW, ANON);
	feed_fork(&model, 0, 7, 8, 3000);
	feed_fork(&model, RECF_SHARES_VM, 7, 9, 3001);
	feed_fork(&model, RECF_THREAD, 7, 10, 3002);
	feed_fork(&model, RECF_THREADED, 7, 11, 3003);
	child = model__find(&model, 8);
	sharer = model__find(&model, 9);
	assert_int_equal(parent->children, 3);
	assert_int_equal(parent->threads_created, 1);
	assert_null(model__find(&model, 10));
	assert_int_equal(child->parent_pid, 7);
	assert_string_equal(child->comm, "child");
	assert_false(child->needs_reread);
	assert_true(model__find(&model, 11)->needs_reread);
	assert_ptr_not_equal(child->space, parent->space);
	assert_int_equal(child->space->mapped_bytes, WORLD_BYTES + PAGE);
	assert_int_equal(space__find(child->space, BASE)->origin->created_ns, 2000);
	assert_ptr_equal(sharer->space, parent->space);
	assert_int_equal(world.reads, 1);
	/* The sharer loads a program: the parent keeps its memory. */
	{
		struct rec_process rec = {.hdr = header(REC_EXEC, 9, 9, 4000), .comm = "new"};

		rec.hdr.start_ns = 0;
		model__handle(&model, &rec.hdr, sizeof(rec));
	}
	assert_ptr_not_equal(sharer->space, parent->space);
	assert_int_equal(parent->space->users, 1);
	assert_int_equal(parent->space->mapped_bytes, WORLD_BYTES + PAGE);
	assert_int_equal(sharer->space->mapped_bytes, WORLD_BYTES);
	assert_string_equal(sharer->comm, "new");
	assert_int_equal(sharer->execs, 1);
	assert_false(space__find(sharer->space, 0x400000)->origin->before_trace);
	assert_int_equal(space__find(sharer->space, 0x400000)->origin->created_ns, 4000);
	model__free(&model);
}

static void a_fork_of_an_unknown_process_adds_both(void **state)
{
	struct world world;
	struct model model;

	start(&model, &world);
	world.now_ns = 9000; /* the parent is read after the fork */
	feed_fork(&model, 0, 7, 8, 3000);
	assert_non_null(model__find(&model, 7));
	assert_true(model__find(&model, 8)->needs_reread);
	model__free(&model);
}

static void a_child_lacks_what_was_not_to_be_forked(void **state)
{
	struct rec_mapping rec = mapping(REC_MADVISE, 7, 7, 2000, 2001);
	struct world world;
	struct model model;

	start(&model, &world);
	rec.addr = 0x400000;
	rec.len = PAGE;
	rec.prot = MADV_DONTFORK;
	feed(&model, &rec);
	feed_fork(&model, 0, 7, 8, 3000);
	assert_true(model__find(&model, 8)->needs_reread);
	model__free(&model);
}

static void the_state_at_exit_group_stands(void **state)
{
	struct process *process;
	struct world world;
	struct model model;

	start(&model, &world);
	process = model__add(&model, 7, START_NS, "x", 1);
	process->is_target = true;
	feed_mmap(&model, 7, 2000, BASE, 64 * MB, RW, ANON);
	feed_process(&model, REC_EXIT_GROUP, 0, 7, 7, 3000, 3, "x");
	assert_int_equal(process->end, PROCESS_EXITING);
	feed_munmap(&model, 7, 3500, BASE, 64 * MB);
	feed_process(&model, REC_EXIT, 0, 7, 8, 3600, 0, "x");
	assert_ptr_equal(model__find(&model, 7), process);
	feed_process(&model, REC_EXIT, RECF_GROUP_DEAD, 7, 7, 4000, 3 << 8, "x");
	assert_null(model__find(&model, 7));
	assert_ptr_equal(model.ended, process);
	assert_int_equal(process->end, PROCESS_EXITED);
	assert_int_equal(process->ended_ns, 3000);
	assert_int_equal(process->exit_status, 3 << 8);
	assert_int_equal(process->threads_ended, 2);
	assert_int_equal(process->space->mapped_bytes, WORLD_BYTES + 64 * MB);
	assert_int_equal(process->mapping.munmap_calls, 0);
	assert_int_equal(model.process_count, 1);
	model__free(&model);
}

static void an_exit_in_the_middle_of_a_call_undoes_it(void **state)
{
	struct rec_mapping rec = mapping(REC_MMAP_FIXED, 7, 9, 3000, 3001);
	struct process *process;
	struct world world;
	struct model model;

	start(&model, &world);
	process = model__add(&model, 7, START_NS, "x", 1);
	process->is_target = true;
	rec.addr = 0x400000;
	rec.len = PAGE;
	rec.map_flags = ANON | MAP_FIXED;
	feed(&model, &rec);
	assert_int_equal(process->space->mapped_bytes, WORLD_BYTES - PAGE);
	feed_process(&model, REC_EXIT_GROUP, 0, 7, 7, 3500, 0, "x");
	assert_int_equal(process->space->mapped_bytes, WORLD_BYTES);
	model__free(&model);
}

static void a_sharer_that_ends_leaves_the_memory_alone(void **state)
{
	struct process *parent, *sharer;
	struct rec_process rec = {.hdr = header(REC_EXIT, 9, 9, 5000)};
	struct world world;
	struct model model;

	start(&model, &world);
	parent = model__add(&model, 7, START_NS, "parent", 1);
	feed_fork(&model, RECF_SHARES_VM, 7, 9, 3000);
	sharer = model__find(&model, 9);
	sharer->is_target = true;
	rec.hdr.flags = RECF_GROUP_DEAD;
	rec.hdr.start_ns = 0;
	model__handle(&model, &rec.hdr, sizeof(rec));
	feed_mmap(&model, 7, 6000, BASE, PAGE, RW, ANON);
	assert_int_equal(parent->space->users, 1);
	assert_int_equal(parent->space->mapped_bytes, WORLD_BYTES + PAGE);
	assert_int_equal(sharer->space->mapped_bytes, WORLD_BYTES);
	model__free(&model);
}

static void a_pid_that_is_used_again_is_another_process(void **state)
{
	struct rec_mapping rec = mapping(REC_MMAP, 7, 7, 5000, 5001);
	struct process *first;
	struct world world;
	struct model model;

	start(&model, &world);
	/* Known from /proc in clock ticks; the record has it exactly. */
	first = model__add(&model, 7, START_NS, "first", 1);
	rec.hdr.start_ns = START_NS + 1234567;
	rec.len = PAGE;
	rec.prot = RW;
	rec.map_flags = ANON;
	rec.result = (int64_t)BASE;
	feed(&model, &rec);
	assert_ptr_equal(model__find(&model, 7), first);
	assert_int_equal(first->start_ns, START_NS + 1234567);
	rec.hdr.start_ns = START_NS + 900000000;
	feed(&model, &rec);
	assert_ptr_not_equal(model__find(&model, 7), first);
	assert_ptr_equal(model.ended, first);
	assert_int_equal(first->exit_status, -1);
	assert_int_equal(model.process_count, 2);
	model__free(&model);
}

static void a_process_that_cannot_be_read_is_counted(void **state)
{
	struct process *process;
	struct world world;
	struct model model;

	start(&model, &world);
	world.error = -ESRCH;
	process = model__add(&model, 7, START_NS, "x", 1);
	assert_non_null(process);
	assert_false(process->space->seeded);
	assert_int_equal(model.losses[LOSS_seeds_missed], 1);
	/* An exit of one that nobody knows is no news. */
	feed_process(&model, REC_EXIT, RECF_GROUP_DEAD, 8, 8, 4000, 0, "y");
	assert_null(model__find(&model, 8));
	assert_int_equal(model.process_count, 1);
	model__free(&model);
}

static void an_exit_that_was_lost_is_noticed(void **state)
{
	struct process *process;
	struct world world;
	struct model model;

	start(&model, &world);
	process = model__add(&model, 7, START_NS, "x", 1);
	world.empty = true; /* a zombie: no reason to forget what it had */
	world.now_ns = 2000000000;
	model__heal(&model, true);
	assert_ptr_equal(model__find(&model, 7), process);
	assert_int_equal(process->space->mapped_bytes, WORLD_BYTES);
	world.now_ns = 4000000000;
	model__heal(&model, true);
	assert_null(model__find(&model, 7));
	assert_int_equal(process->ended_ns, 2000000000);
	model__free(&model);
}

static void an_oom_kill_is_remembered(void **state)
{
	struct process *process;
	struct world world;
	struct model model;

	start(&model, &world);
	process = model__add(&model, 7, START_NS, "x", 1);
	{
		struct rec_process rec = {.hdr = {.type = REC_OOM, .pid = 7, .tid = 7}};

		model__handle(&model, &rec.hdr, sizeof(rec));
	}
	assert_true(process->oom_killed);
	model__free(&model);
}

static void a_ring_overflow_is_healed(void **state)
{
	struct process *process;
	struct world world;
	struct model model;

	start(&model, &world);
	process = model__add(&model, 7, START_NS, "x", 1);
	world.extra = BASE; /* its record was lost */
	model__distrust_all(&model);
	assert_true(process->needs_reread);
	assert_int_equal(model__heal(&model, false), 1);
	assert_false(process->needs_reread);
	assert_int_equal(process->rereads, 1);
	assert_true(space__find(process->space, BASE)->origin->found_late);
	assert_int_equal(model__heal(&model, true), 0);
	model__free(&model);
}

static void calls_under_way_are_left_out_of_a_reading(void **state)
{
	struct process *process;
	struct world world;
	struct model model;

	start(&model, &world);
	process = model__add(&model, 7, START_NS, "x", 1);
	feed_munmap(&model, 7, 2000, 0x400000, PAGE);
	world.inflight[0] = (struct address_range){0x400000, 0x401000};
	world.inflight_count = 1;
	assert_int_equal(model__heal(&model, true), 0);
	assert_int_equal(process->space->mapped_bytes, WORLD_BYTES - PAGE);
	world.inflight_count = 0;
	assert_int_equal(model__heal(&model, true), 1);
	assert_int_equal(process->space->mapped_bytes, WORLD_BYTES);
	model__free(&model);
}

static void a_full_model_drops_what_matters_least(void **state)
{
	struct process *target, *process;
	struct world world;
	struct model model;

	start(&model, &world);
	model.processes_max = 40;
	target = model__add(&model, 1000, START_NS, "target", 1);
	target->is_target = true;
	model__end(&model, target, 5);
	for (uint32_t pid = 1; pid <= 100; pid++) {
		process = model__add(&model, pid, START_NS, "x", pid);
		assert_non_null(process);
		if (pid == 50)
			feed_mmap(&model, pid, 2000, BASE, 64 * MB, RW, ANON);
		model__end(&model, process, pid);
	}
	assert_true(model.process_count <= 40);
	assert_true(model.losses[LOSS_processes_dropped] >= 61);
	process = model.ended;
	for (int found = 0; process; process = process->next_ended) {
		found += process == target || process->pid == 50;
		if (!process->next_ended)
			assert_int_equal(found, 2);
	}
	/* All running: no room can be made. */
	model.processes_max = 3;
	while (model.process_count > 0 && model.ended) {
		process = model.ended;
		model.ended = process->next_ended;
		process__free(process);
		model.process_count--;
	}
	for (uint32_t pid = 1; pid <= 3; pid++)
		assert_non_null(model__add(&model, pid, START_NS, "x", pid));
	assert_null(model__add(&model, 4, START_NS, "x", 4));
	model__free(&model);
}

static void an_ended_bystander_keeps_only_what_is_large(void **state)
{
	struct process *process;
	struct world world;
	struct model model;

	start(&model, &world);
	process = model__add(&model, 7, START_NS, "x", 1);
	feed_mmap(&model, 7, 2000, BASE, 64 * MB, RW, ANON);
	feed_process(&model, REC_EXIT, RECF_GROUP_DEAD, 7, 7, 4000, 9, "x");
	assert_true(process->space->trimmed);
	assert_int_equal(process->space->mapped_bytes, WORLD_BYTES + 64 * MB);
	assert_int_equal(space__find(process->space, 0)->start, BASE);
	assert_int_equal(process->exit_status, 9);
	model__free(&model);
}

static void hostile_records_do_no_harm(void **state)
{
	static const uint64_t odd[] = {0,
				       1,
				       PAGE - 1,
				       PAGE,
				       BASE,
				       1ull << 47,
				       1ull << 56,
				       1ull << 63,
				       UINT64_MAX - PAGE,
				       UINT64_MAX - PAGE + 1,
				       UINT64_MAX};
	size_t n = sizeof(odd) / sizeof(*odd);
	uint64_t random = 88172645463325252ull, bad;
	uint32_t words[64] __attribute__((aligned(8))) = {0};
	struct world world;
	struct model model;

	start(&model, &world);
	model__add(&model, 7, START_NS, "x", 1);
	for (size_t size = 0; size < sizeof(struct rec_header); size++)
		model__handle(&model, (struct rec_header *)words, size);
	assert_int_equal(model.losses[LOSS_bad_records], sizeof(struct rec_header));
	for (uint32_t type = 0; type < 40; type++) {
		*(struct rec_header *)words = header(type, 7, 7, 100);
		bad = model.losses[LOSS_bad_records];
		model__handle(&model, (struct rec_header *)words, 97);
		assert_int_equal(model.losses[LOSS_bad_records], bad + 1);
	}
	for (int i = 0; i < 40000; i++) {
		struct rec_mapping rec = mapping(1 + i % 9, 7, 7 + i % 3, odd[i % n], i);

		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		rec.addr = odd[random % n];
		rec.len = odd[random / n % n];
		rec.aux = odd[random / 128 % n];
		rec.aux2 = odd[random / 1024 % n];
		rec.result = (int64_t)odd[random / 8192 % n];
		rec.prot = (uint32_t)(random >> 20);
		rec.map_flags = (uint32_t)(random >> 30);
		rec.hdr.flags = random >> 60 ? 0 : RECF_FAILED;
		feed(&model, &rec);
		if (i % 1000 == 0)
			model__heal(&model, true);
	}
	for (int i = 0; i < 2000; i++) {
		struct rec_fork rec = {.hdr = header(REC_FORK, 7 + i % 5, 7, i)};

		rec.hdr.flags = (uint32_t)i;
		rec.child_pid = (uint32_t)(7 + i % 11);
		memset(rec.comm, 0xff, sizeof(rec.comm));
		model__handle(&model, &rec.hdr, sizeof(rec));
		feed_process(&model, REC_EXEC + i % 4, (uint32_t)i, (uint32_t)(7 + i % 7), 7,
			     (uint64_t)i, -1, "\xff\n");
	}
	model__free(&model);
}

static void samples_give_a_slope(void **state)
{
	struct process *process = process__new(7, START_NS, "x", 0, 4, NULL);

	assert_true(isnan(process__rss_slope(process)));
	process__sample_rss(process, 1, 100 * MB);
	process__sample_rss(process, 2, 0); /* unreadable: no sample */
	process__sample_rss(process, 3, 120 * MB);
	assert_true(isnan(process__rss_slope(process)));
	process__sample_rss(process, 5, 140 * MB);
	assert_true(fabs(process__rss_slope(process) - 10 * MB) < 1);
	assert_int_equal(process->rss_first.rss_bytes, 100 * MB);
	assert_int_equal(process->rss_last.rss_bytes, 140 * MB);
	assert_int_equal(process->rss_min.rss_bytes, 100 * MB);
	assert_true(process->rss_max.t_s == 5);
	process__free(process);
	process = process__new(7, START_NS, "x", 0, 4, NULL);
	for (int i = 0; i < 5; i++)
		process__sample_rss(process, 1e9, 5 * MB);
	assert_true(isnan(process__rss_slope(process)));
	process__free(process);
}

static void intervals_hold_what_came_since_the_last(void **state)
{
	struct process *process = process__new(7, START_NS, "x", 0, 4, NULL);
	struct alloc_counts sums = {0};
	const struct interval *interval;
	const uint64_t *buckets;

	process->counted = true;
	sums.calls[0] = 10; /* malloc */
	sums.calls[5] = 7;  /* free */
	sums.buckets[5] = (struct size_count){.count = 9, .bytes = 200};
	sums.impossible = 1;
	process->mapping.mmap_calls = 2;
	process->mapping.mmap_bytes = 8192;
	process__set_alloc(process, &sums);
	process__sample_rss(process, 0.5, MB);
	process__end_interval(process, 1);
	sums.calls[0] = 15;
	sums.buckets[5].count = 12;
	sums.buckets[9] = (struct size_count){.count = 2, .bytes = 600};
	process->mapping.munmap_bytes = 4096;
	process__set_alloc(process, &sums);
	process__end_interval(process, 2);
	interval = ring__at(&process->intervals, 0);
	assert_int_equal(interval->alloc_calls, 10);
	assert_int_equal(interval->alloc_bytes, 200);
	assert_int_equal(interval->free_calls, 7);
	assert_int_equal(interval->mmap_calls, 2);
	assert_int_equal(interval->rss_bytes, MB);
	interval = ring__at(&process->intervals, 1);
	assert_int_equal(interval->alloc_calls, 5);
	assert_int_equal(interval->alloc_bytes, 600);
	assert_int_equal(interval->free_calls, 0);
	assert_int_equal(interval->mmap_calls, 0);
	assert_int_equal(interval->munmap_bytes, 4096);
	assert_int_equal(interval->rss_bytes, 0);
	buckets = ring__at(&process->bucket_series, 1);
	assert_int_equal(buckets[5], 3);
	assert_int_equal(buckets[9], 2);
	assert_int_equal(process__requested_bytes(process), 800);
	process__free(process);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unknown_process_is_added_with_its_maps),
		cmocka_unit_test(failed_calls_are_counted_apart),
		cmocka_unit_test(a_commit_by_map_fixed_keeps_age_and_stack),
		cmocka_unit_test(what_failed_is_put_back),
		cmocka_unit_test(a_fork_copies_and_a_vfork_shares),
		cmocka_unit_test(a_fork_of_an_unknown_process_adds_both),
		cmocka_unit_test(a_child_lacks_what_was_not_to_be_forked),
		cmocka_unit_test(the_state_at_exit_group_stands),
		cmocka_unit_test(an_exit_in_the_middle_of_a_call_undoes_it),
		cmocka_unit_test(a_sharer_that_ends_leaves_the_memory_alone),
		cmocka_unit_test(a_pid_that_is_used_again_is_another_process),
		cmocka_unit_test(a_process_that_cannot_be_read_is_counted),
		cmocka_unit_test(an_exit_that_was_lost_is_noticed),
		cmocka_unit_test(an_oom_kill_is_remembered),
		cmocka_unit_test(a_ring_overflow_is_healed),
		cmocka_unit_test(calls_under_way_are_left_out_of_a_reading),
		cmocka_unit_test(a_full_model_drops_what_matters_least),
		cmocka_unit_test(an_ended_bystander_keeps_only_what_is_large),
		cmocka_unit_test(hostile_records_do_no_harm),
		cmocka_unit_test(samples_give_a_slope),
		cmocka_unit_test(intervals_hold_what_came_since_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
