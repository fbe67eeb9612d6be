// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/trace_options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/size_class.h"
#include "base/log.h"
#include "base/units.h"
#include "cmd/cmd.h"
#include "ingest/live_set.h"
#include "ingest/tracer.h"

static const char help[] =
	"Usage: memdrift trace [TARGET] [OPTIONS]\n"
	"\n"
	"Traces allocator calls and memory mappings, then reports who holds the memory, what "
	"asked\n"
	"for it and whether it grows. Needs root and Linux 6.1 or newer.\n"
	"\n"
	"Target (without one: the whole host, mappings only unless --malloc is given)\n"
	"  -p, --pid PID[,PID...]   running processes, and the children they fork\n"
	"      --cgroup PATH        the processes of a control group and of those below it\n"
	"      --comm NAME          processes of this name, running now or started during the "
	"trace\n"
	"  -- COMMAND [ARGS...]     runs a command and covers it and its children from the start\n"
	"\n"
	"How long, and how much\n"
	"  -d, --duration TIME      stop after this time (30, 30s, 5m); else at ^C or when the "
	"targets end\n"
	"  -i, --interval TIME      sample and aggregate this often (default 1s)\n"
	"      --malloc             with the whole host as target: count allocator calls too\n"
	"      --budget PERCENT     keep what the allocator probes cost a running target to this "
	"share of\n"
	"                           its CPU time (default 5%): above it they come in bursts, and "
	"the\n"
	"                           figures are estimates; \"none\": no limit, as for COMMAND "
	"unless\n"
	"                           it is given\n"
	"      --object FILE        a program or library with an allocator that has other names, "
	"or\n"
	"                           no symbols; then\n"
	"      --symbols LIST       its functions by their roles: malloc=my_alloc,free=my_free, or "
	"by\n"
	"                           address: calloc=0x1240 (as objdump shows it); both may be "
	"repeated\n"
	"      --ring-size SIZE     ring buffer for records, a power of two (default 64M)\n"
	"      --strict             exit with 3 when anything was lost\n"
	"\n"
	"What is outstanding (not freed)\n"
	"      --live               follow every allocation from its return to its free\n"
	"      --no-stacks          without its call stack: at the lowest cost\n"
	"      --temporary          also count what is freed before its thread's next allocation\n"
	"      --older AGE          list only what is at least this old\n"
	"      --min-size SIZE, --max-size SIZE  list only requests of these sizes\n"
	"      --top N              list so many groups (default 10)\n"
	"      --live-memory SIZE   memory of the live set, a power of two (default 64M: 700,000\n"
	"                           allocations; beyond that it becomes a sample)\n"
	"\n"
	"Report\n"
	"      --print              a report after each interval as well\n"
	"  -o, --output FILE        write the report to FILE instead of stdout\n"
	"      --json               one JSON object instead of text; with COMMAND it needs -o\n"
	"      --large SIZES        sizes of large mappings to list (default 64M,128M)\n"
	"      --buckets RULES      waste by size class, by the rules of glibc, jemalloc or go; go "
	"counts\n"
	"                           Go's own allocations (default log2: powers of two, no waste)\n"
	"      --all                list everything, not only the largest\n"
	"      --folded FILE        folded stacks for flame graphs\n"
	"      --weight KIND        of folded stacks: mmap_bytes (default), unreleased_bytes,\n"
	"                           alloc_bytes, alloc_count, live_bytes (with --live)\n"
	"  -v, --verbose            say more on stderr; twice for libbpf's and the kernel's words\n"
	"  -h, --help               this text\n"
	"\n"
	"Examples\n"
	"  sudo memdrift trace -p $(pidof redis-server) -d 30s\n"
	"  sudo memdrift trace -- ls -R /usr\n"
	"  sudo memdrift trace --cgroup /system.slice/ssh.service -d 1m --json > ssh.json\n"
	"  sudo memdrift trace --folded stacks.folded -d 10s\n"
	"  sudo memdrift trace --live --older 1m -d 5m -p $(pidof redis-server)\n"
	"  sudo memdrift trace --live --folded leak.folded --weight live_bytes -- ls -R /usr\n"
	"  sudo memdrift trace -p 812 --object /opt/db/bin/db --symbols "
	"malloc=db_alloc,free=db_free\n"
	"\n"
	"Exit codes: 0 ok, 1 failed, 2 wrong usage, 3 something was lost and --strict was given.\n";

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
	OPT_HOLD_READER,
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
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	/* For tests; not in the help text. */
	{"dump-spaces", required_argument, NULL, OPT_DUMP_SPACES},
	{"hold-reader", no_argument, NULL, OPT_HOLD_READER},
	{NULL, 0, NULL, 0},
};

/* Rows of outstanding allocations, with a line of stack each: a screen. */
#define TOP_OUTSTANDING 10

static int usage(const char *what, const char *value, const char *wanted)
{
	log_error("%s \"%s\": %s; see `memdrift trace --help`", what, value, wanted);
	return EXIT_USAGE;
}

static int set_target(struct trace_options *options, enum trace_target target)
{
	if (options->target != TRACE_HOST && options->target != target) {
		log_error(
			"-p, --cgroup, --comm and -- COMMAND exclude each other: name one target");
		return EXIT_USAGE;
	}
	options->target = target;
	return -1;
}

static int parse_pids(struct trace_options *options, char *text)
{
	char *save = NULL, *end;

	for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		unsigned long pid;

		errno = 0;
		pid = strtoul(word, &end, 10);
		if (errno || *end || *word == '-' || !pid || pid > 4194304)
			return usage("-p", word, "a PID is a number from 1 to 4194304");
		if (options->pid_count == TRACE_PIDS_MAX)
			return usage("-p", word, "that is more than 256 PIDs; use --cgroup");
		options->pids[options->pid_count++] = (uint32_t)pid;
	}
	if (!options->pid_count)
		return usage("-p", "", "at least one PID is needed");
	return set_target(options, TRACE_PIDS);
}

static int parse_large(struct trace_options *options, char *text)
{
	char *save = NULL;

	options->large_count = 0;
	for (char *word = strtok_r(text, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		uint64_t bytes;

		if (units_parse_bytes(word, &bytes) || bytes < 4096 || bytes % 4096)
			return usage("--large", word,
				     "a size is a multiple of 4096, such as 64M or 1G");
		if (options->large_count == TRACE_LARGE_MAX)
			return usage("--large", word, "at most 16 sizes");
		options->large[options->large_count++] = bytes;
	}
	if (!options->large_count)
		return usage("--large", "", "at least one size is needed");
	return -1;
}

static int parse_budget(struct trace_options *options, const char *text)
{
	options->budget_given = true;
	if (!strcmp(text, "none")) {
		options->budget = -1;
		return -1;
	}
	if (units_parse_percent(text, &options->budget))
		return usage("--budget", text, "a share of CPU time such as 5%, or none");
	return -1;
}

static int parse_weight(struct trace_options *options, const char *text)
{
	switch (folded_weight__parse(text, &options->weight)) {
	case 0:
		return -1;
	case -ENOTSUP:
		return usage("--weight", text, "this version cannot weigh stacks by that yet");
	default:
		return usage("--weight", text,
			     "one of mmap_bytes, unreleased_bytes, alloc_bytes, alloc_count, "
			     "live_bytes");
	}
}

static int parse_time(const char *option, const char *text, double least, double most,
		      double *seconds)
{
	if (units_parse_seconds(text, seconds) || *seconds < least || !(*seconds <= most))
		return usage(option, text, "a time such as 500ms, 30s, 5m or 2h");
	return -1;
}

static int parse_ring(struct trace_options *options, const char *text)
{
	uint64_t bytes;

	if (units_parse_bytes(text, &bytes) || bytes < 4096 || bytes > 1ull << 30 ||
	    bytes & (bytes - 1))
		return usage("--ring-size", text, "a power of two from 4K to 1G");
	options->ring_bytes = bytes;
	return -1;
}

static int parse_size(const char *option, const char *text, uint64_t *bytes)
{
	if (units_parse_bytes(text, bytes))
		return usage(option, text, "a size such as 100, 4K or 1M");
	return -1;
}

static int parse_top(struct trace_options *options, const char *text)
{
	char *end;
	unsigned long top = strtoul(text, &end, 10);

	if (!*text || *end || *text == '-' || !top || top > 1000000)
		return usage("--top", text, "a number of rows");
	options->top = (uint32_t)top;
	return -1;
}

static int parse_live_memory(struct trace_options *options, const char *text)
{
	uint64_t bytes;

	if (units_parse_bytes(text, &bytes) || bytes < LIVE_BYTES_MIN || bytes > LIVE_BYTES_MAX ||
	    bytes & (bytes - 1))
		return usage("--live-memory", text, "a power of two from 64K to 256M");
	options->live_bytes = bytes;
	return -1;
}

static int parse_option(struct trace_options *options, int option)
{
	static int verbosity;

	switch (option) {
	case 'p':
		return parse_pids(options, optarg);
	case 'd':
		return parse_time("-d", optarg, 0.001, 1e9, &options->duration_s);
	case 'i':
		return parse_time("-i", optarg, 0.01, 86400, &options->interval_s);
	case 'o':
		options->output = optarg;
		return -1;
	case 'v':
		log_set_level(++verbosity > 1 ? LOG_DEBUG : LOG_INFO);
		return -1;
	case 'h':
		fputs(help, stdout);
		return EXIT_OK;
	case OPT_CGROUP:
		options->cgroup = optarg;
		return set_target(options, TRACE_CGROUP);
	case OPT_COMM:
		if (!*optarg || strlen(optarg) > 15)
			return usage("--comm", optarg, "the kernel keeps names of 1 to 15 bytes");
		snprintf(options->comm, sizeof(options->comm), "%s", optarg);
		return set_target(options, TRACE_COMM);
	case OPT_MALLOC:
		options->malloc = true;
		return -1;
	case OPT_BUDGET:
		return parse_budget(options, optarg);
	case OPT_RING_SIZE:
		return parse_ring(options, optarg);
	case OPT_STRICT:
		options->strict = true;
		return -1;
	case OPT_JSON:
		options->json = true;
		return -1;
	case OPT_LARGE:
		return parse_large(options, optarg);
	case OPT_BUCKETS:
		if (size_rules__parse(optarg, &options->size_rules))
			return usage("--buckets", optarg, "one of log2, glibc, jemalloc, go");
		return -1;
	case OPT_ALL:
		options->all = true;
		return -1;
	case OPT_FOLDED:
		options->folded = optarg;
		return -1;
	case OPT_WEIGHT:
		return parse_weight(options, optarg);
	case OPT_OBJECT:
		return named_options__object(&options->named, optarg);
	case OPT_SYMBOLS:
		return named_options__symbols(&options->named, optarg);
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
		return parse_live_memory(options, optarg);
	case OPT_TEMPORARY:
		options->temporary = true;
		return -1;
	case OPT_OLDER:
		return parse_time("--older", optarg, 0, 1e9, &options->live_filter.older_s);
	case OPT_MIN_SIZE:
		return parse_size("--min-size", optarg, &options->live_filter.min_bytes);
	case OPT_MAX_SIZE:
		return parse_size("--max-size", optarg, &options->live_filter.max_bytes);
	case OPT_TOP:
		return parse_top(options, optarg);
	case OPT_PRINT:
		options->print = true;
		return -1;
	case OPT_HOLD_READER:
		options->hold_reader = true;
		return -1;
	default:
		/* getopt has said what is wrong. */
		fputs("See `memdrift trace --help`.\n", stderr);
		return EXIT_USAGE;
	}
}

bool trace_options__counts_mallocs(const struct trace_options *options)
{
	return options->target != TRACE_HOST || options->malloc;
}

bool trace_options__weighs_calls(const struct trace_options *options)
{
	return options->folded &&
	       (options->weight == FOLDED_ALLOC_BYTES || options->weight == FOLDED_ALLOC_COUNT);
}

static bool live_option_given(const struct trace_options *options)
{
	const struct live_filter *filter = &options->live_filter;

	return filter->older_s > 0 || filter->min_bytes || filter->max_bytes != UINT64_MAX ||
	       options->no_stacks || options->temporary ||
	       (options->folded && options->weight == FOLDED_LIVE_BYTES);
}

static int check_combination(const struct trace_options *options)
{
	if (options->json && options->target == TRACE_COMMAND && !options->output) {
		log_error("--json with a command needs -o FILE: stdout is the command's own");
		return EXIT_USAGE;
	}
	if (!options->live && live_option_given(options)) {
		log_error("--older, --min-size, --max-size, --no-stacks, --temporary and "
			  "--weight live_bytes are about outstanding allocations: add --live");
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
	if (trace_options__weighs_calls(options) && !trace_options__counts_mallocs(options)) {
		log_error("--weight alloc_... needs allocator probes: name a target, or add "
			  "--malloc");
		return EXIT_USAGE;
	}
	if (options->size_rules != SIZE_RULES_LOG2 && !trace_options__counts_mallocs(options)) {
		log_error("--buckets %s needs allocator probes: name a target, or add --malloc",
			  size_rules__name(options->size_rules));
		return EXIT_USAGE;
	}
	return -1;
}

int trace_options__parse(int argc, char **argv, struct trace_options *options)
{
	static const uint64_t large_default[] = LARGE_SIZES_DEFAULT;
	int option, code;

	memset(options, 0, sizeof(*options));
	options->duration_s = -1;
	options->interval_s = 1;
	options->budget = 0.05;
	options->weight = FOLDED_MMAP_BYTES;
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
		return usage("--", "", "a command must follow");
	if (optind < argc) {
		if (strcmp(argv[optind - 1], "--"))
			return usage("argument", argv[optind],
				     "not an option; a command to run comes after --");
		code = set_target(options, TRACE_COMMAND);
		if (code >= 0)
			return code;
		options->command = argv + optind;
		if (!options->budget_given)
			options->budget = -1;
	}
	code = named_options__check(&options->named);
	return code >= 0 ? code : check_combination(options);
}

void trace_options__free(struct trace_options *options)
{
	named_options__free(&options->named);
}
