/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_RECORD_FILE_H
#define MEMDRIFT_RECORD_FILE_H

#include <stdio.h>

#include "record/codec.h"
#include "record/format.h"

/* The sections of a recording: packed and sealed when writing, checked and unpacked when reading.
 */
#define RECORD_ERROR_MAX 512

struct record_writer {
	FILE *out; /* not owned */
	struct codec codec;
	enum record_section section; /* that the codec's bytes are of; 0: none */
	uint64_t sections, raw_bytes;
	int err; /* of writing */
};

/* 0 or a negative errno. */
int record_writer__begin(struct record_writer *writer, FILE *out);
/*
 * Where one more record of a section goes; sections in their order. Errors stay in the codec and in
 * the writer until the end.
 */
struct codec *record_writer__record(struct record_writer *writer, enum record_section section);
/*
 * The end, which makes the file whole, unless something failed: 0 or a negative errno, with what
 * was wrong in `error`. Frees what the writer has.
 */
int record_writer__end(struct record_writer *writer, char error[RECORD_ERROR_MAX]);
/* Gives it up: what was written has no end. */
void record_writer__drop(struct record_writer *writer);

struct record_reader {
	FILE *in;         /* not owned */
	const char *name; /* of the file, for messages; not owned */
	char *error;      /* RECORD_ERROR_MAX bytes of the caller's */
	uint32_t minor;
	uint64_t at; /* bytes read so far */
	enum record_section section;
	uint64_t sections, raw_bytes;
	struct codec codec; /* of the section's records */
	uint8_t *packed, *raw;
	struct record_budget budget;
	uint64_t budget_given;
};

/* Reads the head. 0; or -EINVAL, -ENOTSUP (a newer version) or what reading gave, with a message.
 */
int record_reader__begin(struct record_reader *reader, FILE *in, const char *name,
			 char error[RECORD_ERROR_MAX]);
/*
 * The next section: its records are then read through reader->codec until it has no more. 1; 0 at
 * the end, which was checked: the file is whole and nothing follows. Else a negative errno with a
 * message, also for what the codec refused in the section before.
 */
int record_reader__next(struct record_reader *reader);
/* Says what is wrong with the file, in the section that is being read. Returns -EINVAL. */
int record_reader__refuse(struct record_reader *reader, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
void record_reader__free(struct record_reader *reader);

/* Whether a file begins as a recording does; what was looked at can be read again. */
bool record_file__is_one(FILE *in);

#endif
