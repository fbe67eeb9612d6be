// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/history_options.h"

#include <math.h>
#include <stdlib.h>
#include <time.h>

#include "base/log.h"
#include "base/units.h"
#include "cmd/cmd.h"

static int usage(const char *what, const char *value, const char *wanted)
{
	log_error("%s \"%s\": %s; see `memdrift report --help`", what, value, wanted);
	return EXIT_USAGE;
}

int history_options__parse_pid(struct report_options *options, const char *text)
{
	char *end;
	unsigned long pid = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !pid || pid > INT32_MAX)
		return usage("--pid", text, "a process's number");
	options->pid = (uint32_t)pid;
	return -1;
}

int history_options__parse_since(struct report_options *options, const char *text)
{
	static const char *const formats[] = {"%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S",
					      "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%d"};

	if (!units_parse_seconds(text, &options->since_s) && options->since_s > 0)
		return -1;
	options->since_s = 0;
	for (size_t i = 0; i < sizeof(formats) / sizeof(*formats); i++) {
		struct tm tm = {.tm_isdst = -1};
		const char *end = strptime(text, formats[i], &tm);

		if (!end || *end)
			continue;
		options->since_unix = (double)mktime(&tm);
		return -1;
	}
	return usage("--since", text, "a time such as 12h or 7d, or a date such as 2026-11-20");
}

bool history_options__any(const struct report_options *options)
{
	return options->pid || options->unit || options->evidence || options->series ||
	       options->since_s > 0 || !isnan(options->since_unix);
}

int history_options__check(const struct report_options *options, bool more)
{
	if (options->a || more) {
		log_error("--db tells of a history alone: it goes with neither a recording nor "
			  "--diff; see `memdrift report --help`");
		return EXIT_USAGE;
	}
	if (options->pid && options->unit) {
		log_error(
			"--pid and --unit: one of the two says who is meant; see `memdrift report "
			"--help`");
		return EXIT_USAGE;
	}
	if (options->weight || options->profile.folded || options->profile.pprof ||
	    options->profile.svg || options->large_count || options->filters) {
		log_error("--folded, --weight, --pprof, --svg, --large, --older, --min-size and "
			  "--max-size are of a recording: they do not go with --db; see "
			  "`memdrift report --help`");
		return EXIT_USAGE;
	}
	return -1;
}
