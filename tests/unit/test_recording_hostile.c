// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* A recording may be anyone's: cut, damaged, or made to hurt whoever reads it. */
#include "recording_parts.h"

#include <malloc.h>

static struct section *find_section(struct parts *parts, uint32_t kind)
{
	for (size_t i = 0; i < parts->count; i++)
		if (parts->sections[i].kind == kind)
			return &parts->sections[i];
	fail_msg("there is no section %u", kind);
	return NULL;
}

static int read_all(const void *bytes, size_t size, char error[RECORD_ERROR_MAX])
{
	struct replayed replayed;
	size_t n;
	int err = rec_read(&replayed, bytes, size, error);

	if (err) {
		assert_null(replayed.recording);
		return err;
	}
	rec_build(&replayed, NULL, 0);
	free(rec_outputs(&replayed.result, &n));
	rec_drop(&replayed);
	return 0;
}

static void expect_refused(const void *bytes, size_t size, const char *why)
{
	char error[RECORD_ERROR_MAX] = "";

	assert_true(read_all(bytes, size, error) < 0);
	/* Which file, and never its control characters. */
	assert_non_null(strstr(error, "cannot read some\\x1b.mdr: "));
	if (!strstr(error, why))
		fail_msg("\"%s\" does not say \"%s\"", error, why);
}

static void expect_parts_refused(const struct parts *parts, int sections, const char *why)
{
	size_t size;
	char *bytes = put_together(parts, sections, &size);

	expect_refused(bytes, size, why);
	free(bytes);
}

/* ---- files that are not whole -----------------------------------------------------------------
 */

static void every_cut_is_noticed(void **state)
{
	struct recorded rec;

	rec_init(&rec);
	for (size_t size = 0; size < rec.size; size++)
		expect_refused(rec.bytes, size, "it is cut short");
	rec_free(&rec);
}

static void every_damaged_byte_is_noticed(void **state)
{
	struct recorded rec;

	rec_init(&rec);
	for (size_t i = 0; i < rec.size; i++) {
		rec.bytes[i] = (char)(rec.bytes[i] ^ (1 << i % 8));
		expect_refused(rec.bytes, rec.size, "");
		rec.bytes[i] = (char)(rec.bytes[i] ^ (1 << i % 8));
	}
	rec_free(&rec);
}

static void other_files_are_told_from_recordings(void **state)
{
	static const char json[] = "{\"schema\": \"memdrift.trace/1\", \"version\": \"0.1.0\"}";
	struct recorded rec;
	char *longer;

	expect_refused(json, sizeof(json) - 1, "it is no recording");
	rec_init(&rec);
	longer = malloc(rec.size + 1);
	memcpy(longer, rec.bytes, rec.size);
	longer[rec.size] = '\0';
	expect_refused(longer, rec.size + 1, "more follows after the end");
	free(longer);
	rec_free(&rec);
}

static void versions_are_named(void **state)
{
	char error[RECORD_ERROR_MAX], *bytes;
	struct recorded rec;
	struct parts parts;
	size_t size;

	rec_init(&rec);
	take_apart(&rec, &parts);
	parts.minor = RECORD_MINOR + 1;
	bytes = put_together(&parts, 0, &size);
	assert_int_equal(read_all(bytes, size, error), -ENOTSUP);
	free(bytes);
	parts.major = RECORD_MAJOR + 6;
	parts.minor = 41;
	expect_parts_refused(&parts, 0, "a recording of version 7.41, and this memdrift (");
	expect_parts_refused(&parts, 0, ") reads 1.0 to 1.");
	expect_parts_refused(&parts, 0, "use the memdrift that wrote it, or a newer one");
	parts.major = 0;
	expect_parts_refused(&parts, 0, "an older memdrift reads it");
	free_parts(&parts);
	rec_free(&rec);
}

static void sections_have_their_order_and_number(void **state)
{
	struct section first, second;
	struct recorded rec;
	struct parts parts;
	size_t count;

	rec_init(&rec);
	take_apart(&rec, &parts);
	expect_parts_refused(&parts, -1, "does not tell of the sections before it");
	count = parts.count;
	parts.count--;
	expect_parts_refused(&parts, 1, "does not tell of the sections before it");
	parts.count = 0;
	expect_parts_refused(&parts, 0, "the trace's figures are missing");
	parts.count = count;
	first = parts.sections[0];
	second = parts.sections[1];
	parts.sections[0] = second;
	parts.sections[1] = first;
	expect_parts_refused(&parts, 0, "figures were expected before it");
	parts.sections[0] = first;
	expect_parts_refused(&parts, 0, "head: it stands there twice");
	parts.sections[0].kind = 77;
	expect_parts_refused(&parts, 0, "kind 77 does not belong");
	parts.sections[0] = first;
	parts.sections[1] = second;
	free_parts(&parts);
	rec_free(&rec);
}

/* ---- files that were made to hurt -------------------------------------------------------------
 */

static uint64_t next_random(uint64_t *state)
{
	/* xorshift64 (Marsaglia 2003): the same mutations in each run. */
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

/* Bytes changed, put in, taken out or repeated in one section. */
static void mutate(struct section *section, uint64_t *seed)
{
	static const uint8_t telling[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0xfe, 0x3f, 0x40};
	size_t at = next_random(seed) % section->size;
	uint64_t n = 1 + next_random(seed) % 4;

	switch (next_random(seed) % 5) {
	case 0:
		section->raw[at] ^= (uint8_t)(1 << n);
		break;
	case 1:
		for (size_t i = at; i < section->size && n--; i++)
			section->raw[i] = (uint8_t)next_random(seed);
		break;
	case 2:
		for (size_t i = at; i < section->size && n--; i++)
			section->raw[i] = telling[next_random(seed) % sizeof(telling)];
		break;
	case 3:
		if (section->size > 16 && at + n < section->size) {
			memmove(section->raw + at, section->raw + at + n, section->size - at - n);
			section->size -= n;
		}
		break;
	default:
		section->raw = realloc(section->raw, 2 * section->size);
		memmove(section->raw + 2 * section->size - at, section->raw + section->size - at,
			at);
		memmove(section->raw + section->size, section->raw, section->size - at);
		section->size *= 2;
	}
}

static size_t allocated_bytes(void)
{
	return mallinfo2().uordblks + mallinfo2().hblkhd;
}

static void mutations_are_refused_or_make_a_report(void **state)
{
	uint64_t seed = 0x9e3779b97f4a7c15;
	size_t refused = 0, before;
	struct recorded rec;
	const int rounds = 2000;

	rec_init(&rec);
	before = allocated_bytes();
	for (int i = 0; i < rounds; i++) {
		char error[RECORD_ERROR_MAX] = "", *bytes;
		struct parts parts;
		size_t size;

		take_apart(&rec, &parts);
		for (uint64_t n = 1 + next_random(&seed) % 3; n; n--)
			mutate(&parts.sections[next_random(&seed) % parts.count], &seed);
		bytes = put_together(&parts, 0, &size);
		refused += read_all(bytes, size, error) < 0;
		free(bytes);
		free_parts(&parts);
	}
	/* Both happen, or this tries nothing. */
	assert_in_range(refused, rounds / 10, rounds - rounds / 10);
	/* And nothing of the refused ones is kept (under ASan its own check says so). */
	assert_true(allocated_bytes() <= before + (1 << 20));
	rec_free(&rec);
}

static void packed_zeroes_are_bounded(void **state)
{
	struct section *strings;
	struct recorded rec;
	struct parts parts;

	rec_init(&rec);
	take_apart(&rec, &parts);
	strings = find_section(&parts, RECORD_STRINGS);
	free(strings->raw);
	/* Empty strings, each two bytes of the section, a pointer and its memory here. */
	strings->size = RECORD_SECTION_BYTES_MAX;
	strings->raw = calloc(1, strings->size);
	for (size_t i = 0; i < strings->size; i += 2)
		strings->raw[i] = 1;
	expect_parts_refused(&parts, 0, "more memory than a file of this size can stand for");
	strings->raw = realloc(strings->raw, strings->size + 1);
	strings->raw[strings->size++] = 0;
	expect_parts_refused(&parts, 0, "where at most 67108864 are allowed");
	free_parts(&parts);
	rec_free(&rec);
}

/* A few bytes each, and all share one address space that takes long to look through. */
static void expect_many_refused(int go_heap, size_t count, const char *why)
{
	struct recording_source source = {.large = rec_sizes, .large_count = 2};
	struct section *processes;
	struct recorded rec = {0};
	struct fixture fix;
	struct parts parts;
	size_t one;

	fix_init(&fix);
	fix.go_heap = go_heap;
	fix_map_anonymous(&fix.cal, 0x400000000000, 1ull << 45, PROT_READ | PROT_WRITE)
		->before_trace = true;
	source.result = &fix.result;
	source.facts = fact_log__new();
	rec.kept = fact_log__keep(source.facts, &fix.facts);
	assert_int_equal(rec.kept.go_heap(rec.kept.ctx, &fix.cal), go_heap);
	rec_write(&source, &rec.bytes, &rec.size);
	take_apart(&rec, &parts);
	processes = find_section(&parts, RECORD_PROCESSES);
	one = processes->size;
	processes->size = count * one;
	processes->raw = realloc(processes->raw, processes->size);
	for (size_t i = 1; i < count; i++)
		memcpy(processes->raw + i * one, processes->raw, one);
	expect_parts_refused(&parts, 0, why);
	free_parts(&parts);
	free(rec.bytes);
	fact_log__free(source.facts);
	fix_free(&fix);
}

static void processes_count_for_what_they_share(void **state)
{
	expect_many_refused(GO_HEAP_NONE, 600, "process: more to look through than");
	expect_many_refused(GO_HEAP_HINTED, 60, "process: this would take more memory than");
}

static void errors_say_where_and_what(void **state)
{
	struct section *section;
	struct recorded rec;
	struct parts parts;

	rec_init(&rec);
	take_apart(&rec, &parts);
	section = find_section(&parts, RECORD_FACTS);
	section->raw[0] = 9;
	expect_parts_refused(&parts, 0, "(facts): kind: 9 where at most 2 was expected");
	section = find_section(&parts, RECORD_IDENTITIES);
	section->size--;
	expect_parts_refused(&parts, 0, "(stack ids): stack: 1 bytes are missing");
	section = find_section(&parts, RECORD_FRAMES);
	section->raw[0] = 0;
	expect_parts_refused(&parts, 0, "(frames): text: 0 where a number from 1 to");
	section = find_section(&parts, RECORD_STRINGS);
	section->raw[2] = 0;
	expect_parts_refused(&parts, 0, "(strings): text: a text with a NUL in it");
	free_parts(&parts);
	rec_free(&rec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_cut_is_noticed),
		cmocka_unit_test(every_damaged_byte_is_noticed),
		cmocka_unit_test(other_files_are_told_from_recordings),
		cmocka_unit_test(versions_are_named),
		cmocka_unit_test(sections_have_their_order_and_number),
		cmocka_unit_test(mutations_are_refused_or_make_a_report),
		cmocka_unit_test(packed_zeroes_are_bounded),
		cmocka_unit_test(processes_count_for_what_they_share),
		cmocka_unit_test(errors_say_where_and_what),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
