// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A simulated kernel: threads whose calls start, take effect and return at arbitrary moments, the
 * records of which reach the model late. Whatever the interleaving, the model must be right at the
 * end, or know that it may not be and be right after a re-read.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "records.h"

#define PID     77
#define BASE    0x7f0000000000ull
#define CELLS   48 /* pages; the brk area begins in the last quarter */
#define HEAP_AT 36
#define THREADS 4
#define QUEUE   4096

struct cell {
	bool mapped;
	uint32_t prot;
};

enum call_state { CALL_NONE, CALL_STARTED, CALL_DONE };

struct call {
	enum call_state state;
	struct rec_mapping rec; /* of the return */
	bool traced;            /* it started after the probes were attached */
	bool removes;
	struct address_range removed;
};

struct sim {
	struct cell cells[CELLS];
	int brk; /* cell */
	struct call calls[THREADS];
	int threads;
	bool attached;
	int lossy; /* so many records to lose */
	bool lost;
	struct rec_mapping queue[QUEUE];
	size_t made, read;
	uint64_t now_ns;
	uint64_t random;
	struct model model;
};

static uint64_t below(struct sim *sim, uint64_t n)
{
	sim->random ^= sim->random << 13;
	sim->random ^= sim->random >> 7;
	sim->random ^= sim->random << 17;
	return sim->random % n;
}

static uint64_t addr_of(int cell)
{
	return BASE + (uint64_t)cell * PAGE;
}

static int cell_of(uint64_t addr)
{
	return (int)((addr - BASE) / PAGE);
}

static void emit(struct sim *sim, const struct rec_mapping *rec)
{
	if (!sim->attached)
		return;
	if (sim->lossy) {
		sim->lossy--;
		sim->lost = true;
		return;
	}
	assert_true(sim->made < QUEUE);
	sim->queue[sim->made] = *rec;
	sim->queue[sim->made++].hdr.time_ns = ++sim->now_ns;
}

/* /proc */
static int read_maps(void *ctx, uint32_t pid, uint64_t ticks, struct maps_entry **entries,
		     size_t *n)
{
	struct sim *sim = ctx;
	struct maps_entry *lines = calloc(CELLS + 1, sizeof(*lines));

	*n = 0;
	for (int i = 0; i < CELLS; i++) {
		struct maps_entry *last = *n ? &lines[*n - 1] : NULL;
		bool heap = i >= HEAP_AT && i < sim->brk;

		if (!sim->cells[i].mapped)
			continue;
		if (last && last->end == addr_of(i) && last->prot == sim->cells[i].prot &&
		    (last->path[0] != 0) == heap) {
			last->end += PAGE;
			continue;
		}
		lines[(*n)++] = (struct maps_entry){
			.start = addr_of(i),
			.end = addr_of(i + 1),
			.prot = sim->cells[i].prot,
			.path = strdup(heap ? "[heap]" : ""),
		};
	}
	lines[(*n)++] = (struct maps_entry){
		.start = BASE + (1ull << 30),
		.end = BASE + (1ull << 30) + PAGE,
		.prot = RW,
		.path = strdup("[stack]"),
	};
	*entries = lines;
	return 0;
}

static int read_inflight(void *ctx, uint32_t pid, struct address_range *ranges, size_t max)
{
	struct sim *sim = ctx;
	int n = 0;

	for (int i = 0; i < sim->threads; i++) {
		const struct call *call = &sim->calls[i];

		if (call->state != CALL_NONE && call->traced && call->removes)
			ranges[n++] = call->removed;
	}
	return n;
}

static uint64_t read_brk(void *ctx, uint32_t pid)
{
	return addr_of(HEAP_AT);
}

static uint64_t now_ns(void *ctx)
{
	return ++((struct sim *)ctx)->now_ns;
}

/* Choosing calls */
static uint32_t random_prot(struct sim *sim)
{
	static const uint32_t prots[] = {PROT_NONE, PROT_READ, RW};

	return prots[below(sim, 3)];
}

static void start_call(struct sim *sim, int thread)
{
	struct call *call = &sim->calls[thread];
	int at = (int)below(sim, CELLS), n = 1 + (int)below(sim, 8);
	struct rec_mapping *rec = &call->rec, start;
	uint32_t start_type = 0;

	if (n > CELLS - at)
		n = CELLS - at;
	*call = (struct call){.state = CALL_STARTED, .traced = sim->attached};
	*rec = mapping(0, PID, PID + thread, ++sim->now_ns, 0);
	rec->addr = addr_of(at);
	rec->len = n * PAGE;
	call->removed = (struct address_range){rec->addr, rec->addr + rec->len};
	switch (below(sim, 8)) {
	case 0:
	case 1:
		rec->hdr.type = REC_MMAP;
		rec->addr = 0;
		rec->prot = random_prot(sim);
		rec->map_flags = ANON;
		break;
	case 2:
		rec->hdr.type = REC_MMAP;
		rec->prot = random_prot(sim);
		rec->map_flags = ANON | MAP_FIXED;
		start_type = REC_MMAP_FIXED;
		break;
	case 3:
	case 4:
		rec->hdr.type = REC_MUNMAP;
		start_type = REC_MUNMAP;
		break;
	case 5:
		rec->hdr.type = REC_MREMAP;
		rec->aux = (1 + below(sim, 8)) * PAGE;
		rec->prot = MREMAP_MAYMOVE;
		start_type = REC_MREMAP_ENTER;
		if (below(sim, 2)) {
			rec->prot |= MREMAP_FIXED;
			rec->aux2 = addr_of((int)below(sim, CELLS - 8));
		}
		break;
	case 6:
		rec->hdr.type = REC_MPROTECT;
		rec->prot = random_prot(sim);
		break;
	default:
		rec->hdr.type = REC_BRK;
		rec->addr = below(sim, 4) ? addr_of(HEAP_AT + (int)below(sim, CELLS - HEAP_AT)) : 0;
		rec->len = 0;
	}
	call->removes = start_type;
	if (start_type) {
		start = *rec;
		start.hdr.type = start_type;
		emit(sim, &start);
	}
}

/* What calls do, at one moment each */
static int find_room(struct sim *sim, int n)
{
	int rooms[CELLS], found = 0, free_cells = 0;

	for (int i = 0; i < CELLS; i++) {
		free_cells = sim->cells[i].mapped ? 0 : free_cells + 1;
		if (free_cells >= n)
			rooms[found++] = i - n + 1;
	}
	return found ? rooms[below(sim, found)] : -1;
}

static void set_cells(struct sim *sim, int at, int n, bool mapped, uint32_t prot)
{
	for (int i = at; i < at + n; i++)
		sim->cells[i] = (struct cell){mapped, mapped ? prot : 0};
}

static int64_t do_mremap(struct sim *sim, const struct rec_mapping *rec)
{
	int at = cell_of(rec->addr), n = (int)(rec->len / PAGE), new_n = (int)(rec->aux / PAGE);
	uint32_t prot = sim->cells[at].prot;
	int to = at;

	if (rec->prot & MREMAP_FIXED) {
		to = cell_of(rec->aux2);
		if (to < at + n && at < to + new_n)
			return -EINVAL;
		set_cells(sim, to, new_n, false, 0);
	}
	/* One mapping must span the range; to have failed it must not have moved. */
	for (int i = at; i < at + n; i++) {
		if (!sim->cells[i].mapped || sim->cells[i].prot != prot)
			return -EFAULT;
	}
	if (!(rec->prot & MREMAP_FIXED) && new_n > n) {
		to = find_room(sim, new_n);
		if (to < 0)
			return -ENOMEM;
	}
	set_cells(sim, at, n, false, 0);
	set_cells(sim, to, new_n, true, prot);
	return (int64_t)addr_of(to);
}

static int64_t do_brk(struct sim *sim, const struct rec_mapping *rec)
{
	int brk = rec->addr ? cell_of(rec->addr) : sim->brk;

	for (int i = sim->brk; i < brk; i++) {
		if (sim->cells[i].mapped)
			return (int64_t)addr_of(sim->brk);
	}
	if (brk > sim->brk)
		set_cells(sim, sim->brk, brk - sim->brk, true, RW);
	else
		set_cells(sim, brk, sim->brk - brk, false, 0);
	sim->brk = brk;
	return (int64_t)addr_of(brk);
}

static int64_t do_mprotect(struct sim *sim, const struct rec_mapping *rec)
{
	int at = cell_of(rec->addr), n = (int)(rec->len / PAGE);

	/* It acts up to the first hole. */
	for (int i = at; i < at + n; i++) {
		if (!sim->cells[i].mapped)
			return -ENOMEM;
		sim->cells[i].prot = rec->prot;
	}
	return 0;
}

static int64_t do_call(struct sim *sim, const struct rec_mapping *rec)
{
	int n = (int)(rec->len / PAGE), at;

	switch (rec->hdr.type) {
	case REC_MMAP:
		at = rec->map_flags & MAP_FIXED ? cell_of(rec->addr) : find_room(sim, n);
		if (at < 0)
			return -ENOMEM;
		set_cells(sim, at, n, true, rec->prot);
		return (int64_t)addr_of(at);
	case REC_MUNMAP:
		set_cells(sim, cell_of(rec->addr), n, false, 0);
		return 0;
	case REC_MREMAP:
		return do_mremap(sim, rec);
	case REC_MPROTECT:
		return do_mprotect(sim, rec);
	default:
		return do_brk(sim, rec);
	}
}

static void end_call(struct sim *sim, int thread)
{
	struct call *call = &sim->calls[thread];
	struct rec_mapping reread = mapping(REC_REREAD, PID, PID + thread, 0, 0);

	if (call->rec.result < 0)
		call->rec.hdr.flags |= RECF_FAILED;
	if (!call->traced) {
		reread.hdr.flags = RECF_UNPAIRED;
		emit(sim, &reread);
	} else if (call->rec.hdr.type != REC_MUNMAP || call->rec.result < 0) {
		emit(sim, &call->rec);
	}
	call->state = CALL_NONE;
}

static void step_thread(struct sim *sim, int thread, bool may_start)
{
	struct call *call = &sim->calls[thread];

	sim->now_ns++;
	if (call->state == CALL_DONE) {
		end_call(sim, thread);
	} else if (call->state == CALL_STARTED) {
		call->rec.result = do_call(sim, &call->rec);
		call->state = CALL_DONE;
	} else if (may_start) {
		start_call(sim, thread);
	}
}

static void consume(struct sim *sim, size_t max)
{
	for (; max && sim->read < sim->made; max--)
		feed(&sim->model, &sim->queue[sim->read++]);
}

static void show(void *ctx, uint64_t start, uint64_t end, const char *why)
{
	fprintf(stderr, "cells %d to %d: %s\n", cell_of(start), cell_of(end), why);
}

static int differences(struct sim *sim, struct process *process, bool loud)
{
	struct maps_entry *entries;
	size_t n;
	int differ;

	read_maps(sim, PID, 0, &entries, &n);
	differ = space__compare(process->space, entries, n, loud ? show : NULL, NULL);
	maps_entries__free(entries, n);
	return differ;
}

static struct sim *new_sim(uint64_t seed, int threads)
{
	struct sim *sim = calloc(1, sizeof(*sim));
	struct model_reader reader = {
		.ctx = sim,
		.read_maps = read_maps,
		.read_inflight = read_inflight,
		.read_brk = read_brk,
		.now_ns = now_ns,
	};

	assert_non_null(sim);
	sim->random = seed * 0x9e3779b97f4a7c15ull | 1;
	sim->threads = threads;
	sim->brk = HEAP_AT;
	sim->now_ns = 5000000000;
	assert_int_equal(model__init(&sim->model, &reader, 0, 1, 4), 0);
	return sim;
}

/* What the trace does from time to time. */
static void act_at_random(struct sim *sim, bool with_losses)
{
	consume(sim, below(sim, 4));
	switch (below(sim, 40)) {
	case 0:
		model__heal(&sim->model, true);
		break;
	case 1:
		model__heal(&sim->model, false);
		break;
	case 2:
		if (with_losses)
			sim->lossy = (int)below(sim, 6);
		break;
	case 3:
		if (sim->lost && !sim->lossy) {
			sim->lost = false;
			model__distrust_all(&sim->model);
		}
		break;
	}
}

/* Returns whether the model was right without a re-read at the end. */
static bool run_storm(uint64_t seed, int threads, bool with_losses)
{
	struct sim *sim = new_sim(seed, threads);
	int before = (int)below(sim, 40), during = 20 + (int)below(sim, 300);
	struct process *process;
	bool right;

	for (int i = 0; i < before; i++)
		step_thread(sim, (int)below(sim, threads), true);
	sim->attached = true;
	for (int i = (int)below(sim, 10); i > 0; i--)
		step_thread(sim, (int)below(sim, threads), true);
	process = model__add(&sim->model, PID, START_NS, "storm", sim->now_ns);
	assert_non_null(process);
	for (int i = 0; i < during; i++) {
		step_thread(sim, (int)below(sim, threads), true);
		act_at_random(sim, with_losses);
	}
	sim->lossy = 0;
	for (int i = 0; i < threads; i++) {
		while (sim->calls[i].state != CALL_NONE)
			step_thread(sim, i, false);
	}
	consume(sim, SIZE_MAX);
	if (sim->lost)
		model__distrust_all(&sim->model);
	right = !process->needs_reread;
	if (right && differences(sim, process, true))
		fail_msg("seed %d, %d threads: wrong and not noticed", (int)seed, threads);
	model__heal(&sim->model, false);
	if (process->needs_reread && with_losses) {
		/* A call that waits for a return record that was lost is given up. */
		model__heal(&sim->model, false);
		sim->now_ns += 2000000000;
		model__heal(&sim->model, false);
	}
	if (process->needs_reread || differences(sim, process, true))
		fail_msg("seed %d, %d threads: wrong after a re-read", (int)seed, threads);
	assert_int_equal(sim->model.losses[LOSS_bad_records], 0);
	assert_int_equal(sim->model.losses[LOSS_mappings_dropped], 0);
	model__free(&sim->model);
	free(sim);
	return right;
}

static int storms(int threads, bool with_losses, int n)
{
	int right = 0;

	for (int seed = 1; seed <= n; seed++)
		right += run_storm((uint64_t)seed, threads, with_losses);
	return right;
}

#define STORMS 3000

static void one_thread(void **state)
{
	storms(1, false, STORMS);
}

static void two_threads(void **state)
{
	storms(2, false, STORMS);
}

static void four_threads(void **state)
{
	storms(4, false, STORMS);
}

static void lost_records(void **state)
{
	storms(1, true, STORMS);
	storms(3, true, STORMS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_thread),
		cmocka_unit_test(two_threads),
		cmocka_unit_test(four_threads),
		cmocka_unit_test(lost_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
