// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/analyze_options.h"

#include <getopt.h>
#include <stdio.h>

#include "base/log.h"
#include "cmd/cmd.h"

static const char help[] =
	"Usage: memdrift analyze SERIES.jsonl... [--json]\n"
	"\n"
	"Says which recorded series of a process's memory drift, why, and since when: what watch\n"
	"would say, on its own export, another host's, or a simulation. A file has JSON lines\n"
	"(gzip or not): of each series a header, then samples in time order; - is standard input.\n"
	"\n"
	"      --json     one JSON line for each series instead of a table, with every alarm that\n"
	"                 watch would have raised\n"
	"      --all      in the table: those that do not drift, too\n"
	"  -v, --verbose  say more on stderr\n"
	"  -h, --help     this text\n"
	"\n"
	"Lines of a file:\n"
	"  {\"series\": \"web\", \"interval_s\": 60, \"start_unix\": 1700000000, \"cpus\": 8}\n"
	"  {\"series\": \"web\", \"t_s\": 0, \"pid\": 812, \"start_time\": 77, \"rss_bytes\": "
	"95e6}\n"
	"\n"
	"A series drifts when it will have grown by 24 MB, or 2 % of what it holds if that is "
	"more,\n"
	"in the next two weeks. Exit codes: 0 ok, 1 failed, 2 wrong usage.\n";

enum { OPT_JSON = 256, OPT_ALL };

static const struct option long_options[] = {
	{"json", no_argument, NULL, OPT_JSON},
	{"all", no_argument, NULL, OPT_ALL},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int parse_option(struct analyze_options *options, int option)
{
	switch (option) {
	case 'v':
		log_set_level(LOG_DEBUG);
		return -1;
	case 'h':
		fputs(help, stdout);
		return EXIT_OK;
	case OPT_JSON:
		options->json = true;
		return -1;
	case OPT_ALL:
		options->all = true;
		return -1;
	default:
		/* getopt has said what is wrong. */
		fputs("See `memdrift analyze --help`.\n", stderr);
		return EXIT_USAGE;
	}
}

int analyze_options__parse(int argc, char **argv, struct analyze_options *options)
{
	int option, code;

	*options = (struct analyze_options){0};
	optind = 1;
	while ((option = getopt_long(argc, argv, "vh", long_options, NULL)) != -1) {
		code = parse_option(options, option);
		if (code >= 0)
			return code;
	}
	options->paths = argv + optind;
	options->path_count = argc - optind;
	if (options->path_count)
		return -1;
	log_error("nothing to analyze: name files of series, or - for standard input; see "
		  "`memdrift analyze --help`");
	return EXIT_USAGE;
}
