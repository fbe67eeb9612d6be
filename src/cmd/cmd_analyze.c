// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cmd/analyze_options.h"
#include "cmd/cmd.h"
#include "cmd/report_file.h"
#include "drift/replay.h"
#include "drift/series_file.h"
#include "output/analysis.h"

/* Time before the first line of progress, and between two. */
#define PROGRESS_NS 1000000000ull

struct analysis {
	const struct analyze_options *options;
	struct replayer *replayer;
	struct analysis_table table;
	const char *path;
	size_t judged;
	uint64_t said_ns;
};

static void say_progress(struct analysis *analysis)
{
	uint64_t now_ns = monotonic_ns();

	analysis->judged++;
	if (now_ns - analysis->said_ns < PROGRESS_NS)
		return;
	analysis->said_ns = now_ns;
	log_progress("%zu series judged", analysis->judged);
}

static int judge(void *ctx, const struct series *series)
{
	struct analysis *analysis = ctx;
	struct replay replay;
	int err = replay__run(&replay, analysis->replayer, series);

	if (!err && analysis->options->json)
		err = analysis_json__write(stdout, series, &replay);
	else if (!err)
		err = analysis_table__add(&analysis->table, series, &replay,
					  analysis->options->all);
	replay__free(&replay);
	say_progress(analysis);
	return err;
}

static int read_file(struct analysis *analysis, const char *path)
{
	struct series_counts counts;
	char error[SERIES_ERROR_MAX];
	int err = series_file__read(path, judge, analysis, &counts, error);

	log_progress("%s", "");
	if (err) {
		log_error("%s", *error ? error : strerror(-err));
		return err;
	}
	if (!counts.series)
		log_warning("%s: there is no series in it", path);
	if (counts.odd)
		log_warning("%s: %zu values are negative or beyond all memory; taken as unknown",
			    path, counts.odd);
	log_debug("%s: %zu series, %zu samples", path, counts.series, counts.samples);
	return 0;
}

static int analyze(struct analysis *analysis)
{
	const struct analyze_options *options = analysis->options;
	struct text_options text = report_file__narrow_options(stdout);
	int err = 0;

	for (int i = 0; i < options->path_count && !err; i++)
		err = read_file(analysis, options->paths[i]);
	if (err)
		return EXIT_FAILED;
	if (!options->json)
		err = analysis_table__write(&analysis->table, stdout, &text);
	return report_file__close(stdout, "the analysis", err);
}

int cmd_analyze(int argc, char **argv)
{
	struct analyze_options options;
	struct analysis analysis = {.options = &options, .said_ns = monotonic_ns()};
	int code = analyze_options__parse(argc, argv, &options);

	if (code >= 0)
		return code;
	setlocale(LC_CTYPE, "");
	/* A reader that goes away is an error of writing, not a reason to die. */
	signal(SIGPIPE, SIG_IGN);
	analysis.replayer = replayer__new();
	if (!analysis.replayer) {
		log_error("out of memory");
		return EXIT_FAILED;
	}
	code = analyze(&analysis);
	analysis_table__free(&analysis.table);
	replayer__free(analysis.replayer);
	return code;
}
