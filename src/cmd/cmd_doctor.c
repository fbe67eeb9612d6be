// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "base/log.h"
#include "base/text.h"
#include "census/host.h"
#include "cmd/cmd.h"
#include "cmd/doctor_process.h"
#include "cmd/named_options.h"
#include "cmd/pid_option.h"
#include "probe/feature.h"

static const char help[] =
	"Usage: memdrift doctor [-p PID [--object FILE --symbols LIST]...] [--json]\n"
	"\n"
	"Says what this kernel, these privileges and this environment allow, each thing tried for\n"
	"real on memdrift itself. With -p also where the allocator of a process would be probed "
	"and\n"
	"what a hit would cost it. Nothing is changed. Works without root, and then says what it\n"
	"could not try.\n"
	"\n"
	"  -p, --pid PID       also look into this process: its allocators, by kind\n"
	"      --object FILE   a program or library with an allocator of other names; then\n"
	"      --symbols LIST  its functions, as `memdrift trace --help` says\n"
	"      --json          one JSON object instead of text\n"
	"  -v, --verbose       say more on stderr\n"
	"  -h, --help          this text\n"
	"\n"
	"Examples\n"
	"  sudo memdrift doctor\n"
	"  sudo memdrift doctor -p $(pidof redis-server)\n"
	"  memdrift doctor --json | jq '.features[] | select(.available == false)'\n"
	"\n"
	"Exit codes: 0 ok, 1 failed (no such process), 2 wrong usage.\n";

struct doctor_options {
	uint32_t pid; /* 0: none */
	bool json;
	struct named_options named;
};

struct doctor_report {
	struct utsname host;
	int trace_err; /* 0: `memdrift trace` works here */
	char trace_message[FEATURE_MESSAGE_MAX];
	struct feature features[FEATURES];
	struct doctor_process *process; /* NULL: none asked for */
};

static int parse_options(int argc, char **argv, struct doctor_options *options)
{
	static const struct option long_options[] = {
		{"pid", required_argument, NULL, 'p'},
		{"json", no_argument, NULL, 'j'},
		{"object", required_argument, NULL, 'O'},
		{"symbols", required_argument, NULL, 'S'},
		{"verbose", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option, code;

	optind = 1;
	while ((option = getopt_long(argc, argv, "p:vh", long_options, NULL)) != -1) {
		switch (option) {
		case 'p':
			code = pid_option__parse(optarg, &options->pid);
			if (code >= 0)
				return code;
			break;
		case 'j':
			options->json = true;
			break;
		case 'O':
			code = named_options__object(&options->named, optarg);
			if (code >= 0)
				return code;
			break;
		case 'S':
			code = named_options__symbols(&options->named, optarg);
			if (code >= 0)
				return code;
			break;
		case 'v':
			log_set_level(LOG_DEBUG);
			break;
		case 'h':
			fputs(help, stdout);
			return EXIT_OK;
		default:
			fputs("See `memdrift doctor --help`.\n", stderr);
			return EXIT_USAGE;
		}
	}
	if (optind < argc) {
		log_error("\"%s\" is no option; see `memdrift doctor --help`", argv[optind]);
		return EXIT_USAGE;
	}
	if (options->named.objects.count && !options->pid) {
		log_error("--object needs -p PID: the process that has mapped it");
		return EXIT_USAGE;
	}
	return named_options__check(&options->named);
}

static json_t *features_json(const struct doctor_report *report)
{
	json_t *features = json_array();

	for (int i = 0; i < FEATURES; i++) {
		const struct feature *f = &report->features[i];
		json_t *available = f->state == FEATURE_UNKNOWN
					    ? json_null()
					    : json_boolean(f->state == FEATURE_YES);

		json_array_append_new(features,
				      json_pack("{s:s, s:o, s:s, s:s?, s:s?, s:b}", "name", f->name,
						"available", available, "detail", f->detail,
						"advice", f->advice[0] ? f->advice : NULL, "since",
						f->since, "required", f->required));
	}
	return features;
}

static int print_json(const struct doctor_report *report)
{
	json_t *root, *process = NULL;
	int err = -ENOMEM;

	if (report->process)
		process = doctor_process__json(report->process);
	root = json_pack("{s:s, s:s, s:{s:s, s:i, s:I}, s:{s:b, s:s?}, s:o, s:o?}", "schema",
			 "memdrift.doctor/1", "version", MEMDRIFT_VERSION, "host", "kernel",
			 report->host.release, "cpus_online", host__cpus_online(), "page_bytes",
			 (json_int_t)host__page_bytes(), "trace", "available", !report->trace_err,
			 "why", report->trace_err ? report->trace_message : NULL, "features",
			 features_json(report), "process", process);
	if (root && !json_dumpf(root, stdout, JSON_INDENT(2)) && putchar('\n') != EOF)
		err = 0;
	json_decref(root);
	return err;
}

static void print_features(const struct doctor_report *report, bool required)
{
	static const char *const states[] = {"?", "no", "yes"};

	for (int i = 0; i < FEATURES; i++) {
		const struct feature *f = &report->features[i];

		if (f->required != required)
			continue;
		printf("  %-3s  %-21s  %-5s  %s%s%s\n", states[f->state], f->name,
		       f->since ? f->since : "", f->detail, f->advice[0] ? "; " : "", f->advice);
	}
}

static int print_text(const struct doctor_report *report)
{
	printf("memdrift %s on Linux %s, %d CPUs: %s\n", MEMDRIFT_VERSION, report->host.release,
	       host__cpus_online(),
	       report->trace_err ? report->trace_message : "`memdrift trace` works here");
	printf("\nNeeded by `memdrift trace` (? not known; the number is the first kernel with "
	       "it)\n");
	print_features(report, true);
	printf("\nUsed where there, or good to know\n");
	print_features(report, false);
	if (report->process) {
		putchar('\n');
		doctor_process__print(report->process, stdout);
	}
	return 0;
}

int cmd_doctor(int argc, char **argv)
{
	struct doctor_options options = {0};
	struct doctor_report report = {0};
	int code = parse_options(argc, argv, &options), err = 0;

	if (code >= 0) {
		named_options__free(&options.named);
		return code;
	}
	log_bridge_libbpf();
	uname(&report.host);
	/* Before the rest: a PID that is none is told at once. */
	report.trace_err = feature__require(report.trace_message, sizeof(report.trace_message));
	if (options.pid)
		err = doctor_process__read(options.pid, !report.trace_err, &options.named.objects,
					   &report.process);
	if (options.pid && !err)
		named_options__warn_unseen(&options.named);
	if (!err) {
		feature__probe_all(report.features);
		err = options.json ? print_json(&report) : print_text(&report);
		if (fflush(stdout) || ferror(stdout) || err) {
			log_error("cannot write the report: %s", strerror(err ? -err : errno));
			err = -EIO;
		}
	}
	doctor_process__free(report.process);
	named_options__free(&options.named);
	return err ? EXIT_FAILED : EXIT_OK;
}
