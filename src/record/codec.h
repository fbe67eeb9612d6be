/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_RECORD_CODEC_H
#define MEMDRIFT_RECORD_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Fields of a recording as bytes. One and the same description of a record serves writing and
 * reading: each function below writes the value that its pointer leads to, or reads it there. So
 * what is written and what is read cannot differ, and limits hold in both directions: nothing is
 * written that would be refused when it is read.
 *
 * Whole numbers take 7 bits a byte, the lowest first; signed ones are folded (0, -1, 1, -2, ...);
 * real ones are 8 bytes, little-endian, so that every bit comes back, NAN's too.
 *
 * The first error sticks: from then on nothing is read or written, counts are 0, and values that
 * could not be read stay as they were.
 */
#define CODEC_ERROR_MAX 256

/* Memory that what is read may still take, in bytes. */
struct record_budget {
	uint64_t left;
};

struct codec {
	bool writes;
	uint32_t minor; /* version of what is read or written: fields newer than it are not there */
	/* Writing. */
	uint8_t *out; /* owned */
	size_t used, room;
	/* Reading: not owned. */
	const uint8_t *in;
	size_t size, at;
	struct record_budget *budget;
	int err;                     /* 0, -EINVAL, -ENOMEM, -EFBIG (beyond the budget) */
	char error[CODEC_ERROR_MAX]; /* field, what was found, what was expected */
};

void codec__init_writer(struct codec *codec, uint32_t minor);
void codec__init_reader(struct codec *codec, uint32_t minor, const void *bytes, size_t size,
			struct record_budget *budget);
void codec__free(struct codec *codec);

/* Refuses what is being read (or written), unless something else failed before. */
void codec__refuse(struct codec *codec, const char *field, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
/* Whether there is more to read, and nothing failed. */
bool codec__more(const struct codec *codec);

/* Values above max are refused. */
void codec__u64(struct codec *codec, const char *field, uint64_t *value, uint64_t max);
void codec__u32(struct codec *codec, const char *field, uint32_t *value, uint32_t max);
void codec__i64(struct codec *codec, const char *field, int64_t *value, int64_t min, int64_t max);
void codec__i32(struct codec *codec, const char *field, int32_t *value, int32_t min, int32_t max);
void codec__bool(struct codec *codec, const char *field, bool *value);
/* Any double. */
void codec__real(struct codec *codec, const char *field, double *value);
/* One from min to max; NAN only when or_nan. */
void codec__real_in(struct codec *codec, const char *field, double *value, double min, double max,
		    bool or_nan);
/* A string in a buffer of its own: at most size - 1 bytes without NUL. */
void codec__chars(struct codec *codec, const char *field, char *buf, size_t size);
/* One that is allocated when it is read, or NULL; at most max bytes. Freed by its owner. */
void codec__string(struct codec *codec, const char *field, char **text, size_t max);
/* Whether an optional part is there: its pointer when writing, what was written when reading. */
bool codec__present(struct codec *codec, const char *field, const void *part);

/*
 * How many items follow, each of at least least_bytes (1 or more): read counts that the rest of the
 * section cannot hold are refused, as are those above max.
 */
size_t codec__count(struct codec *codec, const char *field, size_t n, size_t max,
		    size_t least_bytes);

/* Reading: takes bytes off the budget, for what others allocate. False: refused, it is spent. */
bool codec__charge(struct codec *codec, const char *field, uint64_t bytes);
/* The same and calloc. NULL: refused, or memory is out. */
void *codec__alloc(struct codec *codec, const char *field, size_t n, size_t size);
/*
 * Room for one more item in an array of `count`, which doubles when it is full, up to max items.
 * The array, perhaps elsewhere; NULL when that was refused, and the array is as it was.
 */
void *codec__grow(struct codec *codec, void *items, uint32_t count, uint32_t *room, size_t size,
		  uint32_t max);

/* Of an enumeration, all of whose values up to `last` are known. */
#define codec__enum(codec, field, value, last)                  \
	do {                                                    \
		uint32_t number_ = (uint32_t)(value);           \
		codec__u32((codec), (field), &number_, (last)); \
		(value) = (__typeof__(value))number_;           \
	} while (0)

/* A member of a structure under its own name. */
#define CODEC_U64(codec, from, member)  codec__u64((codec), #member, &(from)->member, UINT64_MAX)
#define CODEC_U32(codec, from, member)  codec__u32((codec), #member, &(from)->member, UINT32_MAX)
#define CODEC_BOOL(codec, from, member) codec__bool((codec), #member, &(from)->member)
#define CODEC_REAL(codec, from, member) codec__real((codec), #member, &(from)->member)
/* Bytes of memory: sums of a few and differences of two fit into 63 bits. */
#define CODEC_BYTES(codec, from, member) codec__u64((codec), #member, &(from)->member, 1ull << 58)

#endif
