// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Which objects images hold, whoever has made the images. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "unwind/images.h"

/* Room for this program's table and little else. */
#define BLOCKS 256

struct fixture {
	struct unwind_memory memory;
	uint64_t epoch;
	struct unwind_image *shared;
	struct images *all;
	struct unwind_pool *pool;
	uint32_t object;
};

static int set_up(void **state)
{
	struct fixture *fix = calloc(1, sizeof(*fix));
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	assert_non_null(fix);
	assert_true(fd >= 0);
	fix->memory = (struct unwind_memory){
		.blocks = aligned_alloc(4096, BLOCKS * sizeof(union unwind_block)),
		.block_count = BLOCKS,
		.rules = calloc(UNWIND_RULES_MAX, sizeof(struct unwind_rule)),
		.objects = calloc(UNWIND_OBJECTS_MAX, sizeof(struct unwind_object)),
		.epoch = &fix->epoch,
	};
	memset(fix->memory.blocks, 0, BLOCKS * sizeof(union unwind_block));
	fix->shared = calloc(UNWIND_IMAGES_MAX, sizeof(*fix->shared));
	fix->all = malloc(sizeof(*fix->all));
	fix->pool = unwind_pool__new(&fix->memory);
	assert_true(fix->shared && fix->all && fix->pool);
	images__init(fix->all, fix->shared, fix->pool);
	assert_int_equal(unwind_pool__object(fix->pool, fd, "self", getpid(), &fix->object), 0);
	assert_true(fix->object > UNWIND_OBJECT_UNREAD);
	close(fd);
	*state = fix;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *fix = *state;

	images__clear(fix->all);
	unwind_pool__free(fix->pool);
	free(fix->memory.blocks);
	free(fix->memory.rules);
	free(fix->memory.objects);
	free(fix->shared);
	free(fix->all);
	free(fix);
	return 0;
}

/* Two mappings of the object, and code of no file. */
static void make_mappings(const struct fixture *fix, struct unwind_mapping mappings[3])
{
	memset(mappings, 0, 3 * sizeof(*mappings));
	for (uint32_t i = 0; i < 3; i++)
		mappings[i] = (struct unwind_mapping){.start = 0x400000 + i * 0x10000ull,
						      .page_count = 4,
						      .file_page = i,
						      .object = i == 1 ? UNWIND_OBJECT_ANONYMOUS
								       : fix->object};
}

static void an_image_is_filled_and_told_from_others(void **state)
{
	struct fixture *fix = *state;
	struct unwind_mapping mappings[3];

	make_mappings(fix, mappings);
	assert_int_equal(images__fill(fix->all, 5, mappings, 3), 0);
	assert_int_equal(fix->shared[5].users, 1);
	assert_int_equal(fix->shared[5].count, 3);
	assert_true(images__equal(fix->all, 5, mappings, 3));
	assert_false(images__equal(fix->all, 5, mappings, 2));
	mappings[2].file_page++;
	assert_false(images__equal(fix->all, 5, mappings, 3));
	/* Once, for both of its mappings. */
	assert_int_equal(fix->all->holds[5].object_count, 1);
	assert_int_equal(fix->all->holds[5].objects[0], fix->object);
}

static void what_nobody_is_on_lets_go(void **state)
{
	struct fixture *fix = *state;
	struct unwind_mapping mappings[3];

	make_mappings(fix, mappings);
	assert_int_equal(images__fill(fix->all, 5, mappings, 3), 0);
	images__sweep(fix->all);
	assert_int_equal(fix->all->holds[5].object_count, 1);
	fix->shared[5].users = 0;
	fix->shared[5].generation++;
	images__sweep(fix->all);
	assert_int_equal(fix->all->holds[5].object_count, 0);
}

/* Extended by the kernel's side: the same code in another image, the first one given back. */
static void what_the_kernel_has_made_is_held(void **state)
{
	struct fixture *fix = *state;
	struct unwind_image *made = &fix->shared[9];

	make_mappings(fix, made->mappings);
	made->generation = 7;
	made->users = 1;
	/* It is not whole yet. */
	images__sweep(fix->all);
	assert_int_equal(fix->all->holds[9].object_count, 0);
	made->count = 3;
	images__sweep(fix->all);
	assert_int_equal(fix->all->holds[9].object_count, 1);
	/* Given back and taken by somebody else, with other code. */
	made->generation++;
	made->mappings[0].object = made->mappings[2].object = UNWIND_OBJECT_ANONYMOUS;
	images__sweep(fix->all);
	assert_int_equal(fix->all->holds[9].object_count, 0);
	assert_int_equal(fix->all->holds[9].generation, 8);
	/* What no image can have is nobody's. */
	made->generation++;
	made->count = UNWIND_MAPPINGS_MAX + 1;
	images__sweep(fix->all);
	made->count = 1;
	made->mappings[0].object = UNWIND_OBJECTS_MAX;
	images__sweep(fix->all);
	assert_int_equal(fix->all->holds[9].object_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_image_is_filled_and_told_from_others, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(what_nobody_is_on_lets_go, set_up, tear_down),
		cmocka_unit_test_setup_teardown(what_the_kernel_has_made_is_held, set_up,
						tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
