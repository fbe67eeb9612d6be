// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/trace_options.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>

#include "analysis/size_class.h"
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/trace_values.h"
#include "ingest/live_set.h"
#include "ingest/tracer.h"

enum {
	OPT_CGROUP = 256,
	OPT_COMM,
	OPT_MALLOC,
	OPT_BUDGET,
	OPT_RING_SIZE,
	OPT_STRICT,
	OPT_JSON,
	OPT_LARGE,
	OPT_BUCKETS,
	OPT_ALL,
	OPT_FOLDED,
	OPT_WEIGHT,
	OPT_PPROF,
	OPT_SVG,
	OPT_RECORD,
	OPT_LIVE,
	OPT_NO_STACKS,
	OPT_LIVE_MEMORY,
	OPT_TEMPORARY,
	OPT_OLDER,
	OPT_MIN_SIZE,
	OPT_MAX_SIZE,
	OPT_TOP,
	OPT_PRINT,
	OPT_OBJECT,
	OPT_SYMBOLS,
	OPT_LINES,
	OPT_DEBUGINFOD,
	OPT_FAULTS,
	OPT_FAULT_PERIOD,
	OPT_HOLD_READER,
	OPT_STACK_HASH_BITS,
	OPT_DUMP_SPACES,
};

static const struct option long_options[] = {
	{"pid", required_argument, NULL, 'p'},
	{"cgroup", required_argument, NULL, OPT_CGROUP},
	{"comm", required_argument, NULL, OPT_COMM},
	{"duration", required_argument, NULL, 'd'},
	{"interval", required_argument, NULL, 'i'},
	{"malloc", no_argument, NULL, OPT_MALLOC},
	{"budget", required_argument, NULL, OPT_BUDGET},
	{"ring-size", required_argument, NULL, OPT_RING_SIZE},
	{"strict", no_argument, NULL, OPT_STRICT},
	{"output", required_argument, NULL, 'o'},
	{"json", no_argument, NULL, OPT_JSON},
	{"large", required_argument, NULL, OPT_LARGE},
	{"buckets", required_argument, NULL, OPT_BUCKETS},
	{"all", no_argument, NULL, OPT_ALL},
	{"folded", required_argument, NULL, OPT_FOLDED},
	{"weight", required_argument, NULL, OPT_WEIGHT},
	{"pprof", required_argument, NULL, OPT_PPROF},
	{"svg", required_argument, NULL, OPT_SVG},
	{"record", required_argument, NULL, OPT_RECORD},
	{"live", no_argument, NULL, OPT_LIVE},
	{"no-stacks", no_argument, NULL, OPT_NO_STACKS},
	{"live-memory", required_argument, NULL, OPT_LIVE_MEMORY},
	{"temporary", no_argument, NULL, OPT_TEMPORARY},
	{"older", required_argument, NULL, OPT_OLDER},
	{"min-size", required_argument, NULL, OPT_MIN_SIZE},
	{"max-size", required_argument, NULL, OPT_MAX_SIZE},
	{"top", required_argument, NULL, OPT_TOP},
	{"print", no_argument, NULL, OPT_PRINT},
	{"object", required_argument, NULL, OPT_OBJECT},
	{"symbols", required_argument, NULL, OPT_SYMBOLS},
	{"lines", no_argument, NULL, OPT_LINES},
	{"debuginfod", no_argument, NULL, OPT_DEBUGINFOD},
	{"faults", no_argument, NULL, OPT_FAULTS},
	{"fault-period", required_argument, NULL, OPT_FAULT_PERIOD},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	/* For tests; not in the help text. */
	{"dump-spaces", required_argument, NULL, OPT_DUMP_SPACES},
	{"hold-reader", no_argument, NULL, OPT_HOLD_READER},
	{"stack-hash-bits", required_argument, NULL, OPT_STACK_HASH_BITS},
	{NULL, 0, NULL, 0},
};

/* A prime: no loop that faults in the same places again and again keeps step with it. */
#define FAULT_PERIOD_DEFAULT 61

/* Rows of outstanding allocations, with a line of stack each: a screen. */
#define TOP_OUTSTANDING 10

static int parse_option(struct trace_options *options, int option)
{
	static int verbosity;

	switch (option) {
	case 'p':
		return trace_value__pids(options, optarg);
	case 'd':
		return trace_value__time("-d", optarg, 0.001, 1e9, &options->duration_s);
	case 'i':
		return trace_value__time("-i", optarg, 0.01, 86400, &options->interval_s);
	case 'o':
		options->output = optarg;
		return -1;
	case 'v':
		log_set_level(++verbosity > 1 ? LOG_DEBUG : LOG_INFO);
		return -1;
	case 'h':
		trace_help__print();
		return EXIT_OK;
	case OPT_CGROUP:
		options->cgroup = optarg;
		return trace_value__target(options, TRACE_CGROUP);
	case OPT_COMM:
		if (!*optarg || strlen(optarg) > 15)
			return trace_usage("--comm", optarg,
					   "the kernel keeps names of 1 to 15 bytes");
		snprintf(options->comm, sizeof(options->comm), "%s", optarg);
		return trace_value__target(options, TRACE_COMM);
	case OPT_MALLOC:
		options->malloc = true;
		return -1;
	case OPT_BUDGET:
		return trace_value__budget(options, optarg);
	case OPT_RING_SIZE:
		return trace_value__ring(options, optarg);
	case OPT_STRICT:
		options->strict = true;
		return -1;
	case OPT_JSON:
		options->json = true;
		return -1;
	case OPT_LARGE:
		return trace_value__large(options, optarg);
	case OPT_BUCKETS:
		if (size_rules__parse(optarg, &options->size_rules))
			return trace_usage("--buckets", optarg, "one of log2, glibc, jemalloc, go");
		return -1;
	case OPT_ALL:
		options->all = true;
		return -1;
	case OPT_FOLDED:
		options->profile.folded = optarg;
		return -1;
	case OPT_PPROF:
		options->profile.pprof = optarg;
		return -1;
	case OPT_SVG:
		options->profile.svg = optarg;
		return -1;
	case OPT_RECORD:
		options->record = optarg;
		return -1;
	case OPT_WEIGHT:
		return trace_value__weight(options, optarg);
	case OPT_OBJECT:
		return named_options__object(&options->named, optarg);
	case OPT_SYMBOLS:
		return named_options__symbols(&options->named, optarg);
	case OPT_LINES:
		options->lines = true;
		return -1;
	case OPT_DEBUGINFOD:
		options->debuginfod = true;
		return -1;
	case OPT_FAULTS:
		options->faults = true;
		return -1;
	case OPT_FAULT_PERIOD:
		return trace_value__fault_period(options, optarg);
	case OPT_DUMP_SPACES:
		options->dump_spaces = optarg;
		return -1;
	case OPT_LIVE:
		options->live = true;
		return -1;
	case OPT_NO_STACKS:
		options->no_stacks = true;
		return -1;
	case OPT_LIVE_MEMORY:
		return trace_value__live_memory(options, optarg);
	case OPT_TEMPORARY:
		options->temporary = true;
		return -1;
	case OPT_OLDER:
		return trace_value__time("--older", optarg, 0, 1e9, &options->live_filter.older_s);
	case OPT_MIN_SIZE:
		return trace_value__size("--min-size", optarg, &options->live_filter.min_bytes);
	case OPT_MAX_SIZE:
		return trace_value__size("--max-size", optarg, &options->live_filter.max_bytes);
	case OPT_TOP:
		return trace_value__top(options, optarg);
	case OPT_PRINT:
		options->print = true;
		return -1;
	case OPT_HOLD_READER:
		options->hold_reader = true;
		return -1;
	case OPT_STACK_HASH_BITS:
		options->stack_hash_bits = (unsigned int)strtoul(optarg, NULL, 10) & 63;
		return -1;
	default:
		/* getopt has said what is wrong. */
		fputs("See `memdrift trace --help`.\n", stderr);
		return EXIT_USAGE;
	}
}

int trace_options__parse(int argc, char **argv, struct trace_options *options)
{
	static const uint64_t large_default[] = LARGE_SIZES_DEFAULT;
	int option, code;

	memset(options, 0, sizeof(*options));
	options->duration_s = -1;
	options->interval_s = 1;
	options->budget = 0.05;
	options->profile.weight = WEIGHT_MMAP_BYTES;
	options->ring_bytes = TRACER_RING_BYTES;
	options->live_bytes = LIVE_BYTES_DEFAULT;
	options->live_filter.max_bytes = UINT64_MAX;
	options->top = TOP_OUTSTANDING;
	options->large_count = 2;
	memcpy(options->large, large_default, sizeof(large_default));

	optind = 1;
	while ((option = getopt_long(argc, argv, "+p:d:i:o:vh", long_options, NULL)) != -1) {
		code = parse_option(options, option);
		if (code >= 0)
			return code;
	}
	if (optind == argc && optind > 1 && !strcmp(argv[optind - 1], "--"))
		return trace_usage("--", "", "a command must follow");
	if (optind < argc) {
		if (strcmp(argv[optind - 1], "--"))
			return trace_usage("argument", argv[optind],
					   "not an option; a command to run comes after --");
		code = trace_value__target(options, TRACE_COMMAND);
		if (code >= 0)
			return code;
		options->command = argv + optind;
		if (!options->budget_given)
			options->budget = -1;
	}
	code = named_options__check(&options->named);
	if (code < 0)
		code = trace_options__check(options);
	if (!options->fault_period)
		options->fault_period = FAULT_PERIOD_DEFAULT;
	return code;
}

void trace_options__free(struct trace_options *options)
{
	named_options__free(&options->named);
}
