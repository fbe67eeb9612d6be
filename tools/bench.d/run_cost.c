// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * run_cost FILE COMMAND [ARGUMENT]...: runs a command for tools/bench and writes to FILE what it
 * cost, "CPU seconds, peak kB", all of the process from its exec on. Its exit code is the
 * command's.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

int main(int argc, char **argv)
{
	struct rusage usage;
	int status;
	pid_t pid;
	FILE *file;

	if (argc < 3) {
		fprintf(stderr, "usage: run_cost FILE COMMAND [ARGUMENT]...\n");
		return 2;
	}
	pid = fork();
	if (!pid) {
		execvp(argv[2], argv + 2);
		perror(argv[2]);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) != pid) {
		perror("run_cost");
		return 1;
	}
	file = fopen(argv[1], "we");
	if (!file ||
	    fprintf(file, "%.6f %ld\n", seconds(usage.ru_utime) + seconds(usage.ru_stime),
		    usage.ru_maxrss) < 0 ||
	    fclose(file)) {
		perror(argv[1]);
		return 1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
