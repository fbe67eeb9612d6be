// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/subjects.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "census/proc_stat.h"

struct group;

struct slot {
	struct group *group;
	uint32_t number;
	bool held;
	bool maybe_alive; /* of an earlier run; not looked up yet */
	struct subject_process last;
	TAILQ_ENTRY(slot) free; /* when not held */
};

/* An executable in a unit. */
struct group {
	UT_hash_handle hh;
	struct slot **slots; /* by number; there may be gaps */
	size_t count, room;
	size_t key_size;
	char key[]; /* unit, NUL, exe */
};

struct subjects {
	struct group *groups;
	TAILQ_HEAD(free_slots, slot) free; /* the longest free first */
	size_t count;
};

#define KEY_MAX (SUBJECT_UNIT_MAX + SUBJECT_EXE_MAX)

static size_t make_key(const struct subject_name *name, char key[KEY_MAX])
{
	size_t unit = strnlen(name->unit, SUBJECT_UNIT_MAX - 1);
	size_t exe = strnlen(name->exe, SUBJECT_EXE_MAX - 1);

	memcpy(key, name->unit, unit);
	key[unit] = '\0';
	memcpy(key + unit + 1, name->exe, exe);
	return unit + 1 + exe;
}

static struct group *find_group(const struct subjects *subjects, const struct subject_name *name)
{
	char key[KEY_MAX];
	size_t size = make_key(name, key);
	struct group *group;

	HASH_FIND(hh, subjects->groups, key, size, group);
	return group;
}

static struct group *have_group(struct subjects *subjects, const struct subject_name *name)
{
	struct group *group = find_group(subjects, name);
	char key[KEY_MAX];
	size_t size;

	if (group)
		return group;
	size = make_key(name, key);
	group = calloc(1, sizeof(*group) + size);
	if (!group)
		return NULL;
	group->key_size = size;
	memcpy(group->key, key, size);
	HASH_ADD_KEYPTR(hh, subjects->groups, group->key, group->key_size, group);
	if (!group->hh.tbl) {
		free(group);
		return NULL;
	}
	return group;
}

static void free_group(struct group *group)
{
	for (size_t i = 0; i < group->count; i++)
		free(group->slots[i]);
	free(group->slots);
	free(group);
}

static void drop_if_empty(struct subjects *subjects, struct group *group)
{
	if (group->count)
		return;
	HASH_DEL(subjects->groups, group);
	free_group(group);
}

/* Where a slot of that number is, or would be. */
static size_t slot_place(const struct group *group, uint32_t number)
{
	size_t low = 0, high = group->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (group->slots[middle]->number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct slot *find_slot(const struct group *group, uint32_t number)
{
	size_t at = slot_place(group, number);

	return at < group->count && group->slots[at]->number == number ? group->slots[at] : NULL;
}

static void forget_slot(struct subjects *subjects, struct slot *slot)
{
	struct group *group = slot->group;
	size_t at = slot_place(group, slot->number);

	TAILQ_REMOVE(&subjects->free, slot, free);
	memmove(group->slots + at, group->slots + at + 1,
		(group->count - at - 1) * sizeof(*group->slots));
	group->count--;
	subjects->count--;
	free(slot);
	drop_if_empty(subjects, group);
}

/* After one was added. Held ones are bounded by who holds them. */
static void make_room(struct subjects *subjects)
{
	if (subjects->count > SUBJECTS_NAMES_MAX && !TAILQ_EMPTY(&subjects->free))
		forget_slot(subjects, TAILQ_FIRST(&subjects->free));
}

/* A free one. */
static struct slot *add_slot(struct subjects *subjects, struct group *group, uint32_t number)
{
	struct slot *slot = calloc(1, sizeof(*slot));
	size_t at = slot_place(group, number);

	if (slot && group->count == group->room) {
		size_t room = group->room ? 2 * group->room : 1;
		struct slot **grown = reallocarray(group->slots, room, sizeof(struct slot *));

		if (!grown) {
			free(slot);
			return NULL;
		}
		group->slots = grown;
		group->room = room;
	}
	if (!slot)
		return NULL;
	memmove(group->slots + at + 1, group->slots + at,
		(group->count - at) * sizeof(*group->slots));
	group->slots[at] = slot;
	group->count++;
	slot->group = group;
	slot->number = number;
	TAILQ_INSERT_TAIL(&subjects->free, slot, free);
	subjects->count++;
	return slot;
}

static bool is_process(const struct subject_process *a, const struct subject_process *b)
{
	return a->pid == b->pid && a->start_time == b->start_time;
}

static bool is_free(struct slot *slot)
{
	struct proc_stat stat;

	if (slot->held)
		return false;
	if (slot->maybe_alive && proc_stat__read(slot->last.pid, &stat) == 0 &&
	    stat.start_ticks == slot->last.start_time && !stat.is_zombie)
		return false; /* it will ask for it itself */
	slot->maybe_alive = false;
	return true;
}

static struct slot *choose_slot(struct group *group, const struct subject_process *process)
{
	for (size_t i = 0; i < group->count; i++) {
		if (!group->slots[i]->held && is_process(&group->slots[i]->last, process))
			return group->slots[i];
	}
	for (size_t i = 0; i < group->count; i++) {
		if (group->slots[i]->last.command_hash == process->command_hash &&
		    is_free(group->slots[i]))
			return group->slots[i];
	}
	for (size_t i = 0; i < group->count; i++) {
		if (is_free(group->slots[i]))
			return group->slots[i];
	}
	return NULL;
}

static uint32_t unused_number(const struct group *group)
{
	uint32_t number = 0;

	while (number < group->count && group->slots[number]->number == number)
		number++;
	return number;
}

int subjects__take(struct subjects *subjects, struct subject_name *name,
		   const struct subject_process *process)
{
	struct group *group = have_group(subjects, name);
	struct slot *slot;

	if (!group)
		return -ENOMEM;
	slot = choose_slot(group, process);
	if (!slot)
		slot = add_slot(subjects, group, unused_number(group));
	if (!slot) {
		drop_if_empty(subjects, group);
		return -ENOMEM;
	}
	TAILQ_REMOVE(&subjects->free, slot, free);
	slot->held = true;
	slot->maybe_alive = false;
	slot->last = *process;
	name->slot = slot->number;
	make_room(subjects);
	return 0;
}

void subjects__release(struct subjects *subjects, const struct subject_name *name)
{
	struct group *group = find_group(subjects, name);
	struct slot *slot = group ? find_slot(group, name->slot) : NULL;

	if (!slot || !slot->held)
		return;
	slot->held = false;
	TAILQ_INSERT_TAIL(&subjects->free, slot, free);
}

int subjects__remember(struct subjects *subjects, const struct subject_name *name,
		       const struct subject_process *process)
{
	struct group *group;
	struct slot *slot;

	if (!name->exe[0] || name->slot >= SUBJECTS_NAMES_MAX)
		return -EINVAL;
	group = have_group(subjects, name);
	if (!group)
		return -ENOMEM;
	slot = find_slot(group, name->slot);
	if (!slot)
		slot = add_slot(subjects, group, name->slot);
	if (!slot) {
		drop_if_empty(subjects, group);
		return -ENOMEM;
	}
	if (!slot->held) {
		slot->last = *process;
		slot->maybe_alive = true;
	}
	make_room(subjects);
	return 0;
}

struct subjects *subjects__new(void)
{
	struct subjects *subjects = calloc(1, sizeof(*subjects));

	if (subjects)
		TAILQ_INIT(&subjects->free);
	return subjects;
}

void subjects__free(struct subjects *subjects)
{
	struct group *group, *next;

	if (!subjects)
		return;
	/* Takes the table away and leaves the groups in their order. */
	group = subjects->groups;
	HASH_CLEAR(hh, subjects->groups);
	for (; group; group = next) {
		next = group->hh.next;
		free_group(group);
	}
	free(subjects);
}

size_t subjects__count(const struct subjects *subjects)
{
	return subjects->count;
}
