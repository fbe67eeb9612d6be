// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/profile_files.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/report_file.h"

static int open_file(const char *path, FILE **file)
{
	if (!path)
		return EXIT_OK;
	*file = fopen(path, "we");
	if (*file)
		return EXIT_OK;
	log_error("cannot write %s: %s", path, strerror(errno));
	return EXIT_FAILED;
}

int profile_files__open(struct profile_files *files, const struct profile_paths *paths)
{
	int code = open_file(paths->folded, &files->folded);

	files->paths = paths;
	if (code == EXIT_OK)
		code = open_file(paths->pprof, &files->pprof);
	if (code == EXIT_OK)
		code = open_file(paths->svg, &files->svg);
	return code;
}

/* Takes the file: it is closed whatever happens. */
static int close_file(FILE **file, const char *path, int err)
{
	FILE *closed = *file;

	*file = NULL;
	return report_file__close(closed, path, err);
}

static int write_files(struct profile_files *files, const struct profile *profile)
{
	const struct profile_paths *paths = files->paths;
	int code = EXIT_OK;

	if (files->folded)
		code = close_file(&files->folded, paths->folded,
				  profile_folded__write(files->folded, profile, paths->weight));
	if (files->pprof && code == EXIT_OK)
		code = close_file(&files->pprof, paths->pprof,
				  profile_pprof__write(files->pprof, profile));
	if (files->svg && code == EXIT_OK)
		code = close_file(&files->svg, paths->svg,
				  profile_svg__write(files->svg, profile, paths->weight));
	return code;
}

int profile_files__write(struct profile_files *files, const struct trace_result *result)
{
	struct profile *profile;
	int code;

	if (!files->folded && !files->pprof && !files->svg)
		return EXIT_OK;
	if (profile__build(result, &profile)) {
		log_error("out of memory for the stacks' weights");
		return EXIT_FAILED;
	}
	code = write_files(files, profile);
	profile__free(profile);
	return code;
}

void profile_files__close(struct profile_files *files)
{
	FILE **const open[] = {&files->folded, &files->pprof, &files->svg};

	for (size_t i = 0; i < sizeof(open) / sizeof(*open); i++) {
		if (*open[i])
			fclose(*open[i]);
		*open[i] = NULL;
	}
}
