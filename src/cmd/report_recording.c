// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/report_recording.h"

#include <errno.h>
#include <locale.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/report_file.h"
#include "cmd/trace_session.h"
#include "output/derive.h"
#include "record/recording.h"

_Static_assert(RECORD_ERROR_MAX <= REPORT_ERROR_MAX, "messages of recordings are cut");

/* A recording and the result that is made of it. */
struct replay {
	struct recording *recording;
	struct trace_result result;
};

static void replay__free(struct replay *replay)
{
	trace_result__free(&replay->result);
	recording__free(replay->recording);
}

/* Builds the result; sizes of large mappings as the trace had them when count is 0. */
static int replay__build(struct replay *replay, const uint64_t *large, size_t count)
{
	struct large_facts facts = recording__facts(replay->recording);

	recording__result(replay->recording, &replay->result);
	replay->result.rules_match = trace_classes__match;
	replay->result.allocator_name = trace_classes__allocator;
	if (!count)
		large = recording__large(replay->recording, &count);
	return trace_result__build(&replay->result, large, count, &facts);
}

static int replay__read(struct replay *replay, FILE *in, const char *path, const uint64_t *large,
			size_t count, char error[RECORD_ERROR_MAX])
{
	int err;

	*replay = (struct replay){0};
	err = recording__read(&replay->recording, in, path, error);
	if (err)
		return err;
	err = replay__build(replay, large, count);
	if (err) {
		replay__free(replay);
		snprintf(error, RECORD_ERROR_MAX, "cannot report on it: out of memory");
	}
	return err;
}

static bool any_live(const struct trace_result *result)
{
	for (size_t i = 0; i < result->process_count; i++)
		if (process__live_known(result->processes[i].process))
			return true;
	return false;
}

/* NULL when the trace took what a weight needs; else the option that it lacked. */
static const char *missing_option(const struct trace_result *result, enum profile_weight weight)
{
	switch (weight) {
	case WEIGHT_MMAP_BYTES:
	case WEIGHT_MMAP_COUNT:
		return result->mmap_weights ? NULL : "--record";
	case WEIGHT_ALLOC_BYTES:
	case WEIGHT_ALLOC_COUNT:
		if (!result->mallocs_counted)
			return "a target, or --malloc";
		return result->alloc_weights ? NULL : "--record and without --no-stacks";
	case WEIGHT_LIVE_BYTES:
	case WEIGHT_LIVE_COUNT:
		return any_live(result) ? NULL : "--live";
	default:
		return NULL;
	}
}

static int check_weight(const struct report_options *options, const struct trace_result *result)
{
	const struct profile_paths *paths = &options->profile;
	const char *path = paths->folded ? paths->folded : paths->svg;
	const char *missing = missing_option(result, paths->weight);

	if (!path || !missing)
		return EXIT_OK;
	log_error("cannot write %s: %s has no %s by stack: trace with %s", path, options->recording,
		  profile_weight__info(paths->weight)->name, missing);
	return EXIT_FAILED;
}

static int write_report(const struct report_options *options, const struct trace_result *result)
{
	const char *path = options->output ? options->output : "the report to stdout";
	FILE *file = options->output ? fopen(options->output, "we") : stdout;
	struct text_options text;
	int err;

	if (!file) {
		log_error("cannot write %s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	setlocale(LC_CTYPE, "");
	text = report_file__options(file);
	text.all = options->all;
	text.top = options->top;
	err = options->json ? trace_json__write(file, result)
			    : trace_text__write(file, result, &text);
	return report_file__close(file, path, err);
}

static int filter_live(const struct report_options *options, struct replay *replay)
{
	if (!options->filters)
		return EXIT_OK;
	if (!any_live(&replay->result)) {
		log_error("%s has no outstanding allocations to filter: trace with --live",
			  options->recording);
		return EXIT_FAILED;
	}
	if (!recording__filter(replay->recording, &options->filter))
		return EXIT_OK;
	log_error("%s does not have the single allocations that a filter needs: an older memdrift "
		  "recorded it, or there were too many when processes ended; trace with the filter",
		  options->recording);
	return EXIT_FAILED;
}

static int write_outputs(const struct report_options *options, const struct trace_result *result)
{
	struct profile_files profile = {0};
	int code = check_weight(options, result);

	if (code == EXIT_OK)
		code = profile_files__open(&profile, &options->profile);
	if (code == EXIT_OK)
		code = write_report(options, result);
	if (code == EXIT_OK)
		code = profile_files__write(&profile, result);
	profile_files__close(&profile);
	return code;
}

int report_recording(const struct report_options *options)
{
	FILE *in = fopen(options->recording, "re");
	char error[RECORD_ERROR_MAX];
	struct replay replay;
	int code;

	if (!in) {
		log_error("cannot read %s: %s", options->recording, strerror(errno));
		return EXIT_FAILED;
	}
	code = replay__read(&replay, in, options->recording, options->large, options->large_count,
			    error);
	fclose(in);
	if (code) {
		log_error("%s", error);
		return EXIT_FAILED;
	}
	code = filter_live(options, &replay);
	if (code == EXIT_OK)
		code = write_outputs(options, &replay.result);
	replay__free(&replay);
	return code;
}

/* By way of the JSON that the trace would have written: both kinds of reports are then compared by
 * the same figures. */
static int convert(struct report *report, const struct trace_result *result, const char *path,
		   char error[REPORT_ERROR_MAX])
{
	FILE *json = tmpfile();
	int err;

	if (!json) {
		err = -errno;
		snprintf(error, REPORT_ERROR_MAX, "cannot make a temporary file: %s",
			 strerror(errno));
		return err;
	}
	err = trace_json__write(json, result);
	if (err)
		snprintf(error, REPORT_ERROR_MAX, "cannot write a temporary file: %s",
			 strerror(-err));
	rewind(json);
	if (!err)
		err = report__parse(report, json, path, error);
	fclose(json);
	return err;
}

int report_recording__read(struct report *report, const char *path, char error[REPORT_ERROR_MAX])
{
	FILE *in = fopen(path, "re");
	struct replay replay;
	char name[256];
	int err;

	*report = (struct report){0};
	if (!in) {
		err = -errno;
		snprintf(error, REPORT_ERROR_MAX, "cannot read %s: %s",
			 text_printable(name, sizeof(name), path), strerror(-err));
		return err;
	}
	if (record_file__is_one(in)) {
		err = replay__read(&replay, in, path, NULL, 0, error);
		if (!err) {
			err = convert(report, &replay.result, path, error);
			replay__free(&replay);
		}
	} else {
		err = report__parse(report, in, path, error);
	}
	fclose(in);
	return err;
}
