// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/images.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void images__init(struct images *all, struct unwind_image *images, struct unwind_pool *pool)
{
	memset(all, 0, sizeof(*all));
	all->images = images;
	all->pool = pool;
}

static void let_go(struct images *all, struct image_hold *hold)
{
	for (uint32_t i = 0; i < hold->object_count; i++)
		unwind_pool__release(all->pool, hold->objects[i]);
	free(hold->objects);
	memset(hold, 0, sizeof(*hold));
}

void images__clear(struct images *all)
{
	for (uint32_t i = 0; i < UNWIND_IMAGES_MAX; i++)
		let_go(all, &all->holds[i]);
}

static int compare_numbers(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return a < b ? -1 : a > b;
}

/* Takes hold of the objects of these mappings, each once. 0 or -ENOMEM. */
static int take_hold(struct images *all, struct image_hold *hold,
		     const struct unwind_mapping *mappings, uint32_t count)
{
	uint32_t *objects, n = 0;

	memset(hold, 0, sizeof(*hold));
	if (!count)
		return 0;
	objects = malloc(count * sizeof(*objects));
	if (!objects)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++)
		objects[i] = mappings[i].object;
	qsort(objects, count, sizeof(*objects), compare_numbers);
	for (uint32_t i = 0; i < count; i++) {
		if (objects[i] <= UNWIND_OBJECT_UNREAD || objects[i] >= UNWIND_OBJECTS_MAX ||
		    (n && objects[n - 1] == objects[i]))
			continue;
		objects[n++] = objects[i];
	}
	for (uint32_t i = 0; i < n; i++)
		unwind_pool__hold(all->pool, objects[i]);
	hold->objects = objects;
	hold->object_count = n;
	return 0;
}

int images__fill(struct images *all, uint32_t number, const struct unwind_mapping *mappings,
		 uint32_t count)
{
	struct unwind_image *image = &all->images[number];
	struct image_hold hold;
	int err = take_hold(all, &hold, mappings, count);

	if (err)
		return err;
	let_go(all, &all->holds[number]);
	hold.generation = image->generation;
	hold.count = count;
	all->holds[number] = hold;
	memcpy(image->mappings, mappings, count * sizeof(*mappings));
	image->users = 1;
	__atomic_store_n(&image->count, count, __ATOMIC_RELEASE);
	return 0;
}

bool images__equal(const struct images *all, uint32_t number, const struct unwind_mapping *mappings,
		   uint32_t count)
{
	const struct unwind_image *image = &all->images[number];

	return image->count == count &&
	       !memcmp(image->mappings, mappings, count * sizeof(*mappings));
}

/* An image that the kernel's side has made. One that changes hands meanwhile is met again. */
static void adopt(struct images *all, uint32_t number)
{
	const volatile struct unwind_image *image = &all->images[number];
	struct image_hold *hold = &all->holds[number], fresh;
	uint32_t generation = image->generation, count = image->count;

	if (!image->users || count > UNWIND_MAPPINGS_MAX ||
	    (hold->generation == generation && hold->count == count))
		return;
	if (take_hold(all, &fresh, all->images[number].mappings, count))
		return;
	if (image->generation != generation || image->count != count) {
		let_go(all, &fresh);
		return;
	}
	fresh.generation = generation;
	fresh.count = count;
	let_go(all, hold);
	*hold = fresh;
}

void images__sweep(struct images *all)
{
	for (uint32_t i = 1; i < UNWIND_IMAGES_MAX; i++)
		adopt(all, i);
	for (uint32_t i = 1; i < UNWIND_IMAGES_MAX; i++)
		if (!all->images[i].users)
			let_go(all, &all->holds[i]);
}
