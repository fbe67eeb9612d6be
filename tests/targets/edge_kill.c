// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * edge_kill TRACER TARGET come|go DELAY_US: watches the code of TARGET's libc and sends SIGKILL to
 * TRACER when it sees a breakpoint come or go there, DELAY_US later: while the other breakpoints of
 * the same link are still on their way. Says how many it saw before and after that. Exits with 1
 * when TRACER ends or two minutes pass before that happens.
 *
 * A program, because a shell takes longer to look than all probes take to come.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_NS 120000000000ull

struct code {
	uint64_t start;
	size_t bytes;
	int memory;
	unsigned char *in_file, *in_memory;
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void read_at(int fd, void *to, size_t bytes, uint64_t at)
{
	size_t done = 0;

	while (done < bytes) {
		ssize_t n = pread(fd, (char *)to + done, bytes - done, (off_t)(at + done));

		if (n <= 0)
			die("cannot read the code");
		done += (size_t)n;
	}
}

static void open_code(struct code *code, const char *pid)
{
	char path[512], line[512];
	uint64_t end, offset;
	FILE *maps;
	int file = -1;

	snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	maps = fopen(path, "re");
	if (!maps)
		die(path);
	while (file < 0 && fgets(line, sizeof(line), maps))
		if (strstr(line, "/libc.so") &&
		    sscanf(line, "%" SCNx64 "-%" SCNx64 " r-xp %" SCNx64 " %*s %*u %511s",
			   &code->start, &end, &offset, path) == 4)
			file = open(path, O_RDONLY | O_CLOEXEC);
	fclose(maps);
	if (file < 0)
		die("no libc");
	code->bytes = end - code->start;
	code->in_file = malloc(code->bytes);
	code->in_memory = malloc(code->bytes);
	if (!code->in_file || !code->in_memory)
		die("malloc");
	read_at(file, code->in_file, code->bytes, offset);
	close(file);
	snprintf(path, sizeof(path), "/proc/%s/mem", pid);
	code->memory = open(path, O_RDONLY | O_CLOEXEC);
	if (code->memory < 0)
		die(path);
}

static unsigned int count_breakpoints(const struct code *code)
{
	unsigned int n = 0;

	read_at(code->memory, code->in_memory, code->bytes, code->start);
	for (size_t at = 0; at < code->bytes; at += 4096) {
		size_t left = code->bytes - at, bytes = left < 4096 ? left : 4096;

		if (!memcmp(code->in_file + at, code->in_memory + at, bytes))
			continue;
		for (size_t i = at; i < at + bytes; i++)
			n += code->in_file[i] != code->in_memory[i];
	}
	return n;
}

int main(int argc, char **argv)
{
	uint64_t limit_ns = now_ns() + LIMIT_NS, at_ns;
	unsigned int last, count;
	struct code code;
	pid_t tracer;
	int come;

	if (argc != 5)
		die("usage: edge_kill TRACER TARGET come|go DELAY_US");
	tracer = atoi(argv[1]);
	come = !strcmp(argv[3], "come");
	open_code(&code, argv[2]);
	for (count = last = count_breakpoints(&code); come ? count <= last : count >= last;) {
		if (kill(tracer, 0) || now_ns() > limit_ns)
			die("no such moment");
		last = count;
		count = count_breakpoints(&code);
	}
	at_ns = now_ns() + (uint64_t)atoi(argv[4]) * 1000;
	while (now_ns() < at_ns)
		;
	if (kill(tracer, SIGKILL))
		die("kill");
	printf("%u %u\n", last, count);
	return 0;
}
