// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Flame graphs: blocks lie within their parents, add up, and no name gets out of its place. */
#include "trace_fixture.h"

#include "output/derive.h"
#include "output/profile.h"

struct block {
	double x, width;
	unsigned int depth;
	uint64_t value;
	char title[160];
};

#define BLOCKS_MAX 4096

static char *draw(struct fixture *fix, enum profile_weight weight)
{
	struct profile *profile;
	char *text = NULL;

	fix_build(fix);
	assert_int_equal(profile__build(&fix->result, &profile), 0);
	FIX_CAPTURE(text, profile_svg__write(out, profile, weight));
	profile__free(profile);
	return text;
}

/* The blocks, root first. */
static size_t read_blocks(const char *svg, struct block *blocks)
{
	size_t n = 0;

	for (const char *at = svg; (at = strstr(at, "<svg class=\"f ")); at++, n++) {
		const char *x = strstr(at, "x=\""), *depth = strstr(at, "data-d=\"");
		const char *title = strstr(at, "<title>"), *value = strstr(at, "data-v=\"");

		assert_true(n < BLOCKS_MAX);
		blocks[n].x = strtod(x + 3, NULL);
		blocks[n].width = strtod(strstr(at, "width=\"") + 7, NULL);
		blocks[n].depth = (unsigned int)strtoul(depth + 8, NULL, 10);
		blocks[n].value = strtoull(value + 8, NULL, 10);
		title += 7;
		snprintf(blocks[n].title, sizeof(blocks[n].title), "%.*s",
			 (int)strcspn(title, "\n"), title);
	}
	return n;
}

static const struct block *find(const struct block *blocks, size_t n, const char *title)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(blocks[i].title, title))
			return &blocks[i];
	fail_msg("no block %s", title);
	return NULL;
}

static void expect_children_within(const struct block *blocks, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint64_t sum = 0, last = UINT64_MAX;
		double end = blocks[i].x;

		for (size_t k = i + 1; k < n && blocks[k].depth > blocks[i].depth; k++) {
			if (blocks[k].depth != blocks[i].depth + 1)
				continue;
			/* Beside each other: none begins before the end of the one before. */
			assert_true(blocks[k].x >= end - 1e-9);
			end = blocks[k].x + blocks[k].width;
			sum += blocks[k].value;
			/* Largest first. */
			assert_true(blocks[k].value <= last);
			last = blocks[k].value;
		}
		assert_true(sum <= blocks[i].value);
		assert_true(end <= blocks[i].x + blocks[i].width + 1e-9);
	}
}

static void blocks_add_up_to_the_report(void **state)
{
	static struct block blocks[BLOCKS_MAX];
	struct fixture fix;
	char *svg;
	size_t n;

	fix_init(&fix);
	svg = draw(&fix, WEIGHT_UNRELEASED_BYTES);
	n = read_blocks(svg, blocks);
	/* The root, the process, two stacks of four frames. */
	assert_int_equal(n, 10);
	expect_children_within(blocks, n);
	assert_string_equal(blocks[0].title, "all");
	assert_int_equal(blocks[0].value, process__unreleased_bytes(&fix.cal));
	assert_true(blocks[0].x == 0 && blocks[0].width == 100);
	assert_int_equal(find(blocks, n, "cal-8212")->depth, 1);
	assert_int_equal(find(blocks, n, "arena_get2")->value, 64 * FIX_MB);
	assert_int_equal(find(blocks, n, "arena_get2")->depth, 5);
	assert_true(find(blocks, n, "arena_get2")->width == 50);
	assert_non_null(strstr(svg, "cal (pid 8212): bytes mapped and not released"));
	assert_non_null(strstr(svg, "128.0 MB in all"));
	assert_null(strstr(svg, "id=\"left-out\""));
	free(svg);
	fix_free(&fix);
}

/* Thousands of stacks under one root, most of them too narrow to be seen. */
static size_t name_many(void *ctx, uint32_t pid, uint64_t start_ns, int32_t stack,
			struct frame_name *frames, size_t max)
{
	static char texts[8192][16];

	snprintf(texts[stack], sizeof(texts[stack]), "leaf%d", stack);
	frames[0] = (struct frame_name){.text = texts[stack], .object = "cal"};
	frames[1] = (struct frame_name){.text = "root", .object = "cal"};
	return 2;
}

static void what_is_too_narrow_is_counted(void **state)
{
	static struct block blocks[BLOCKS_MAX];
	const char *note;
	struct fixture fix;
	char *svg;
	size_t n;

	fix_init(&fix);
	fix.result.namer.name = name_many;
	fix.cal.mapping.mmap_bytes = 120000000;
	/* 10,000 of 120 million are a tenth of a pixel of 1,200. */
	for (int32_t i = 0; i < 3000; i++)
		stack_weights__add(&fix.mmap_weights, 8212, fix.cal.start_ns, i, 1,
				   i < 1000 ? 10000 : 9999);
	svg = draw(&fix, WEIGHT_MMAP_BYTES);
	n = read_blocks(svg, blocks);
	/* With the root, the process, its root and what has no stack. */
	assert_int_equal(n, 1000 + 4);
	expect_children_within(blocks, n);
	assert_int_equal(find(blocks, n, "[no-stack]")->value, 120000000 - 10000000 - 2000 * 9999);
	note = strstr(svg, "id=\"left-out\"");
	assert_non_null(note);
	assert_memory_equal(strchr(note, '>') + 1, "2,000 blocks narrower", 21);
	free(svg);
	fix_free(&fix);
}

static size_t name_hostile(void *ctx, uint32_t pid, uint64_t start_ns, int32_t stack,
			   struct frame_name *frames, size_t max)
{
	frames[0] = (struct frame_name){.text = "]]></script></svg><script>alert(1)//",
					.object = "\"'><b>&amp;"};
	frames[1] =
		(struct frame_name){.text = "\x01\xff;\xef\xbf\xbe\xe2\x80\xae x\n", .object = ""};
	return 2;
}

static size_t count(const char *text, const char *what)
{
	size_t n = 0;

	for (; (text = strstr(text, what)); text++)
		n++;
	return n;
}

static void names_stay_in_their_place(void **state)
{
	struct fixture plain, hostile;
	char *svg, *other;

	fix_init(&plain);
	stack_weights__add(&plain.mmap_weights, 8212, plain.cal.start_ns, 1, 1, 200 * FIX_MB);
	plain.result.namer.name = name_many;
	other = draw(&plain, WEIGHT_MMAP_BYTES);
	fix_free(&plain);
	fix_init(&hostile);
	memcpy(hostile.cal.comm, "</svg><a\"&\x02\xfe", 13);
	stack_weights__add(&hostile.mmap_weights, 8212, hostile.cal.start_ns, 1, 1, 200 * FIX_MB);
	hostile.result.namer.name = name_hostile;
	svg = draw(&hostile, WEIGHT_MMAP_BYTES);
	/* As many elements as with harmless names. */
	assert_int_equal(count(svg, "<script"), 1);
	assert_int_equal(count(svg, "</script"), 1);
	assert_int_equal(count(svg, "]]>"), 1);
	assert_int_equal(count(svg, "<b"), count(other, "<b"));
	assert_int_equal(count(svg, "<svg"), count(other, "<svg"));
	assert_int_equal(count(svg, "</svg"), count(other, "</svg"));
	assert_non_null(strstr(svg, "&lt;/svg&gt;&lt;a&quot;&amp;\\x02\\xfe (pid 8212)"));
	assert_non_null(strstr(svg, "\\x01\\xff;\xef\xbf\xbd\\xe2\\x80\\xae x\\x0a"));
	for (const char *at = svg; *at; at++)
		assert_true((unsigned char)*at >= 0x20 || *at == '\n' || *at == '\t');
	free(svg);
	free(other);
	fix_free(&hostile);
}

static void nothing_is_a_picture_too(void **state)
{
	static struct block blocks[BLOCKS_MAX];
	struct fixture fix;
	char *svg;

	fix_init(&fix);
	fix.cal.mapping.mmap_bytes = 0;
	svg = draw(&fix, WEIGHT_MMAP_BYTES);
	assert_int_equal(read_blocks(svg, blocks), 1);
	assert_int_equal(blocks[0].value, 0);
	free(svg);
	fix_free(&fix);
}

/* The page must work where it lies: nothing is fetched. */
static void nothing_comes_from_elsewhere(void **state)
{
	struct fixture fix;
	char *svg;

	fix_init(&fix);
	svg = draw(&fix, WEIGHT_UNRELEASED_COUNT);
	assert_int_equal(count(svg, "http"), 2);
	assert_non_null(strstr(svg, "xmlns=\"http://www.w3.org/2000/svg\""));
	assert_non_null(strstr(svg, "xmlns=\"http://www.w3.org/1999/xhtml\""));
	assert_int_equal(count(svg, "href") + count(svg, "@import") + count(svg, "url("), 0);
	free(svg);
	fix_free(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blocks_add_up_to_the_report),
		cmocka_unit_test(what_is_too_narrow_is_counted),
		cmocka_unit_test(names_stay_in_their_place),
		cmocka_unit_test(nothing_is_a_picture_too),
		cmocka_unit_test(nothing_comes_from_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
