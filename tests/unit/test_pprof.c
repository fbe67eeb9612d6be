// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* pprof files, read again by protobuf-c and by go tool pprof's own rules. */
#include "trace_fixture.h"

#include <zlib.h>

#include "output/derive.h"
#include "output/profile.h"
#include "pprof.pb-c.h"

/* What is put into the file, inflated. */
static Pprof__Profile *read_back(const struct profile *profile)
{
	static uint8_t plain[1 << 20];
	z_stream stream = {0};
	Pprof__Profile *message;
	char *packed = NULL;
	size_t size;
	FILE *out = open_memstream(&packed, &size);

	assert_non_null(out);
	assert_int_equal(profile_pprof__write(out, profile), 0);
	assert_int_equal(fclose(out), 0);
	assert_int_equal(inflateInit2(&stream, 15 + 16), Z_OK);
	stream.next_in = (uint8_t *)packed;
	stream.avail_in = (uInt)size;
	stream.next_out = plain;
	stream.avail_out = sizeof(plain);
	assert_int_equal(inflate(&stream, Z_FINISH), Z_STREAM_END);
	message = pprof__profile__unpack(NULL, stream.total_out, plain);
	assert_non_null(message);
	inflateEnd(&stream);
	free(packed);
	return message;
}

static const char *string_at(const Pprof__Profile *message, int64_t index)
{
	assert_in_range(index, 0, message->n_string_table - 1);
	return message->string_table[index];
}

static int64_t sum_of(const Pprof__Profile *message, const char *type)
{
	int64_t sum = 0;
	size_t at;

	for (at = 0; at < message->n_sample_type; at++)
		if (!strcmp(string_at(message, message->sample_type[at]->type), type))
			break;
	if (at == message->n_sample_type)
		return -1;
	for (size_t i = 0; i < message->n_sample; i++) {
		assert_int_equal(message->sample[i]->n_value, message->n_sample_type);
		sum += message->sample[i]->value[at];
	}
	return sum;
}

static const Pprof__Location *location_of(const Pprof__Profile *message, uint64_t id)
{
	const Pprof__Location *found = NULL;

	for (size_t i = 0; i < message->n_location; i++) {
		if (message->location[i]->id != id)
			continue;
		assert_null(found);
		found = message->location[i];
	}
	assert_non_null(found);
	return found;
}

static const Pprof__Function *function_of(const Pprof__Profile *message, uint64_t id)
{
	/* Written in the order of their ids. */
	assert_in_range(id, 1, message->n_function);
	assert_int_equal(message->function[id - 1]->id, id);
	return message->function[id - 1];
}

/* Every reference leads somewhere, every id is there once: what pprof's CheckValid wants. */
static void expect_valid(const Pprof__Profile *message)
{
	assert_string_equal(string_at(message, 0), "");
	for (size_t i = 0; i < message->n_mapping; i++)
		assert_int_equal(message->mapping[i]->id, i + 1);
	for (size_t i = 0; i < message->n_location; i++) {
		const Pprof__Location *location = message->location[i];

		assert_true(location_of(message, location->id) == location);
		assert_true(location->mapping_id <= message->n_mapping);
		assert_true(location->n_line > 0);
		for (size_t k = 0; k < location->n_line; k++)
			string_at(message,
				  function_of(message, location->line[k]->function_id)->name);
	}
	for (size_t i = 0; i < message->n_sample; i++) {
		assert_true(message->sample[i]->n_location_id > 0);
		for (size_t k = 0; k < message->sample[i]->n_location_id; k++)
			location_of(message, message->sample[i]->location_id[k]);
	}
}

static Pprof__Profile *write_and_read(struct fixture *fix)
{
	struct profile *profile;
	Pprof__Profile *message;

	fix_build(fix);
	assert_int_equal(profile__build(&fix->result, &profile), 0);
	message = read_back(profile);
	expect_valid(message);
	profile__free(profile);
	return message;
}

static void sums_are_the_reports(void **state)
{
	struct fixture fix;
	Pprof__Profile *message;

	fix_init(&fix);
	fix.result.started_unix_ns = 1700000000123456789;
	stack_weights__add(&fix.mmap_weights, 8212, fix.cal.start_ns, FIX_STACK_CHUNK, 2,
			   128 * FIX_MB);
	stack_weights__set(&fix.alloc_weights, 8212, fix.cal.start_ns, FIX_STACK_ARENA, 60000,
			   2400000000);
	message = write_and_read(&fix);
	assert_int_equal(sum_of(message, "alloc_objects"), process__requests(&fix.cal));
	assert_int_equal(sum_of(message, "alloc_space"), process__requested_bytes(&fix.cal));
	assert_int_equal(sum_of(message, "mmap_space"), fix.cal.mapping.mmap_bytes);
	assert_int_equal(sum_of(message, "mmap_objects"), fix.cal.mapping.mmap_calls);
	assert_int_equal(sum_of(message, "unreleased_space"), process__unreleased_bytes(&fix.cal));
	assert_int_equal(sum_of(message, "unreleased_objects"), 2);
	assert_int_equal(sum_of(message, "arenas"), 1);
	/* Not measured: not there, rather than 0. */
	assert_int_equal(sum_of(message, "inuse_space"), -1);
	assert_int_equal(sum_of(message, "fault_space"), -1);
	assert_null(message->period_type);
	assert_string_equal(string_at(message, message->default_sample_type), "alloc_space");
	assert_int_equal(message->time_nanos, 1700000000123456789);
	assert_int_equal(message->duration_nanos, 30000000000);
	assert_int_equal(message->sample[0]->n_label, 2);
	assert_string_equal(string_at(message, message->sample[0]->label[0]->key), "pid");
	assert_int_equal(message->sample[0]->label[0]->num, 8212);
	assert_string_equal(string_at(message, message->sample[0]->label[1]->str), "cal");
	pprof__profile__free_unpacked(message, NULL);
	fix_free(&fix);
}

static const struct frame_file program = {.path = "/usr/bin/cal",
					  .build_id = "0123456789abcdef",
					  .text_vaddr = 0x402000,
					  .text_offset = 0x2000,
					  .text_bytes = 0x9000};
static const struct frame_file library = {.path = "/lib/lib\nx.so", .build_id = ""};

/* inner is inlined into outer, which main calls; below it a library without symbols. */
static size_t name_places(void *ctx, uint32_t pid, uint64_t start_ns, int32_t stack,
			  struct frame_name *frames, size_t max)
{
	static const struct frame_name places[] = {
		{.text = "lib\nx.so+0x77", .object = "lib\nx.so", .file = &library, .offset = 0x77},
		{.text = "inner<int> (a.h:5)",
		 .function = "inner<int>",
		 .object = "cal",
		 .file = &program,
		 .offset = 0x2345,
		 .is_inlined = true,
		 .is_return = true,
		 .source = "/src/a.h",
		 .line = 5},
		{.text = "outer (a.c:9)",
		 .function = "outer",
		 .object = "cal",
		 .file = &program,
		 .offset = 0x2345,
		 .is_return = true,
		 .source = "/src/a.c",
		 .line = 9},
		{.text = "main",
		 .function = "main",
		 .object = "cal",
		 .file = &program,
		 .offset = 0xb000,
		 .is_return = true},
		{.text = "[anon]+0x40", .object = "[anon]", .offset = 0x40, .is_return = true},
	};
	size_t n = sizeof(places) / sizeof(*places);

	assert_true(n <= max);
	memcpy(frames, places, sizeof(places));
	return n;
}

static void places_are_those_of_the_files(void **state)
{
	struct fixture fix;
	Pprof__Profile *message;
	const Pprof__Location *location;
	const Pprof__Sample *sample;
	const Pprof__Mapping *mapping;

	fix_init(&fix);
	fix.result.namer.name = name_places;
	message = write_and_read(&fix);
	assert_int_equal(message->n_mapping, 2);
	/* The program's goes first, though a library's frame came before it. */
	mapping = message->mapping[0];
	assert_string_equal(string_at(message, mapping->filename), "/usr/bin/cal");
	assert_string_equal(string_at(message, mapping->build_id), "0123456789abcdef");
	assert_int_equal(mapping->memory_start, 0x402000);
	assert_int_equal(mapping->memory_limit, 0x40b000);
	assert_int_equal(mapping->file_offset, 0x2000);
	assert_true(mapping->has_functions && mapping->has_filenames && mapping->has_line_numbers &&
		    mapping->has_inline_frames);
	mapping = message->mapping[1];
	assert_string_equal(string_at(message, mapping->filename), "/lib/lib\\x0ax.so");
	assert_false(mapping->has_functions || mapping->has_filenames || mapping->memory_limit);
	sample = message->sample[0];
	assert_int_equal(sample->n_location_id, 4);
	location = location_of(message, sample->location_id[0]);
	assert_int_equal(location->mapping_id, 2);
	assert_int_equal(location->address, 0);
	location = location_of(message, sample->location_id[1]);
	assert_int_equal(location->mapping_id, 1);
	assert_int_equal(location->address, 0x402344);
	assert_int_equal(location->n_line, 2);
	assert_int_equal(location->line[0]->line, 5);
	assert_string_equal(
		string_at(message, function_of(message, location->line[0]->function_id)->name),
		"inner<int>");
	/* Demangled: pprof would take a system name for the reason to shorten it. */
	assert_int_equal(function_of(message, location->line[0]->function_id)->system_name, 0);
	assert_string_equal(
		string_at(message, function_of(message, location->line[1]->function_id)->filename),
		"/src/a.c");
	assert_string_equal(
		string_at(message,
			  function_of(message, location->line[1]->function_id)->system_name),
		"outer");
	location = location_of(message, sample->location_id[2]);
	assert_int_equal(location->address, 0x40afff);
	location = location_of(message, sample->location_id[3]);
	assert_int_equal(location->mapping_id, 0);
	assert_int_equal(location->address, 0);
	pprof__profile__free_unpacked(message, NULL);
	fix_free(&fix);
}

static void faults_have_a_period(void **state)
{
	struct stack_weights faults = {0};
	struct fixture fix;
	Pprof__Profile *message;

	fix_init(&fix);
	stack_weights__add(&faults, 8212, fix.cal.start_ns, FIX_STACK_CHUNK, 3, 0);
	fix.result.fault_weights = &faults;
	fix.result.fault_period = 100;
	message = write_and_read(&fix);
	assert_int_equal(sum_of(message, "fault_space"), 3 * 409600);
	assert_int_equal(message->period, 409600);
	assert_string_equal(string_at(message, message->period_type->unit), "bytes");
	stack_weights__free(&faults);
	pprof__profile__free_unpacked(message, NULL);
	fix_free(&fix);
}

static void hostile_names_are_printable_text(void **state)
{
	struct fixture fix;
	Pprof__Profile *message;

	fix_init(&fix);
	memcpy(fix.cal.comm, "\xff\033[31m\n\"</a>;b", 15);
	fix.cal.mapping.mmap_bytes = 3;
	stack_weights__add(&fix.mmap_weights, 8212, fix.cal.start_ns, FIX_STACK_HOSTILE, 1, 3);
	message = write_and_read(&fix);
	assert_int_equal(sum_of(message, "mmap_space"), 3);
	for (size_t i = 0; i < message->n_string_table; i++)
		for (const char *at = message->string_table[i]; *at; at++)
			assert_true((unsigned char)*at >= 0x20 && (unsigned char)*at < 0x7f);
	pprof__profile__free_unpacked(message, NULL);
	fix_free(&fix);
}

static void larger_than_the_format_can_say(void **state)
{
	struct fixture fix;
	Pprof__Profile *message;

	fix_init(&fix);
	fix.cal.mapping.mmap_bytes = UINT64_MAX;
	message = write_and_read(&fix);
	assert_int_equal(sum_of(message, "mmap_space"), INT64_MAX);
	pprof__profile__free_unpacked(message, NULL);
	fix_free(&fix);
}

static void a_full_disk_is_an_error(void **state)
{
	struct fixture fix;
	struct profile *profile;
	FILE *full = fopen("/dev/full", "we");

	assert_non_null(full);
	fix_init(&fix);
	fix_build(&fix);
	assert_int_equal(profile__build(&fix.result, &profile), 0);
	assert_true(profile_pprof__write(full, profile) < 0);
	fclose(full);
	full = fopen("/dev/full", "we");
	assert_non_null(full);
	assert_true(profile_svg__write(full, profile, WEIGHT_MMAP_BYTES) < 0);
	fclose(full);
	profile__free(profile);
	fix_free(&fix);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_the_reports),
		cmocka_unit_test(places_are_those_of_the_files),
		cmocka_unit_test(faults_have_a_period),
		cmocka_unit_test(hostile_names_are_printable_text),
		cmocka_unit_test(larger_than_the_format_can_say),
		cmocka_unit_test(a_full_disk_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
