// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Options of `memdrift trace` that need each other, or exclude each other. */
#include "analysis/size_class.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/trace_options.h"

bool trace_options__counts_mallocs(const struct trace_options *options)
{
	return options->target != TRACE_HOST || options->malloc;
}

static bool live_option_given(const struct trace_options *options)
{
	const struct live_filter *filter = &options->live_filter;

	return filter->older_s > 0 || filter->min_bytes || filter->max_bytes != UINT64_MAX ||
	       (options->no_stacks && !options->record) || options->temporary ||
	       trace_options__shows(options, WEIGHT_LIVE_BYTES) ||
	       trace_options__shows(options, WEIGHT_LIVE_COUNT);
}

int trace_options__check(const struct trace_options *options)
{
	if (options->json && options->target == TRACE_COMMAND && !options->output) {
		log_error("--json with a command needs -o FILE: stdout is the command's own");
		return EXIT_USAGE;
	}
	if (!options->live && live_option_given(options)) {
		log_error("--older, --min-size, --max-size, --no-stacks, --temporary and "
			  "--weight live_... are about outstanding allocations: add --live");
		return EXIT_USAGE;
	}
	if (options->live && !trace_options__counts_mallocs(options)) {
		log_error("--live needs allocator probes: name a target, or add --malloc");
		return EXIT_USAGE;
	}
	if (options->print && options->target == TRACE_COMMAND && !options->output) {
		log_error("--print with a command needs -o FILE: stdout is the command's own");
		return EXIT_USAGE;
	}
	if (options->print && options->json) {
		log_error("--print writes reports for people after each interval; --json is one "
			  "object at the end");
		return EXIT_USAGE;
	}
	if (options->named.objects.count && !trace_options__counts_mallocs(options)) {
		log_error("--object needs allocator probes: name a target, or add --malloc");
		return EXIT_USAGE;
	}
	if (trace_options__shows_calls(options) && !trace_options__counts_mallocs(options)) {
		log_error("--weight alloc_... needs allocator probes: name a target, or add "
			  "--malloc");
		return EXIT_USAGE;
	}
	if (options->fault_period && !trace_options__samples_faults(options)) {
		log_error("--fault-period is about page faults: add --faults");
		return EXIT_USAGE;
	}
	if (options->size_rules != SIZE_RULES_LOG2 && !trace_options__counts_mallocs(options)) {
		log_error("--buckets %s needs allocator probes: name a target, or add --malloc",
			  size_rules__name(options->size_rules));
		return EXIT_USAGE;
	}
	return -1;
}
