// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * A profile as pprof reads it. Messages of protocol buffers that follow each other are read as one:
 * repeated fields are appended. So each sample, location, function and string is a message of its
 * own that goes out as soon as it is there, and no second copy of the profile is held.
 */
#include "output/pprof_writer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The format has signed numbers only. */
static int64_t clamp(uint64_t value)
{
	return value > INT64_MAX ? INT64_MAX : (int64_t)value;
}

static void append(ProtobufCBuffer *buffer, size_t size, const uint8_t *data)
{
	gzip_writer__put(((struct gzip_buffer *)buffer)->gzip, data, size);
}

void pprof_writer__put(struct pprof_writer *writer, const Pprof__Profile *part)
{
	struct gzip_buffer buffer = {.base = {.append = append}, .gzip = &writer->gzip};

	if (!writer->err)
		pprof__profile__pack_to_buffer(part, &buffer.base);
}

int64_t pprof_writer__string(struct pprof_writer *writer, const char *raw)
{
	Pprof__Profile part = PPROF__PROFILE__INIT;
	uint32_t before = writer->strings.count, number;
	char *text;

	number = string_set__add_printable(&writer->strings, raw);
	if (number == STRING_NONE) {
		writer->err = -ENOMEM;
		return 0;
	}
	if (number == before) {
		text = (char *)writer->strings.list[number];
		part.n_string_table = 1;
		part.string_table = &text;
		pprof_writer__put(writer, &part);
	}
	return number;
}

static void put_sample(struct pprof_writer *writer, const struct profile_sample *sample)
{
	const struct profile_process *process = &writer->profile->processes[sample->process];
	Pprof__Label labels[] = {PPROF__LABEL__INIT, PPROF__LABEL__INIT};
	Pprof__Label *label_list[] = {&labels[0], &labels[1]};
	Pprof__Sample message = PPROF__SAMPLE__INIT, *list = &message;
	Pprof__Profile part = PPROF__PROFILE__INIT;
	int64_t values[WEIGHT_MAX], any = 0;
	size_t n = 0;

	for (int i = 0; i < WEIGHT_MAX; i++) {
		if (!writer->profile->known[writer->order[i]])
			continue;
		values[n] = clamp(sample->values[writer->order[i]]);
		any |= values[n++];
	}
	if (!any)
		return;
	message.n_location_id = pprof_writer__locations(writer, sample);
	message.location_id = writer->location_ids;
	message.n_value = n;
	message.value = values;
	labels[0].key = pprof_writer__string(writer, "pid");
	labels[0].num = process->pid;
	labels[1].key = pprof_writer__string(writer, "process");
	labels[1].str = pprof_writer__string(writer, process->comm);
	message.n_label = 2;
	message.label = label_list;
	part.n_sample = 1;
	part.sample = &list;
	pprof_writer__put(writer, &part);
}

static void put_sample_types(struct pprof_writer *writer)
{
	for (int i = 0; i < WEIGHT_MAX; i++) {
		const struct weight_info *info = profile_weight__info(writer->order[i]);
		Pprof__ValueType type = PPROF__VALUE_TYPE__INIT, *list = &type;
		Pprof__Profile part = PPROF__PROFILE__INIT;

		if (!writer->profile->known[writer->order[i]])
			continue;
		type.type = pprof_writer__string(writer, info->pprof_type);
		type.unit = pprof_writer__string(writer, info->pprof_unit);
		part.n_sample_type = 1;
		part.sample_type = &list;
		pprof_writer__put(writer, &part);
	}
}

/* What a reader sees first: what is in use, else what was asked for, else what was mapped. */
static enum profile_weight default_weight(const struct profile *profile)
{
	static const enum profile_weight wanted[] = {WEIGHT_LIVE_BYTES, WEIGHT_ALLOC_BYTES,
						     WEIGHT_MMAP_BYTES, WEIGHT_FAULT_BYTES};

	for (size_t i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		if (profile->known[wanted[i]])
			return wanted[i];
	}
	return WEIGHT_UNRELEASED_BYTES;
}

static void put_notes(struct pprof_writer *writer)
{
	for (size_t i = 0; i < writer->profile->note_count; i++) {
		Pprof__Profile part = PPROF__PROFILE__INIT;
		int64_t comment = pprof_writer__string(writer, writer->profile->notes[i]);

		part.n_comment = 1;
		part.comment = &comment;
		pprof_writer__put(writer, &part);
	}
}

static void put_rest(struct pprof_writer *writer)
{
	const struct profile *profile = writer->profile;
	Pprof__ValueType period = PPROF__VALUE_TYPE__INIT;
	Pprof__Profile part = PPROF__PROFILE__INIT;

	put_notes(writer);
	part.time_nanos = clamp(profile->started_unix_ns);
	part.duration_nanos = profile->duration_s > 0 && profile->duration_s < 9e9
				      ? (int64_t)(profile->duration_s * 1e9)
				      : 0;
	part.default_sample_type = pprof_writer__string(
		writer, profile_weight__info(default_weight(profile))->pprof_type);
	/* A file has one period: of page faults, which alone are taken one in so many. */
	if (profile->known[WEIGHT_FAULT_BYTES]) {
		period.type = pprof_writer__string(writer, "fault_space");
		period.unit = pprof_writer__string(writer, "bytes");
		part.period_type = &period;
		part.period = clamp(profile->fault_period_bytes);
	}
	pprof_writer__put(writer, &part);
}

static int write_all(struct pprof_writer *writer)
{
	const struct profile *profile = writer->profile;

	pprof_writer__string(writer, "");
	put_sample_types(writer);
	pprof_writer__main_mappings(writer);
	for (size_t i = 0; i < profile->sample_count && !writer->err; i++)
		put_sample(writer, &profile->samples[i]);
	pprof_writer__mappings(writer);
	put_rest(writer);
	return writer->err;
}

int profile_pprof__write(FILE *out, const struct profile *profile)
{
	static const enum profile_weight order[WEIGHT_MAX] = {
		WEIGHT_ALLOC_COUNT,      WEIGHT_ALLOC_BYTES,      WEIGHT_LIVE_COUNT,
		WEIGHT_LIVE_BYTES,       WEIGHT_MMAP_COUNT,       WEIGHT_MMAP_BYTES,
		WEIGHT_UNRELEASED_COUNT, WEIGHT_UNRELEASED_BYTES, WEIGHT_ARENA_COUNT,
		WEIGHT_FAULT_BYTES,
	};
	struct pprof_writer *writer = calloc(1, sizeof(*writer));
	int err, written;

	if (!writer)
		return -ENOMEM;
	writer->profile = profile;
	writer->order = order;
	err = gzip_writer__begin(&writer->gzip, out);
	if (!err) {
		err = pprof_writer__begin(writer);
		if (!err)
			err = write_all(writer);
		written = gzip_writer__end(&writer->gzip);
		err = err ? err : written;
	}
	pprof_writer__end(writer);
	free(writer);
	if (err)
		return err;
	if (fflush(out))
		return -errno;
	return ferror(out) ? -EIO : 0;
}
