/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_PPROF_WRITER_H
#define MEMDRIFT_OUTPUT_PPROF_WRITER_H

#include "output/gzip.h"
#include "output/profile.h"
#include "output/strings.h"
#include "pprof.pb-c.h"

/* A pprof file in the making: what is there is written at once, tables say what was. */
struct pprof_function;
struct pprof_mapping;

struct pprof_writer {
	const struct profile *profile;
	const enum profile_weight *order; /* of sample types */
	struct gzip_writer gzip;
	struct string_set strings;
	uint64_t location_ids[STACK_ENTRIES_MAX]; /* of the sample at hand */
	bool *located; /* by frame: the location whose last line it is was written */
	bool other_located[PROFILE_NOT_LISTED + 1]; /* those of what has no stack */
	struct pprof_function *functions;
	uint32_t function_count;
	struct pprof_mapping *mappings;
	uint32_t mapping_count;
	int err;
};

struct gzip_buffer {
	ProtobufCBuffer base;
	struct gzip_writer *gzip;
};

/* Part of a message. After an error these do nothing. */
void pprof_writer__put(struct pprof_writer *writer, const Pprof__Profile *part);
/* The index of a string, in its printable form: protocol buffers take UTF-8 only. */
int64_t pprof_writer__string(struct pprof_writer *writer, const char *raw);

/* pprof_places.c: locations, functions, mappings */

/* 0 or -ENOMEM; to be ended either way. */
int pprof_writer__begin(struct pprof_writer *writer);
void pprof_writer__end(struct pprof_writer *writer);
/* Fills location_ids, leaf first, and returns how many; writes those that are new. */
size_t pprof_writer__locations(struct pprof_writer *writer, const struct profile_sample *sample);
/* The first mapping of a file is taken for the program: that of the first process goes first. */
void pprof_writer__main_mappings(struct pprof_writer *writer);
/* Once all locations are known, and with them what mappings have. */
void pprof_writer__mappings(struct pprof_writer *writer);

#endif
