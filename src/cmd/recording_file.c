// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/recording_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/cmd.h"

static int cannot_write(const char *path, const char *why)
{
	log_error("cannot write %s: %s", path, why);
	return EXIT_FAILED;
}

/* Links are followed, so that what one leads to is replaced and not the link. */
static char *find_place(const char *path)
{
	char *place = realpath(path, NULL);

	return place || errno != ENOENT ? place : strdup(path);
}

static int open_temporary(struct recording_file *file)
{
	mode_t mask = umask(0);
	int fd;

	umask(mask);
	file->place = find_place(file->path);
	if (!file->place || asprintf(&file->temporary, "%s.XXXXXX", file->place) < 0) {
		file->temporary = NULL;
		return -errno;
	}
	fd = mkostemp(file->temporary, O_CLOEXEC);
	if (fd < 0) {
		free(file->temporary);
		file->temporary = NULL;
		return -errno;
	}
	/* mkostemp lets only the owner read: a recording is as open as other reports. */
	if (!fchmod(fd, 0666 & ~mask))
		file->file = fdopen(fd, "w");
	if (!file->file) {
		close(fd);
		return -errno;
	}
	return 0;
}

int recording_file__open(struct recording_file *file, const char *path)
{
	struct stat stat_buf;
	int err;

	*file = (struct recording_file){.path = path};
	if (!path)
		return EXIT_OK;
	if (!stat(path, &stat_buf) && !S_ISREG(stat_buf.st_mode)) {
		file->file = fopen(path, "we");
		return file->file ? EXIT_OK : cannot_write(path, strerror(errno));
	}
	err = open_temporary(file);
	return err ? cannot_write(path, strerror(-err)) : EXIT_OK;
}

/* 0 or a negative errno. */
static int put_in_place(struct recording_file *file)
{
	FILE *whole = file->file;

	file->file = NULL;
	if (fclose(whole))
		return -errno;
	if (!file->temporary)
		return 0;
	if (rename(file->temporary, file->place))
		return -errno;
	free(file->temporary);
	file->temporary = NULL;
	return 0;
}

int recording_file__write(struct recording_file *file, const struct recording_source *source,
			  const struct large_facts *facts)
{
	char error[RECORD_ERROR_MAX];
	uint64_t dropped;
	int err;

	if (!file->file)
		return EXIT_OK;
	if (recording__ask(source, facts))
		return cannot_write(file->path, "out of memory");
	dropped = fact_log__dropped(source->facts);
	if (dropped)
		log_warning("%s lacks what the memory of %" PRIu64 " large mappings shows: too "
			    "many of them; a report of it has more that is unknown",
			    file->path, dropped);
	if (recording__write(file->file, source, error))
		return cannot_write(file->path, error);
	err = put_in_place(file);
	return err ? cannot_write(file->path, strerror(-err)) : EXIT_OK;
}

void recording_file__close(struct recording_file *file)
{
	if (file->file)
		fclose(file->file);
	if (file->temporary)
		unlink(file->temporary);
	free(file->temporary);
	free(file->place);
	*file = (struct recording_file){0};
}
