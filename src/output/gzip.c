// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/gzip.h"

#include <errno.h>
#include <string.h>

/* zlib.h, deflateInit2: 15 is the largest window, 16 more makes a gzip header; 8 is the default. */
#define GZIP_WINDOW (15 + 16)
#define GZIP_MEMORY 8

int gzip_writer__begin(struct gzip_writer *writer, FILE *out)
{
	memset(writer, 0, sizeof(*writer));
	writer->out = out;
	if (deflateInit2(&writer->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW,
			 GZIP_MEMORY, Z_DEFAULT_STRATEGY) != Z_OK)
		return -ENOMEM;
	return 0;
}

/* All of the input; with Z_FINISH the end, too. */
static void deflate_all(struct gzip_writer *writer, int flush)
{
	z_stream *stream = &writer->stream;

	do {
		size_t size;

		stream->next_out = writer->buf;
		stream->avail_out = sizeof(writer->buf);
		/* Z_BUF_ERROR says that there was nothing to do. */
		deflate(stream, flush);
		size = sizeof(writer->buf) - stream->avail_out;
		if (!writer->err && fwrite(writer->buf, 1, size, writer->out) != size)
			writer->err = -EIO;
	} while (!writer->err && !stream->avail_out);
}

void gzip_writer__put(struct gzip_writer *writer, const void *data, size_t size)
{
	/* zlib counts in 32 bits. */
	const size_t most = 1u << 30;

	for (const uint8_t *at = data; size && !writer->err;) {
		size_t now = size < most ? size : most;

		writer->stream.next_in = (uint8_t *)at;
		writer->stream.avail_in = (uInt)now;
		deflate_all(writer, Z_NO_FLUSH);
		at += now;
		size -= now;
	}
}

int gzip_writer__end(struct gzip_writer *writer)
{
	writer->stream.avail_in = 0;
	if (!writer->err)
		deflate_all(writer, Z_FINISH);
	deflateEnd(&writer->stream);
	return writer->err;
}
