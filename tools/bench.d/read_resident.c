// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * read_resident PID: the floor that tools/bench holds `memdrift explain` against. Copies all
 * resident pages of a process once, by address, in the pieces that are cheapest, and looks at
 * nothing -> "CPU seconds, bytes" of the copying alone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "census/subject.h"

#define PIECE_BYTES (256u << 10)

static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void read_run(struct memory *memory, const struct page_run *run, void *buf)
{
	uint64_t addr = run->start;

	while (addr < run->end) {
		ssize_t got = memory__read_some(memory, addr, buf, PIECE_BYTES);

		/* [vvar] cannot be read, nor what went meanwhile. */
		if (got <= 0)
			return;
		addr += (uint64_t)got;
	}
}

int main(int argc, char **argv)
{
	static char buf[PIECE_BYTES];
	struct subject subject;
	double start;
	int err;

	if (argc != 2) {
		fprintf(stderr, "usage: read_resident PID\n");
		return 2;
	}
	err = subject__open((uint32_t)strtoul(argv[1], NULL, 10), &subject);
	if (err) {
		fprintf(stderr, "read_resident: %s\n", strerror(-err));
		return 1;
	}
	start = cpu_s();
	for (size_t i = 0; i < subject.runs.count; i++)
		read_run(&subject.memory, &subject.runs.runs[i], buf);
	printf("%.6f %llu\n", cpu_s() - start, (unsigned long long)subject.memory.bytes_read);
	subject__close(&subject);
	return 0;
}
