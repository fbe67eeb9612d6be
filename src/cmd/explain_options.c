// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/explain_options.h"

#include <getopt.h>
#include <stdio.h>

#include "analysis/advice.h"
#include "base/log.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "cmd/pid_option.h"

static const char help[] =
	"Usage: memdrift explain -p PID [OPTIONS]\n"
	"       memdrift explain --cgroup PATH [--json]\n"
	"\n"
	"Says what every resident byte of a running process is: malloc's arenas, chunks in use "
	"and\n"
	"free, the Go heap, jemalloc, stacks, files and the rest, what it was checked against, "
	"and\n"
	"what would help. It reads /proc and the process's memory; no probe is placed, and the\n"
	"process runs on.\n"
	"\n"
	"  -p, --pid PID       the process; of a thread's id its process is taken\n"
	"      --cgroup PATH   instead: all that a control group's memory usage is made of\n"
	"      --json          one JSON object instead of text, with everything in it\n"
	"      --diff FILE     side by side with an earlier --json, which may be of another "
	"process\n"
	"                      or build; with --json a JSON object of differences\n"
	"      --margin SIZE   to leave free below the limit when GOMEMLIMIT is advised\n"
	"                      (default 400M)\n"
	"      --all           every arena and size class, and how each component is known\n"
	"  -v, --verbose       say more on stderr\n"
	"  -h, --help          this text\n"
	"\n"
	"Example: what the oldest process of the host holds, and what has changed a minute later\n"
	"  sudo memdrift explain -p 1\n"
	"  sudo memdrift explain -p 1 --json > then.json\n"
	"  sudo memdrift explain -p 1 --diff then.json\n"
	"\n"
	"Reading marks the pages that are read as accessed, which is all that it does to the\n"
	"process. Exit codes: 0 ok, 1 failed, 2 wrong usage.\n";

enum { OPT_CGROUP = 256, OPT_JSON, OPT_DIFF, OPT_MARGIN, OPT_ALL };

static const struct option long_options[] = {
	{"pid", required_argument, NULL, 'p'},
	{"cgroup", required_argument, NULL, OPT_CGROUP},
	{"json", no_argument, NULL, OPT_JSON},
	{"diff", required_argument, NULL, OPT_DIFF},
	{"margin", required_argument, NULL, OPT_MARGIN},
	{"all", no_argument, NULL, OPT_ALL},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

static int usage(const char *what)
{
	log_error("%s; see `memdrift explain --help`", what);
	return EXIT_USAGE;
}

static int parse_margin(struct explain_options *options, const char *text)
{
	/* More than any limit of memory there is would only overflow sums. */
	if (!units_parse_bytes(text, &options->margin_bytes) && options->margin_bytes <= 1ull << 56)
		return -1;
	log_error("--margin \"%s\": a size is a number with K, M, G or T, such as 400M", text);
	return EXIT_USAGE;
}

static int parse_option(struct explain_options *options, int option)
{
	switch (option) {
	case 'p':
		return pid_option__parse(optarg, &options->pid);
	case 'v':
		log_set_level(LOG_DEBUG);
		return -1;
	case 'h':
		fputs(help, stdout);
		return EXIT_OK;
	case OPT_CGROUP:
		options->cgroup = optarg;
		return -1;
	case OPT_JSON:
		options->json = true;
		return -1;
	case OPT_DIFF:
		options->diff = optarg;
		return -1;
	case OPT_MARGIN:
		return parse_margin(options, optarg);
	case OPT_ALL:
		options->all = true;
		return -1;
	default:
		/* getopt has said what is wrong. */
		fputs("See `memdrift explain --help`.\n", stderr);
		return EXIT_USAGE;
	}
}

int explain_options__parse(int argc, char **argv, struct explain_options *options)
{
	int option, code;

	*options = (struct explain_options){.margin_bytes = MEMLIMIT_MARGIN_BYTES};
	optind = 1;
	while ((option = getopt_long(argc, argv, "p:vh", long_options, NULL)) != -1) {
		code = parse_option(options, option);
		if (code >= 0)
			return code;
	}
	if (optind < argc) {
		log_error("\"%s\" is no option; see `memdrift explain --help`", argv[optind]);
		return EXIT_USAGE;
	}
	if (!options->pid && !options->cgroup)
		return usage("nothing to explain: name a process with -p PID, or a control group "
			     "with --cgroup PATH");
	if (options->cgroup && !*options->cgroup)
		return usage("--cgroup \"\": a group has a name, such as / for all");
	if (options->pid && options->cgroup)
		return usage("-p and --cgroup exclude each other");
	if (options->cgroup && options->diff)
		return usage("--diff compares processes; it needs -p PID");
	return -1;
}
