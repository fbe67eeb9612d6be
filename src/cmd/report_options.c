// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/report_options.h"

#include <getopt.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/history_options.h"
#include "output/profile.h"

static const char help[] =
	"Usage: memdrift report RECORDING [OPTIONS]\n"
	"       memdrift report --diff A B [OPTIONS]\n"
	"       memdrift report --db FILE [--pid PID|--unit NAME] [--since TIME] [OPTIONS]\n"
	"\n"
	"Writes of a recording (`memdrift trace --record FILE`) what the trace itself would have\n"
	"written with these options, on any machine; or says what grew and what shrank between "
	"two\n"
	"reports, each a recording or of `memdrift trace --json`: RSS, and outstanding allocations "
	"by\n"
	"stack and size when both were traced with --live. Processes are matched by PID and start\n"
	"time, else by name and executable. Or tells what the history of `memdrift watch` has: "
	"what\n"
	"grew most on the host, or the trend of one process, and the incidents. Needs no root.\n"
	"\n"
	"      --diff A B           the reports to compare: what B has more than A is growth\n"
	"      --json               one JSON object instead of text, with everything in it\n"
	"  -o, --output FILE        write the report to FILE instead of stdout\n"
	"      --top N              list so many groups of a process (default 10)\n"
	"      --all                list everything, not only the largest\n"
	"      --folded FILE        folded stacks for flame graphs; of --diff differential ones,\n"
	"                           \"root;...;leaf a b\", as difffolded.pl writes them\n"
	"      --weight KIND        of folded stacks and of --svg, as of `memdrift trace`; of "
	"--diff\n"
	"                           live_bytes, the only one that reports carry by stack\n"
	"\n"
	"Of a recording only\n"
	"      --large SIZES        sizes of large mappings to list (default: as the trace did)\n"
	"      --older AGE          list only outstanding allocations that are at least this old\n"
	"      --min-size SIZE, --max-size SIZE  list only requests of these sizes\n"
	"      --pprof FILE         a profile for go tool pprof, Parca, Pyroscope\n"
	"      --svg FILE           an interactive flame graph\n"
	"\n"
	"Of a history (--db) only\n"
	"      --pid PID            the process with this PID, and those that it came after\n"
	"      --unit NAME          the processes of a systemd unit, a container or a control "
	"group\n"
	"      --since TIME         from then on: 12h, 7d or a date, \"2026-11-20 14:00\" "
	"(default: 7d,\n"
	"                           of --pid, --unit and --series 28d)\n"
	"      --evidence DIR       write the incidents' profiles and stacks into DIR\n"
	"      --series FILE        write the series, hourly, for `memdrift analyze`, and no "
	"report\n"
	"  -h, --help               this text\n"
	"\n"
	"Examples\n"
	"  sudo memdrift trace --record ls.mdr -- ls -R /usr\n"
	"  memdrift report ls.mdr\n"
	"  memdrift report ls.mdr --folded ls.folded --weight alloc_bytes\n"
	"What one run of a program keeps that another does not:\n"
	"  sudo memdrift trace --live --json -o a.json -- ls /usr\n"
	"  sudo memdrift trace --live --json -o b.json -- ls -R /usr/share/doc\n"
	"  memdrift report --diff a.json b.json --folded diff.folded\n"
	"\n"
	"Exit codes: 0 ok, 1 failed, 2 wrong usage.\n";

enum {
	OPT_DIFF = 256,
	OPT_DB,
	OPT_JSON,
	OPT_ALL,
	OPT_TOP,
	OPT_FOLDED,
	OPT_WEIGHT,
	OPT_LARGE,
	OPT_PPROF,
	OPT_SVG,
	OPT_OLDER,
	OPT_MIN_SIZE,
	OPT_MAX_SIZE,
	OPT_PID,
	OPT_UNIT,
	OPT_SINCE,
	OPT_EVIDENCE,
	OPT_SERIES
};

static const struct option long_options[] = {
	{"diff", required_argument, NULL, OPT_DIFF},
	{"db", required_argument, NULL, OPT_DB},
	{"json", no_argument, NULL, OPT_JSON},
	{"output", required_argument, NULL, 'o'},
	{"top", required_argument, NULL, OPT_TOP},
	{"all", no_argument, NULL, OPT_ALL},
	{"folded", required_argument, NULL, OPT_FOLDED},
	{"weight", required_argument, NULL, OPT_WEIGHT},
	{"large", required_argument, NULL, OPT_LARGE},
	{"pprof", required_argument, NULL, OPT_PPROF},
	{"svg", required_argument, NULL, OPT_SVG},
	{"older", required_argument, NULL, OPT_OLDER},
	{"min-size", required_argument, NULL, OPT_MIN_SIZE},
	{"max-size", required_argument, NULL, OPT_MAX_SIZE},
	{"pid", required_argument, NULL, OPT_PID},
	{"unit", required_argument, NULL, OPT_UNIT},
	{"since", required_argument, NULL, OPT_SINCE},
	{"evidence", required_argument, NULL, OPT_EVIDENCE},
	{"series", required_argument, NULL, OPT_SERIES},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* A screen, beside the lines above them. */
#define TOP_GROUPS 10

static int usage(const char *what, const char *value, const char *wanted)
{
	log_error("%s \"%s\": %s; see `memdrift report --help`", what, value, wanted);
	return EXIT_USAGE;
}

static int parse_top(struct report_options *options, const char *text)
{
	char *end;
	unsigned long top = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || !top || top > 1000000)
		return usage("--top", text, "a number of rows");
	options->top = top;
	options->top_given = true;
	return -1;
}

static int parse_weight(struct report_options *options, const char *text)
{
	char names[PROFILE_WEIGHT_NAMES_MAX], wanted[PROFILE_WEIGHT_NAMES_MAX + 16];

	options->weight = text;
	if (!profile_weight__parse(text, &options->profile.weight))
		return -1;
	snprintf(wanted, sizeof(wanted), "one of %s", profile_weight__names(names));
	return usage("--weight", text, wanted);
}

static int parse_large(struct report_options *options, char *text)
{
	const char *word;
	const char *wanted =
		large_option__parse(text, options->large, &options->large_count, &word);

	return wanted ? usage("--large", word, wanted) : -1;
}

static int parse_older(struct report_options *options, const char *text)
{
	options->filters = true;
	if (units_parse_seconds(text, &options->filter.older_s) || options->filter.older_s > 1e9)
		return usage("--older", text, "a time such as 500ms, 30s, 5m or 2h");
	return -1;
}

static int parse_size(struct report_options *options, const char *option, const char *text,
		      uint64_t *bytes)
{
	options->filters = true;
	if (units_parse_bytes(text, bytes))
		return usage(option, text, "a size such as 100, 4K or 1M");
	return -1;
}

static int parse_option(struct report_options *options, int option)
{
	switch (option) {
	case 'o':
		options->output = optarg;
		return -1;
	case 'h':
		fputs(help, stdout);
		return EXIT_OK;
	case OPT_DIFF:
		options->a = optarg;
		return -1;
	case OPT_DB:
		options->db = optarg;
		return -1;
	case OPT_PID:
		return history_options__parse_pid(options, optarg);
	case OPT_UNIT:
		options->unit = optarg;
		return -1;
	case OPT_SINCE:
		return history_options__parse_since(options, optarg);
	case OPT_EVIDENCE:
		options->evidence = optarg;
		return -1;
	case OPT_SERIES:
		options->series = optarg;
		return -1;
	case OPT_JSON:
		options->json = true;
		return -1;
	case OPT_ALL:
		options->all = true;
		return -1;
	case OPT_TOP:
		return parse_top(options, optarg);
	case OPT_FOLDED:
		options->profile.folded = optarg;
		return -1;
	case OPT_WEIGHT:
		return parse_weight(options, optarg);
	case OPT_LARGE:
		return parse_large(options, optarg);
	case OPT_PPROF:
		options->profile.pprof = optarg;
		return -1;
	case OPT_SVG:
		options->profile.svg = optarg;
		return -1;
	case OPT_OLDER:
		return parse_older(options, optarg);
	case OPT_MIN_SIZE:
		return parse_size(options, "--min-size", optarg, &options->filter.min_bytes);
	case OPT_MAX_SIZE:
		return parse_size(options, "--max-size", optarg, &options->filter.max_bytes);
	default:
		/* getopt has said what is wrong. */
		fputs("See `memdrift report --help`.\n", stderr);
		return EXIT_USAGE;
	}
}

/* What is to be reported on: two reports after --diff, else a recording. */
static int parse_subject(int argc, char **argv, struct report_options *options)
{
	if (options->db)
		return history_options__check(options, optind < argc);
	if (history_options__any(options)) {
		log_error("--pid, --unit, --since, --evidence and --series are of a history: name "
			  "it with --db FILE; see `memdrift report --help`");
		return EXIT_USAGE;
	}
	if (!options->a && optind == argc) {
		log_error("nothing to report on: name a recording of `memdrift trace --record`, "
			  "two reports with --diff A B, or a history with --db FILE; see `memdrift "
			  "report --help`");
		return EXIT_USAGE;
	}
	if (!options->a) {
		options->recording = argv[optind++];
		return optind == argc ? -1
				      : usage("argument", argv[optind],
					      "one recording at a time; --diff A B compares two");
	}
	if (optind == argc)
		return usage("--diff", options->a, "a second report must follow");
	options->b = argv[optind++];
	if (optind < argc)
		return usage("argument", argv[optind], "--diff takes two reports");
	return -1;
}

/* Two reports have less in common than a recording has in it. */
static int check_diff(const struct report_options *options)
{
	if (options->weight && options->profile.weight != WEIGHT_LIVE_BYTES)
		return usage("--weight", options->weight,
			     "two reports can be compared by live_bytes only");
	if (options->profile.pprof || options->profile.svg || options->large_count ||
	    options->filters) {
		log_error("--large, --older, --min-size, --max-size, --pprof and --svg are of one "
			  "recording: they do not go with --diff");
		return EXIT_USAGE;
	}
	return -1;
}

int report_options__parse(int argc, char **argv, struct report_options *options)
{
	int option, code;

	*options = (struct report_options){.top = TOP_GROUPS};
	options->profile.weight = WEIGHT_MMAP_BYTES;
	options->since_unix = NAN;
	options->filter.max_bytes = UINT64_MAX;
	optind = 1;
	while ((option = getopt_long(argc, argv, "o:h", long_options, NULL)) != -1) {
		code = parse_option(options, option);
		if (code >= 0)
			return code;
	}
	code = parse_subject(argc, argv, options);
	if (code < 0 && !options->recording && !options->db)
		code = check_diff(options);
	return code;
}
