// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/report_file.h"

#include <errno.h>
#include <langinfo.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "output/table.h"

/* Tables of fewer columns say nothing. */
#define COLUMNS_LEAST 80

struct text_options report_file__options(FILE *file)
{
	return (struct text_options){
		.utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8"),
		.colour = isatty(fileno(file)) && !getenv("NO_COLOR"),
	};
}

struct text_options report_file__narrow_options(FILE *file)
{
	struct text_options options = report_file__options(file);
	struct winsize size;

	if (ioctl(fileno(file), TIOCGWINSZ, &size) || !size.ws_col || size.ws_col > REPORT_COLUMNS)
		return options;
	options.columns = size.ws_col < COLUMNS_LEAST ? COLUMNS_LEAST : size.ws_col;
	return options;
}

int report_file__close(FILE *file, const char *path, int err)
{
	bool failed = file == stdout ? fflush(file) : fclose(file);

	if (failed && !err)
		err = -errno;
	if (!err)
		return EXIT_OK;
	log_error("cannot write %s: %s", path, strerror(-err));
	return EXIT_FAILED;
}
