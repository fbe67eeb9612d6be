// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>

#include "model/pending.h"

static int make_room(struct space *space)
{
	uint32_t room = space->pending_room ? space->pending_room * 2 : 4;
	struct pending_call *pending;

	if (space->pending_count < space->pending_room)
		return 0;
	if (space->pending_count >= PENDING_MAX)
		return -ENOSPC;
	pending = realloc(space->pending, room * sizeof(*pending));
	if (!pending)
		return -ENOMEM;
	space->pending = pending;
	space->pending_room = room;
	return 0;
}

int pending__start(struct space *space, uint32_t tid, uint64_t enter_ns, struct address_range take,
		   struct address_range cover)
{
	struct pending_call call = {
		.tid = tid, .enter_ns = enter_ns, .taken_from = take, .covered_from = cover};
	int err = make_room(space);

	if (err)
		return err;
	call.taken = space__take(space, take.start, take.end - take.start);
	if (!call.taken)
		return -ENOMEM;
	if (cover.end > cover.start) {
		call.covered = space__take(space, cover.start, cover.end - cover.start);
		if (!call.covered) {
			space__put_back(space, call.taken);
			return -ENOMEM;
		}
	}
	if (!moved_range__bytes(call.taken) && !call.covered) {
		moved_range__free(call.taken);
		return 0;
	}
	space->pending[space->pending_count++] = call;
	return 0;
}

static struct pending_call *find_call(const struct space *space, uint32_t tid)
{
	for (uint32_t i = 0; i < space->pending_count; i++) {
		if (space->pending[i].tid == tid)
			return &space->pending[i];
	}
	return NULL;
}

static void take_call(struct space *space, struct pending_call *found, struct pending_call *call)
{
	*call = *found;
	*found = space->pending[--space->pending_count];
}

bool pending__finish(struct space *space, uint32_t tid, uint64_t enter_ns,
		     struct pending_call *call)
{
	struct pending_call *found = find_call(space, tid);

	if (!found || found->enter_ns != enter_ns)
		return false;
	take_call(space, found, call);
	return true;
}

void pending_call__undo(struct space *space, struct pending_call *call)
{
	space__put_back(space, call->taken);
	if (call->covered)
		space__put_back(space, call->covered);
}

bool pending__drop_stale(struct space *space, uint32_t tid, uint64_t enter_ns)
{
	struct pending_call *found = find_call(space, tid), call;

	if (!found || (enter_ns && found->enter_ns == enter_ns))
		return false;
	take_call(space, found, &call);
	pending_call__undo(space, &call);
	return true;
}

void pending__undo_all(struct space *space)
{
	while (space->pending_count)
		pending_call__undo(space, &space->pending[--space->pending_count]);
	free(space->pending);
	space->pending = NULL;
	space->pending_room = 0;
}

void pending__drop_all(struct space *space)
{
	for (uint32_t i = 0; i < space->pending_count; i++) {
		moved_range__free(space->pending[i].taken);
		moved_range__free(space->pending[i].covered);
	}
	free(space->pending);
	space->pending = NULL;
	space->pending_count = 0;
	space->pending_room = 0;
}

static bool is_under_way(const struct pending_call *call, const struct address_range *under_way,
			 size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (under_way[i].start < call->taken_from.end &&
		    call->taken_from.start < under_way[i].end)
			return true;
	}
	return false;
}

bool pending__drop_ended(struct space *space, const struct address_range *under_way, size_t n,
			 uint64_t now_ns, uint64_t ended_by_ns)
{
	bool dropped = false;

	for (uint32_t i = space->pending_count; i-- > 0;) {
		struct pending_call *found = &space->pending[i], call;

		if (is_under_way(found, under_way, n)) {
			found->gone_ns = 0;
		} else if (!found->gone_ns) {
			found->gone_ns = now_ns;
		} else if (found->gone_ns < ended_by_ns) {
			take_call(space, found, &call);
			pending_call__undo(space, &call);
			dropped = true;
		}
	}
	return dropped;
}

size_t pending__ranges(const struct space *space, struct address_range *ranges, size_t max)
{
	size_t n = 0;

	for (uint32_t i = 0; i < space->pending_count; i++) {
		const struct pending_call *call = &space->pending[i];

		if (n < max && call->taken_from.end > call->taken_from.start)
			ranges[n++] = call->taken_from;
		if (n < max && call->covered_from.end > call->covered_from.start)
			ranges[n++] = call->covered_from;
	}
	return n;
}
