// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Who pays for probes: the processes of a trace and their accounts. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "ingest/tracer.h"
#include "probe/bursts_internal.h"
#include "probe/coverage.h"

/* A clock that went back by more than a tick is that of another process with its pid. */
#define CLOCK_BACK_NS 10e6

static int read_cpu(const struct member *member, double *cpu_ns)
{
	struct timespec t;

	if (clock_gettime(member->clock, &t))
		return -errno;
	*cpu_ns = (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
	return 0;
}

void member__read(struct bursts *bursts, struct member *member)
{
	struct alloc_counts counts;
	double cpu_ns = 0;

	if (member->gone)
		return;
	if (tracer__read_counts(bursts->tracer, member->pid, &counts) ||
	    read_cpu(member, &cpu_ns) ||
	    cpu_ns - member->base_cpu_ns < member->cpu_ns - CLOCK_BACK_NS) {
		member->gone = true;
		return;
	}
	member->counts = counts;
	member->cpu_ns = cpu_ns - member->base_cpu_ns;
	member->cost_ns = coverage__cost_ns(bursts->coverage, &counts);
}

struct burst_reading member__reading(const struct member *member, uint64_t now_ns)
{
	return (struct burst_reading){
		.now_ns = now_ns,
		.cpu_ns = member->cpu_ns,
		.cost_ns = member->cost_ns,
		.counts = &member->counts,
	};
}

static struct unit *find_unit(struct bursts *bursts, uint32_t pid)
{
	struct unit *unit;

	HASH_FIND(hh, bursts->units, &pid, sizeof(pid), unit);
	return unit;
}

static struct unit *unit_of(struct bursts *bursts, uint32_t pid, uint64_t now_ns)
{
	struct governor_reading start = {.now_ns = now_ns};
	struct unit *unit;

	if (coverage__scope(bursts->coverage) == COVERAGE_ALL)
		pid = 0;
	unit = find_unit(bursts, pid);
	if (unit)
		return unit;
	unit = calloc(1, sizeof(*unit));
	if (!unit)
		return NULL;
	unit->pid = pid;
	governor__init(&unit->governor, bursts->budget, now_ns ^ (uint64_t)pid << 32);
	governor__start(&unit->governor, &start);
	HASH_ADD(hh, bursts->units, pid, sizeof(unit->pid), unit);
	return unit;
}

/* What it had paid before it was added is the governor's business, but part of no window. */
static void start_log(struct member *member, uint64_t now_ns, bool from_birth, bool attached)
{
	static const struct alloc_counts none;
	struct burst_reading reading = member__reading(member, now_ns);

	if (from_birth) {
		reading.cpu_ns = reading.cost_ns = 0;
		reading.counts = &none;
	}
	burst_log__init(&member->log, &reading);
	if (attached)
		burst_log__open(&member->log, &reading);
}

static struct member *find_member(struct bursts *bursts, uint32_t pid, uint64_t start_ns)
{
	struct member *member;

	HASH_FIND(hh, bursts->members, &pid, sizeof(pid), member);
	return member && member->start_ns == start_ns ? member : NULL;
}

static void add_member(struct bursts *bursts, uint32_t pid, uint64_t start_ns, bool from_birth)
{
	uint64_t now_ns = monotonic_ns();
	struct unit *unit = unit_of(bursts, pid, now_ns);
	struct member *member = unit ? calloc(1, sizeof(*member)) : NULL;

	if (!member)
		return;
	member->pid = pid;
	member->start_ns = start_ns;
	member->unit = unit;
	member->gone = clock_getcpuclockid((pid_t)pid, &member->clock) != 0;
	if (!from_birth && !member->gone)
		member->gone = read_cpu(member, &member->base_cpu_ns) != 0;
	member__read(bursts, member);
	start_log(member, now_ns, from_birth, unit->governor.attached);
	if (!unit->governor.attached)
		member->detached_ns = now_ns;
	member->next = unit->members;
	unit->members = member;
	unit->look_ns = now_ns;
	HASH_ADD(hh, bursts->members, pid, sizeof(member->pid), member);
}

void bursts__add(struct bursts *bursts, uint32_t pid, uint64_t start_ns, bool from_birth)
{
	struct member *other;

	if (!bursts)
		return;
	pthread_mutex_lock(&bursts->lock);
	HASH_FIND(hh, bursts->members, &pid, sizeof(pid), other);
	/* Its end was lost. */
	if (other && other->start_ns != start_ns) {
		member__remove(bursts, other);
		other = NULL;
	}
	if (!other && !bursts->stopped)
		add_member(bursts, pid, start_ns, from_birth);
	pthread_cond_signal(&bursts->changed);
	pthread_mutex_unlock(&bursts->lock);
}

static void remove_unit(struct bursts *bursts, struct unit *unit)
{
	bursts->ended_cpu_ns += unit->ended_cpu_ns;
	bursts->ended_cost_ns += unit->ended_cost_ns + unit->edges_ns;
	HASH_DEL(bursts->units, unit);
	free(unit);
}

void member__remove(struct bursts *bursts, struct member *member)
{
	struct unit *unit = member->unit;

	for (struct member **at = &unit->members; *at; at = &(*at)->next) {
		if (*at == member) {
			*at = member->next;
			break;
		}
	}
	unit->ended_cpu_ns += member->cpu_ns;
	unit->ended_cost_ns += member->cost_ns;
	HASH_DEL(bursts->members, member);
	burst_log__free(&member->log);
	free(member);
	if (unit->pid)
		remove_unit(bursts, unit);
}

static void fill_view(const struct member *member, uint64_t now_ns, struct bursts_view *view)
{
	struct burst_reading end = member__reading(member, now_ns);

	*view = (struct bursts_view){
		.was_detached = member->detached_ns != 0,
		.cost_ns = member->cost_ns,
		.cpu_ns = member->cpu_ns,
	};
	if (view->was_detached)
		burst_log__estimate(&member->log, &end, &view->estimate);
}

int bursts__view(struct bursts *bursts, uint32_t pid, uint64_t start_ns, struct bursts_view *view)
{
	struct member *member;

	if (!bursts)
		return -ENOENT;
	pthread_mutex_lock(&bursts->lock);
	member = find_member(bursts, pid, start_ns);
	if (member)
		fill_view(member, bursts->stopped_ns, view);
	pthread_mutex_unlock(&bursts->lock);
	return member ? 0 : -ENOENT;
}

int bursts__end(struct bursts *bursts, uint32_t pid, uint64_t start_ns, double cpu_ns,
		const struct alloc_counts *counts, struct bursts_view *view)
{
	struct burst_reading last;
	struct member *member;

	if (!bursts)
		return -ENOENT;
	pthread_mutex_lock(&bursts->lock);
	member = find_member(bursts, pid, start_ns);
	if (member) {
		if (cpu_ns - member->base_cpu_ns > member->cpu_ns)
			member->cpu_ns = cpu_ns - member->base_cpu_ns;
		if (counts) {
			member->counts = *counts;
			member->cost_ns = coverage__cost_ns(bursts->coverage, counts);
		}
		last = member__reading(member, monotonic_ns());
		burst_log__close(&member->log, &last);
		fill_view(member, last.now_ns, view);
		member__remove(bursts, member);
	}
	pthread_mutex_unlock(&bursts->lock);
	return member ? 0 : -ENOENT;
}

bool bursts__was_detached(struct bursts *bursts, uint32_t pid, uint64_t start_ns,
			  uint64_t *since_ns)
{
	struct member *member;

	if (!bursts)
		return false;
	pthread_mutex_lock(&bursts->lock);
	member = find_member(bursts, pid, start_ns);
	*since_ns = member ? member->detached_ns : 0;
	pthread_mutex_unlock(&bursts->lock);
	return *since_ns != 0;
}

void bursts__totals(struct bursts *bursts, struct bursts_totals *totals)
{
	*totals = (struct bursts_totals){0};
	if (!bursts)
		return;
	pthread_mutex_lock(&bursts->lock);
	*totals = bursts->totals;
	totals->cost_ns = bursts->ended_cost_ns;
	totals->cpu_ns = bursts->ended_cpu_ns;
	for (struct unit *unit = bursts->units; unit; unit = unit->hh.next) {
		totals->cost_ns += unit->ended_cost_ns + unit->edges_ns;
		totals->cpu_ns += unit->ended_cpu_ns;
		for (struct member *member = unit->members; member; member = member->next) {
			totals->cost_ns += member->cost_ns;
			totals->cpu_ns += member->cpu_ns;
		}
	}
	pthread_mutex_unlock(&bursts->lock);
}
