// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/series_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>
#include <zlib.h>

#include "base/text.h"
#include "drift/hourly.h"

/* A series that is being read, or was: then only its name is left. */
struct open_series {
	UT_hash_handle hh;
	struct open_series *before, *after; /* of those open, longest ago first */
	bool closed;
	struct series series;
	struct hourly hourly;
	char name[];
};

struct reader {
	const char *path;
	gzFile file;
	char *text; /* a line, SERIES_LINE_MAX */
	struct open_series *all;
	struct open_series *oldest, *newest;
	size_t held; /* hours of all that are open */
	series_fn take;
	void *ctx;
	struct series_counts *counts;
	char *error;
};

static int fail(struct reader *reader, const char *what, const char *name)
{
	char path[256], printable[256];

	snprintf(reader->error, SERIES_ERROR_MAX, "%s, line %zu: %s%s%s",
		 text_printable(path, sizeof(path), reader->path), reader->counts->lines, what,
		 name ? " " : "", name ? text_printable(printable, sizeof(printable), name) : "");
	return -EINVAL;
}

static void unlink_open(struct reader *reader, struct open_series *open)
{
	*(open->before ? &open->before->after : &reader->oldest) = open->after;
	*(open->after ? &open->after->before : &reader->newest) = open->before;
	open->before = open->after = NULL;
}

static void link_newest(struct reader *reader, struct open_series *open)
{
	open->before = reader->newest;
	*(reader->newest ? &reader->newest->after : &reader->oldest) = open;
	reader->newest = open;
}

/* Hands it over; its samples go, its name stays. */
static int close_series(struct reader *reader, struct open_series *open)
{
	int err = hourly__end(&open->hourly, &open->series);

	if (!err)
		err = reader->take(reader->ctx, &open->series);
	unlink_open(reader, open);
	reader->held -= open->series.count < reader->held ? open->series.count : reader->held;
	hourly__free(&open->hourly);
	series__free(&open->series);
	open->closed = true;
	return err;
}

static int open_series(struct reader *reader, const struct series_line *line)
{
	struct open_series *open;
	size_t size = strlen(line->name) + 1;

	if (reader->counts->series >= SERIES_COUNT_MAX)
		return fail(reader, "too many series", NULL);
	open = calloc(1, sizeof(*open) + size);
	if (!open)
		return -ENOMEM;
	memcpy(open->name, line->name, size);
	series__init(&open->series);
	open->series.name = strdup(line->name);
	if (!open->series.name) {
		free(open);
		return -ENOMEM;
	}
	open->series.interval_s = line->interval_s;
	open->series.start_unix = line->start_unix;
	open->series.limit_bytes = line->limit_bytes;
	open->series.arena_limit = line->arena_limit;
	open->series.cpus = line->cpus;
	HASH_ADD_KEYPTR(hh, reader->all, open->name, size - 1, open);
	link_newest(reader, open);
	reader->counts->series++;
	return 0;
}

static int add_sample(struct reader *reader, struct open_series *open, const struct sample *sample)
{
	size_t before = open->series.count;
	int err = hourly__add(&open->hourly, &open->series, sample);

	if (err == -EINVAL)
		return fail(reader, "t_s does not lie after the one before, of series", open->name);
	if (err)
		return err;
	reader->counts->samples++;
	reader->held += open->series.count - before;
	if (open->series.count > SERIES_HOURS_MAX)
		return fail(reader, "more hours than are read of series", open->name);
	if (open != reader->newest) {
		unlink_open(reader, open);
		link_newest(reader, open);
	}
	while (reader->held > SERIES_HELD_MAX && reader->oldest != open && !err)
		err = close_series(reader, reader->oldest);
	return err;
}

static int take_line(struct reader *reader, size_t length)
{
	struct open_series *open;
	struct series_line line;
	char what[SERIES_WHAT_MAX];

	if (series_line__parse(reader->text, length, &line, what))
		return fail(reader, what, NULL);
	reader->counts->odd += line.odd;
	HASH_FIND(hh, reader->all, line.name, strlen(line.name), open);
	if (!line.is_sample)
		return open ? fail(reader, "a second header of series", line.name)
			    : open_series(reader, &line);
	if (!open)
		return fail(reader, "a sample before the header of series", line.name);
	if (open->closed)
		return fail(reader, "too many series at once; too late a sample of", line.name);
	return add_sample(reader, open, &line.sample);
}

/* True when the reading went well to the end of the file. */
static int check_end(struct reader *reader)
{
	int code = Z_OK;
	const char *what = gzerror(reader->file, &code);

	if (code == Z_OK || code == Z_STREAM_END)
		return 0;
	if (code == Z_ERRNO)
		what = strerror(errno);
	return fail(reader, "cannot be read:", code == Z_BUF_ERROR ? "it ends too early" : what);
}

static bool is_blank(const char *text, size_t length)
{
	return strspn(text, " \t\r\n") >= length;
}

static int read_lines(struct reader *reader)
{
	const char *line;
	int err = 0;

	while (!err && (line = gzgets(reader->file, reader->text, SERIES_LINE_MAX))) {
		size_t length = strlen(line);

		reader->counts->lines++;
		if (length && line[length - 1] != '\n' && !gzeof(reader->file))
			return fail(reader,
				    length + 1 < SERIES_LINE_MAX
					    ? "a byte 0 in it; this is no file of series"
					    : "longer than any line of a series",
				    NULL);
		if (!is_blank(line, length))
			err = take_line(reader, length);
	}
	return err ? err : check_end(reader);
}

static int close_all(struct reader *reader)
{
	struct open_series *open, *next;
	int err = 0;

	/* In the order in which they began. */
	HASH_ITER (hh, reader->all, open, next)
		if (!open->closed && !err)
			err = close_series(reader, open);
	return err;
}

static void free_all(struct reader *reader)
{
	struct open_series *open, *next;

	HASH_ITER (hh, reader->all, open, next) {
		/* The analyzer does not follow the table's own pointers. */
		/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc) */
		HASH_DEL(reader->all, open);
		hourly__free(&open->hourly);
		series__free(&open->series);
		free(open);
	}
	free(reader->text);
	if (reader->file)
		gzclose_r(reader->file);
}

static int open_file(struct reader *reader)
{
	int fd = !strcmp(reader->path, "-") ? dup(STDIN_FILENO)
					    : open(reader->path, O_RDONLY | O_CLOEXEC);
	char path[256];
	int err;

	reader->file = fd >= 0 ? gzdopen(fd, "rb") : NULL;
	if (reader->file) {
		gzbuffer(reader->file, 1 << 17);
		reader->text = malloc(SERIES_LINE_MAX);
		return reader->text ? 0 : -ENOMEM;
	}
	err = fd >= 0 ? ENOMEM : errno;
	if (fd >= 0)
		close(fd);
	snprintf(reader->error, SERIES_ERROR_MAX, "cannot open %s: %s",
		 text_printable(path, sizeof(path), reader->path), strerror(err));
	return -err;
}

int series_file__read(const char *path, series_fn take, void *ctx, struct series_counts *counts,
		      char *error)
{
	struct reader reader = {
		.path = path, .take = take, .ctx = ctx, .counts = counts, .error = error};
	int err;

	*error = 0;
	*counts = (struct series_counts){0};
	err = open_file(&reader);
	if (!err)
		err = read_lines(&reader);
	if (!err)
		err = close_all(&reader);
	free_all(&reader);
	if (err == -ENOMEM)
		snprintf(error, SERIES_ERROR_MAX, "out of memory");
	return err;
}
