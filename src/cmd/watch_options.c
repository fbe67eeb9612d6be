// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/watch_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/units.h"
#include "cmd/cmd.h"

static const char help[] =
	"Usage: memdrift watch [OPTIONS]\n"
	"\n"
	"Left running: follows the memory of every process, says which one drifts, since when,\n"
	"which of the known causes it is and where it leads, and is silent about the rest. Each\n"
	"incident is a line of JSON on stdout and stays in the database with its evidence: the\n"
	"call stacks that grow. Processes are followed over restarts by unit and executable.\n"
	"\n"
	"      --db FILE            the history (default /var/lib/memdrift/watch.db); its\n"
	"                           directory is made when it is missing\n"
	"      --max-db SIZE        bound of it: the oldest goes first (default 1G)\n"
	"      --cgroup PATH        only the processes of a control group and of those below it\n"
	"      --interval TIME      between two passes over /proc (default 10s)\n"
	"      --listen ADDR:PORT   metrics for Prometheus, such as 127.0.0.1:9753; \":9753\" is\n"
	"                           this host alone, \"*:9753\" every address\n"
	"      --on-incident CMD    run by sh for each incident, with its JSON on standard input\n"
	"                           and MEMDRIFT_VERDICT, _STATE, _UNIT, _PID... in its "
	"environment\n"
	"      --no-evidence        do not trace: no probe is ever placed\n"
	"      --mappings           keep the tracepoints of mapping calls on, for their call "
	"stacks;\n"
	"                           each system call of the host pays for it: how much is shown\n"
	"      --once               one pass: what there is, and what its history says; writes\n"
	"                           nothing to the database\n"
	"      --json               with --once: one JSON object\n"
	"      --speed FACTOR       for tests: a second counts as so many (default 1)\n"
	"  -v, --verbose            say more on stderr\n"
	"  -h, --help               this text\n"
	"\n"
	"Examples\n"
	"  sudo memdrift watch --listen 127.0.0.1:9753\n"
	"  sudo memdrift watch --db /tmp/w.db --on-incident 'mail -s memory root'\n"
	"  sudo memdrift watch --once\n"
	"  sudo memdrift report --db /var/lib/memdrift/watch.db\n"
	"\n"
	"SIGTERM ends it, SIGHUP makes it open the database again. It costs less than 1 % of a\n"
	"CPU and 40 MB for 1,000 processes. Exit codes: 0 ok, 1 failed, 2 wrong usage.\n";

enum {
	OPT_DB = 256,
	OPT_MAX_DB,
	OPT_CGROUP,
	OPT_INTERVAL,
	OPT_LISTEN,
	OPT_ON_INCIDENT,
	OPT_NO_EVIDENCE,
	OPT_MAPPINGS,
	OPT_ONCE,
	OPT_JSON,
	OPT_SPEED
};

static const struct option long_options[] = {
	{"db", required_argument, NULL, OPT_DB},
	{"max-db", required_argument, NULL, OPT_MAX_DB},
	{"cgroup", required_argument, NULL, OPT_CGROUP},
	{"interval", required_argument, NULL, OPT_INTERVAL},
	{"listen", required_argument, NULL, OPT_LISTEN},
	{"on-incident", required_argument, NULL, OPT_ON_INCIDENT},
	{"no-evidence", no_argument, NULL, OPT_NO_EVIDENCE},
	{"mappings", no_argument, NULL, OPT_MAPPINGS},
	{"once", no_argument, NULL, OPT_ONCE},
	{"json", no_argument, NULL, OPT_JSON},
	{"speed", required_argument, NULL, OPT_SPEED},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{NULL, 0, NULL, 0},
};

/* A database that holds nothing is no history. */
#define MAX_DB_BYTES_MIN (1ull << 20)
/* Shorter ones are no intervals but a load; longer ones miss what a day does. */
#define INTERVAL_S_MIN 0.05
#define INTERVAL_S_MAX 3600
/* Two weeks in two minutes. */
#define SPEED_MAX 10000

static int usage(const char *what)
{
	log_error("%s; see `memdrift watch --help`", what);
	return EXIT_USAGE;
}

static int parse_interval(struct watch_options *options, const char *text)
{
	if (!units_parse_seconds(text, &options->interval_s) &&
	    options->interval_s >= INTERVAL_S_MIN && options->interval_s <= INTERVAL_S_MAX)
		return -1;
	log_error("--interval \"%s\": a time from 50ms to 1h, such as 10s", text);
	return EXIT_USAGE;
}

static int parse_max_db(struct watch_options *options, const char *text)
{
	if (!units_parse_bytes(text, &options->max_db_bytes) &&
	    options->max_db_bytes >= MAX_DB_BYTES_MIN)
		return -1;
	log_error("--max-db \"%s\": a size of 1M or more, such as 1G", text);
	return EXIT_USAGE;
}

static int parse_speed(struct watch_options *options, const char *text)
{
	char *end;

	errno = 0;
	options->speed = strtod(text, &end);
	if (!errno && end != text && !*end && options->speed >= 1 && options->speed <= SPEED_MAX)
		return -1;
	log_error("--speed \"%s\": a number from 1 to %d", text, SPEED_MAX);
	return EXIT_USAGE;
}

static int parse_option(struct watch_options *options, int option)
{
	switch (option) {
	case OPT_DB:
		options->db = optarg;
		return *optarg ? -1 : usage("--db \"\": a file has a name");
	case OPT_MAX_DB:
		return parse_max_db(options, optarg);
	case OPT_CGROUP:
		options->cgroup = optarg;
		return *optarg ? -1
			       : usage("--cgroup \"\": a group has a name, such as /system.slice");
	case OPT_INTERVAL:
		return parse_interval(options, optarg);
	case OPT_LISTEN:
		options->listen = optarg;
		return -1;
	case OPT_ON_INCIDENT:
		options->on_incident = optarg;
		return -1;
	case OPT_NO_EVIDENCE:
		options->no_evidence = true;
		return -1;
	case OPT_MAPPINGS:
		options->mappings = true;
		return -1;
	case OPT_ONCE:
		options->once = true;
		return -1;
	case OPT_JSON:
		options->json = true;
		return -1;
	case OPT_SPEED:
		return parse_speed(options, optarg);
	case 'v':
		log_set_level(LOG_INFO);
		return -1;
	case 'h':
		fputs(help, stdout);
		return EXIT_OK;
	default:
		/* getopt has said what is wrong. */
		fputs("See `memdrift watch --help`.\n", stderr);
		return EXIT_USAGE;
	}
}

int watch_options__parse(int argc, char **argv, struct watch_options *options)
{
	int option, code;

	*options = (struct watch_options){
		.db = WATCH_DB_DEFAULT, .interval_s = WATCH_INTERVAL_S_DEFAULT, .speed = 1};
	optind = 1;
	while ((option = getopt_long(argc, argv, "vh", long_options, NULL)) != -1) {
		code = parse_option(options, option);
		if (code >= 0)
			return code;
	}
	if (optind < argc) {
		log_error("\"%s\" is no option; see `memdrift watch --help`", argv[optind]);
		return EXIT_USAGE;
	}
	if (options->json && !options->once)
		return usage("--json goes with --once; incidents are JSON in any case");
	if (options->mappings && options->no_evidence)
		return usage("--mappings and --no-evidence exclude each other");
	return -1;
}
