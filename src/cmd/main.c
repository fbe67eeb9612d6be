// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdio.h>
#include <string.h>

#include "cmd/cmd.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
	{"trace", cmd_trace, "trace what processes ask of their allocator and of the kernel"},
	{"explain", cmd_explain, "say what every resident byte of a process is, from outside"},
	{"watch", cmd_watch, "follow all processes for months, and say which one drifts and why"},
	{"report", cmd_report, "say what changed between two reports of trace"},
	{"analyze", cmd_analyze, "say which recorded series of memory drift, and why"},
	{"doctor", cmd_doctor, "say what works on this host, and why the rest does not"},
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

static void print_help(FILE *out)
{
	fprintf(out,
		"memdrift %s: which allocator or mapping holds a process's memory, who asked "
		"for it,\nand is it still growing?\n\n"
		"Usage: memdrift COMMAND [OPTIONS]\n\nCommands:\n",
		MEMDRIFT_VERSION);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
	fprintf(out, "\nExamples:\n"
		     "  sudo memdrift trace -p $(pidof redis-server) -d 30s\n"
		     "  sudo memdrift trace -- ls -R /usr\n"
		     "  sudo memdrift explain -p $(pidof redis-server)\n"
		     "  sudo memdrift watch --listen 127.0.0.1:9753\n"
		     "  sudo memdrift doctor\n\n"
		     "`memdrift COMMAND --help` lists a command's options.\n");
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	if (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help")) {
		print_help(stdout);
		return EXIT_OK;
	}
	if (!strcmp(name, "--version") || !strcmp(name, "-V")) {
		printf("memdrift %s\n", MEMDRIFT_VERSION);
		return EXIT_OK;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (!strcmp(name, commands[i].name)) {
			/* getopt's own messages begin with it. */
			argv[1] = "memdrift";
			return commands[i].run(argc - 1, argv + 1);
		}
	if (*name)
		fprintf(stderr, "memdrift: there is no command \"%s\"\n\n", name);
	print_help(stderr);
	return EXIT_USAGE;
}
