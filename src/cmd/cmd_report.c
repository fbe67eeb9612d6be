// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/report_file.h"
#include "cmd/report_history.h"
#include "cmd/report_options.h"
#include "cmd/report_recording.h"
#include "output/diff.h"

/* NULL after a message. */
static FILE *open_output(const char *path)
{
	FILE *file = fopen(path, "we");

	if (!file)
		log_error("cannot write %s: %s", path, strerror(errno));
	return file;
}

static int write_report(const struct report_options *options, const struct report_diff *diff)
{
	struct text_options text;
	FILE *file = options->output ? open_output(options->output) : stdout;
	int err;

	if (!file)
		return EXIT_FAILED;
	setlocale(LC_CTYPE, "");
	text = report_file__options(file);
	text.all = options->all;
	text.top = options->top;
	err = options->json ? diff_json__write(file, diff) : diff_text__write(file, diff, &text);
	return report_file__close(file, options->output ? options->output : "the report to stdout",
				  err);
}

static int write_folded(const struct report_options *options, const struct report_diff *diff)
{
	FILE *file;

	if (!options->profile.folded)
		return EXIT_OK;
	if (!report__has_live(diff->a) && !report__has_live(diff->b)) {
		log_error("cannot write %s: neither report has outstanding allocations; trace with "
			  "--live",
			  options->profile.folded);
		return EXIT_FAILED;
	}
	file = open_output(options->profile.folded);
	return file ? report_file__close(file, options->profile.folded,
					 diff_folded__write(file, diff))
		    : EXIT_FAILED;
}

static int compare(const struct report_options *options, const struct report *a,
		   const struct report *b)
{
	struct report_diff diff;
	int code;

	if (report_diff__build(&diff, a, b)) {
		log_error("out of memory");
		return EXIT_FAILED;
	}
	code = write_report(options, &diff);
	if (code == EXIT_OK)
		code = write_folded(options, &diff);
	report_diff__free(&diff);
	return code;
}

int cmd_report(int argc, char **argv)
{
	char error[REPORT_ERROR_MAX];
	struct report_options options;
	struct report a, b;
	int code = report_options__parse(argc, argv, &options);

	if (code >= 0)
		return code;
	/* A reader of the report that goes away is an error of writing, not a reason to die. */
	signal(SIGPIPE, SIG_IGN);
	if (options.db)
		return report_history(&options);
	if (options.recording)
		return report_recording(&options);
	if (report_recording__read(&a, options.a, error)) {
		log_error("%s", error);
		return EXIT_FAILED;
	}
	if (report_recording__read(&b, options.b, error)) {
		log_error("%s", error);
		code = EXIT_FAILED;
	} else {
		code = compare(&options, &a, &b);
		report__free(&b);
	}
	report__free(&a);
	return code;
}
