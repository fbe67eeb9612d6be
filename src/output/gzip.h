/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_GZIP_H
#define MEMDRIFT_OUTPUT_GZIP_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <zlib.h>

/* What is put in comes out of a stdio stream as one gzip member. */
struct gzip_writer {
	FILE *out;
	z_stream stream;
	int err; /* the first error, after which nothing is written; 0 or negative errno */
	uint8_t buf[65536];
};

/* 0 or -ENOMEM; to be ended when it is 0. */
int gzip_writer__begin(struct gzip_writer *writer, FILE *out);
void gzip_writer__put(struct gzip_writer *writer, const void *data, size_t size);
/* Writes what is left and frees; `out` stays open. 0, -ENOMEM or -EIO. */
int gzip_writer__end(struct gzip_writer *writer);

#endif
