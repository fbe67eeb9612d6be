// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/explain_cgroup.h"
#include "cmd/explain_options.h"
#include "cmd/explain_progress.h"
#include "cmd/explain_target.h"
#include "cmd/report_file.h"
#include "output/explain.h"

static struct text_options text_options(const struct explain_options *options)
{
	struct text_options text = report_file__narrow_options(stdout);

	text.all = options->all;
	return text;
}

/* Both sides are read from JSON, so that they are compared by the same names. */
static int write_diff(const struct explain_options *options, const struct explain_report *report,
		      const struct explain_side *then)
{
	struct text_options text = text_options(options);
	json_t *root = explain_json__build(report);
	char error[EXPLAIN_ERROR_MAX];
	struct explain_side now;
	int err;

	if (!root)
		return -ENOMEM;
	err = explain_side__take(&now, root, error);
	json_decref(root);
	if (err) {
		log_error("%s", error);
		return err;
	}
	err = options->json ? explain_diff_json__write(stdout, then, &now)
			    : explain_diff_text__write(stdout, then, &now, &text);
	explain_side__free(&now);
	return err;
}

static int write_report(const struct explain_options *options,
			const struct explanation *explanation, const struct explain_side *then)
{
	struct text_options text = text_options(options);
	struct explain_report report = {.explanation = explanation};
	struct advice_list *advice = calloc(1, sizeof(*advice));
	struct verdict verdict;
	int err = -ENOMEM;

	if (advice) {
		advice__give(explanation, options->margin_bytes, advice);
		verdict__decide(explanation, &verdict);
		report.verdict = &verdict;
		report.advice = advice;
		if (then)
			err = write_diff(options, &report, then);
		else if (options->json)
			err = explain_json__write(stdout, &report);
		else
			err = explain_text__write(stdout, &report, &text);
	}
	free(advice);
	if (err)
		log_error("cannot write the explanation: %s", strerror(-err));
	return err;
}

static int explain_process(const struct explain_options *options, const struct explain_side *then)
{
	struct explanation *explanation;
	struct explain_progress progress;
	uint32_t pid;
	int err = explain_target__find(options->pid, &pid);

	if (err)
		return EXIT_FAILED;
	explanation = calloc(1, sizeof(*explanation));
	if (!explanation) {
		log_error("out of memory");
		return EXIT_FAILED;
	}
	explain_progress__start(&progress, pid);
	err = explanation__read(pid, explanation);
	explain_progress__stop(&progress);
	if (err)
		explain_target__report(pid, err);
	else
		err = write_report(options, explanation, then);
	explanation__free(explanation);
	free(explanation);
	return err ? EXIT_FAILED : EXIT_OK;
}

int cmd_explain(int argc, char **argv)
{
	char error[EXPLAIN_ERROR_MAX];
	struct explain_options options;
	struct explain_side then;
	int code = explain_options__parse(argc, argv, &options);

	if (code >= 0)
		return code;
	setlocale(LC_CTYPE, "");
	/* A reader of the report that goes away is an error of writing, not a reason to die. */
	signal(SIGPIPE, SIG_IGN);
	if (options.cgroup)
		return explain_cgroup(options.cgroup, options.json, stdout);
	if (!options.diff)
		return explain_process(&options, NULL);
	/* A file that is no report is told before anything is read. */
	if (explain_side__read(&then, options.diff, error)) {
		log_error("%s", error);
		return EXIT_FAILED;
	}
	code = explain_process(&options, &then);
	explain_side__free(&then);
	return code;
}
