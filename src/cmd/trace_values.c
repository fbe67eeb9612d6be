// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/trace_values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/large_option.h"
#include "ingest/live_set.h"
#include "ingest/tracer.h"

int trace_usage(const char *what, const char *value, const char *wanted)
{
	log_error("%s \"%s\": %s; see `memdrift trace --help`", what, value, wanted);
	return EXIT_USAGE;
}

int trace_value__target(struct trace_options *options, enum trace_target target)
{
	if (options->target != TRACE_HOST && options->target != target) {
		log_error(
			"-p, --cgroup, --comm and -- COMMAND exclude each other: name one target");
		return EXIT_USAGE;
	}
	options->target = target;
	return -1;
}

int trace_value__pids(struct trace_options *options, char *text)
{
	char *save = NULL, *end;

	for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		unsigned long pid;

		errno = 0;
		pid = strtoul(word, &end, 10);
		if (errno || *end || *word == '-' || !pid || pid > 4194304)
			return trace_usage("-p", word, "a PID is a number from 1 to 4194304");
		if (options->pid_count == TRACE_PIDS_MAX)
			return trace_usage("-p", word, "that is more than 256 PIDs; use --cgroup");
		options->pids[options->pid_count++] = (uint32_t)pid;
	}
	if (!options->pid_count)
		return trace_usage("-p", "", "at least one PID is needed");
	return trace_value__target(options, TRACE_PIDS);
}

int trace_value__large(struct trace_options *options, char *text)
{
	const char *word;
	const char *wanted =
		large_option__parse(text, options->large, &options->large_count, &word);

	return wanted ? trace_usage("--large", word, wanted) : -1;
}

int trace_value__budget(struct trace_options *options, const char *text)
{
	options->budget_given = true;
	if (!strcmp(text, "none")) {
		options->budget = -1;
		return -1;
	}
	if (units_parse_percent(text, &options->budget))
		return trace_usage("--budget", text, "a share of CPU time such as 5%, or none");
	return -1;
}

int trace_value__weight(struct trace_options *options, const char *text)
{
	char names[PROFILE_WEIGHT_NAMES_MAX], wanted[PROFILE_WEIGHT_NAMES_MAX + 16];

	switch (profile_weight__parse(text, &options->profile.weight)) {
	case 0:
		return -1;
	default:
		snprintf(wanted, sizeof(wanted), "one of %s", profile_weight__names(names));
		return trace_usage("--weight", text, wanted);
	}
}

int trace_value__time(const char *option, const char *text, double least, double most,
		      double *seconds)
{
	if (units_parse_seconds(text, seconds) || *seconds < least || !(*seconds <= most))
		return trace_usage(option, text, "a time such as 500ms, 30s, 5m or 2h");
	return -1;
}

int trace_value__ring(struct trace_options *options, const char *text)
{
	uint64_t bytes;

	if (units_parse_bytes(text, &bytes) || bytes < 4096 || bytes > 1ull << 30 ||
	    bytes & (bytes - 1))
		return trace_usage("--ring-size", text, "a power of two from 4K to 1G");
	options->ring_bytes = bytes;
	return -1;
}

int trace_value__size(const char *option, const char *text, uint64_t *bytes)
{
	if (units_parse_bytes(text, bytes))
		return trace_usage(option, text, "a size such as 100, 4K or 1M");
	return -1;
}

int trace_value__top(struct trace_options *options, const char *text)
{
	char *end;
	unsigned long top = strtoul(text, &end, 10);

	if (!*text || *end || *text == '-' || !top || top > 1000000)
		return trace_usage("--top", text, "a number of rows");
	options->top = (uint32_t)top;
	return -1;
}

int trace_value__fault_period(struct trace_options *options, const char *text)
{
	char *end;
	unsigned long period = strtoul(text, &end, 10);

	if (!*text || *end || *text == '-' || !period || period > FAULT_PERIOD_MAX)
		return trace_usage("--fault-period", text, "a number from 1 to 10000");
	options->fault_period = (uint32_t)period;
	return -1;
}

int trace_value__live_memory(struct trace_options *options, const char *text)
{
	uint64_t bytes;

	if (units_parse_bytes(text, &bytes) || bytes < LIVE_BYTES_MIN || bytes > LIVE_BYTES_MAX ||
	    bytes & (bytes - 1))
		return trace_usage("--live-memory", text, "a power of two from 64K to 256M");
	options->live_bytes = bytes;
	return -1;
}
