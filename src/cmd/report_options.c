// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/report_options.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "output/profile.h"
#include "output/result.h"

static const char help[] =
	"Usage: memdrift report --diff A B [OPTIONS]\n"
	"\n"
	"Says what grew and what shrank between two reports of `memdrift trace --json`: RSS, and\n"
	"outstanding allocations by stack and size when both were traced with --live. Processes "
	"are\n"
	"matched by PID and start time, else by name and executable. Needs no root.\n"
	"\n"
	"      --diff A B           the reports to compare: what B has more than A is growth\n"
	"      --json               one JSON object instead of text, with everything in it\n"
	"  -o, --output FILE        write the report to FILE instead of stdout\n"
	"      --top N              list so many groups of a process (default 10)\n"
	"      --all                list everything, not only the largest\n"
	"      --folded FILE        differential folded stacks, \"root;...;leaf a b\", for\n"
	"                           flamegraph.pl, as difffolded.pl writes them\n"
	"      --weight live_bytes  of folded stacks: the only one that reports carry by stack\n"
	"  -h, --help               this text\n"
	"\n"
	"Example: what one run of a program keeps that another does not\n"
	"  sudo memdrift trace --live --json -o a.json -- ls /usr\n"
	"  sudo memdrift trace --live --json -o b.json -- ls -R /usr/share/doc\n"
	"  memdrift report --diff a.json b.json --folded diff.folded\n"
	"\n"
	"Exit codes: 0 ok, 1 failed, 2 wrong usage.\n";

enum { OPT_DIFF = 256, OPT_DB, OPT_JSON, OPT_ALL, OPT_TOP, OPT_FOLDED, OPT_WEIGHT };

static const struct option long_options[] = {
	{"diff", required_argument, NULL, OPT_DIFF},
	{"db", required_argument, NULL, OPT_DB},
	{"json", no_argument, NULL, OPT_JSON},
	{"output", required_argument, NULL, 'o'},
	{"top", required_argument, NULL, OPT_TOP},
	{"all", no_argument, NULL, OPT_ALL},
	{"folded", required_argument, NULL, OPT_FOLDED},
	{"weight", required_argument, NULL, OPT_WEIGHT},
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
	return -1;
}

static int parse_weight(const char *text)
{
	enum profile_weight weight;

	if (profile_weight__parse(text, &weight) || weight != WEIGHT_LIVE_BYTES)
		return usage("--weight", text, "two reports can be compared by live_bytes only");
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
		log_error("--db: this version keeps no history to report on; see `memdrift report "
			  "--help`");
		return EXIT_USAGE;
	case OPT_JSON:
		options->json = true;
		return -1;
	case OPT_ALL:
		options->all = true;
		return -1;
	case OPT_TOP:
		return parse_top(options, optarg);
	case OPT_FOLDED:
		options->folded = optarg;
		return -1;
	case OPT_WEIGHT:
		return parse_weight(optarg);
	default:
		/* getopt has said what is wrong. */
		fputs("See `memdrift report --help`.\n", stderr);
		return EXIT_USAGE;
	}
}

int report_options__parse(int argc, char **argv, struct report_options *options)
{
	int option, code;

	*options = (struct report_options){.top = TOP_GROUPS};
	optind = 1;
	while ((option = getopt_long(argc, argv, "o:h", long_options, NULL)) != -1) {
		code = parse_option(options, option);
		if (code >= 0)
			return code;
	}
	if (!options->a && optind < argc)
		return usage("argument", argv[optind],
			     "this version reads no recordings; --diff A B compares two reports");
	if (!options->a) {
		log_error("nothing to report on: this version compares two reports, with --diff A "
			  "B; see `memdrift report --help`");
		return EXIT_USAGE;
	}
	if (optind == argc)
		return usage("--diff", options->a, "a second report must follow");
	options->b = argv[optind++];
	if (optind < argc)
		return usage("argument", argv[optind], "--diff takes two reports");
	return -1;
}
