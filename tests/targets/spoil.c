/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * spoil PID SEED COMMAND [ARGUMENT...]: stops a process, overwrites words of its memory with what
 * an enemy would write there, runs COMMAND, and puts the words back, so that one process serves
 * many seeds. Exits with COMMAND's exit code, or 128 and its signal; its peak of memory and its
 * time go to file descriptor 3, where that is open, as a line "PEAK_KB WALL_MS WORDS".
 *
 * The process never runs again, whatever happens: a program whose heap is broken may take all of
 * the machine's memory. It may not map more, and is killed when this program is told to end.
 *
 * The same seed over the same stopped process overwrites the same words, seed 0 none. With
 * SPOIL_READS=FILE, which libspoil_reads.so wrote, most of them are among those that memdrift read
 * before.
 */
#define _GNU_SOURCE
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <sys/param.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include "spoil_regions.h"
#include "truth.h"

#define PAGE       4096ULL
#define PAGE_WORDS (PAGE / 8)
#define WORDS_MAX  4096
#define RESIDENT   (1ULL << 63)

struct undo {
	uint64_t addr, value;
};

static struct undo undos[WORDS_MAX];
static size_t undo_count;
static int mem = -1, pagemap = -1;
static pid_t victim, command;
static uint64_t seed;

static uint64_t any(void)
{
	return random__next(&seed);
}

static uint64_t below(uint64_t n)
{
	return random__below(&seed, n);
}

static void end_all(int sig)
{
	kill(victim, SIGKILL);
	if (command > 0)
		kill(command, SIGKILL);
	_exit(128 + sig);
}

static FILE *open_stream(const char *path)
{
	FILE *f = fopen(path, "re");

	if (!f)
		die(path);
	return f;
}

static bool is_stopped(void)
{
	char path[64], stat[512], *end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", victim);
	f = open_stream(path);
	end = fgets(stat, sizeof(stat), f) ? strrchr(stat, ')') : NULL;
	fclose(f);
	return end && end[2] == 'T';
}

/* The leader says that it is stopped when all of its threads are. */
static void stop(void)
{
	struct rlimit none = {0, 0};

	signal(SIGTERM, end_all);
	signal(SIGINT, end_all);
	if (kill(victim, SIGSTOP) || prlimit(victim, RLIMIT_AS, &none, NULL))
		die("stop");
	while (!is_stopped())
		usleep(1000);
}

static int open_file(const char *name, int flags)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", victim, name);
	fd = open(path, flags | O_CLOEXEC);
	if (fd < 0)
		die(path);
	return fd;
}

static bool is_resident(uint64_t addr)
{
	uint64_t entry;

	return pread(pagemap, &entry, 8, (off_t)(addr / PAGE * 8)) == 8 && entry & RESIDENT;
}

static enum kind any_kind(void)
{
	enum kind kind = counts[KIND_READ] && below(4) ? KIND_READ : below(KINDS);

	while (!counts[kind])
		kind = (kind + 1) % KINDS;
	return kind;
}

static const struct region *any_region(void)
{
	enum kind kind = any_kind();

	return &regions[kind][below(counts[kind])];
}

/*
 * A resident page that has some of the region, one of the first often, cut to the region; false
 * when none is found.
 */
static bool any_page(const struct region *region, struct region *piece)
{
	uint64_t first = region->start / PAGE, n = (region->end - 1) / PAGE + 1 - first;

	for (int i = 0; i < 32; i++) {
		uint64_t page = (first + (below(2) ? below(MIN(n, 4)) : below(n))) * PAGE;

		piece->start = MAX(page, region->start);
		piece->end = MIN(page + PAGE, region->end);
		if (is_resident(page))
			return true;
	}
	return false;
}

/* A size of a chunk with its bits, or one that no heap has. */
static uint64_t any_size(void)
{
	uint64_t size = below(2) ? below(1 << 20) & ~15ULL : 1ULL << below(64);

	return below(4) ? size | below(8) : size - below(64);
}

static uint64_t any_value(uint64_t addr, uint64_t other, uint64_t word)
{
	const struct region *region = any_region();

	switch (below(12)) {
	case 0:
		return any();
	case 1:
		return region->start + (below(region->end - region->start) & ~15ULL);
	case 2: /* itself, or around it: lists of one */
		return addr + below(9) * 8 - 32;
	case 3: /* what is read there leaves the mapping */
		return region->end - below(65);
	case 4:
		return any() | (below(2) ? 1ULL << 63 : 1ULL << 47);
	case 5:
		return below(2) ? below(64) : -below(64);
	case 6:
		return any_size();
	case 7: /* lists that meet or go round */
		return other;
	case 8:
		return word ^ 1ULL << below(64) ^ (below(2) ? 1ULL << below(64) : 0);
	case 9:
		return word + below(129) * 16 - 1024;
	case 10:
		return below(2) ? word * 2 : 0;
	default: /* half of it */
		return (word & 0xffffffffULL << 32 * below(2)) | (any() & 0xffffffff);
	}
}

/* Zeroes are often of no use to anyone: three in four of the words hold something. */
static size_t any_word(const uint64_t *words, size_t n)
{
	size_t start = below(n);

	for (size_t i = 0; below(4) && i < n; i++) {
		if (words[(start + i) % n])
			return (start + i) % n;
	}
	return start;
}

static void overwrite(uint64_t addr, uint64_t old, uint64_t value)
{
	undos[undo_count++] = (struct undo){addr, old};
	if (pwrite(mem, &value, 8, (off_t)addr) != 8)
		die("overwrite");
}

/* Up to eight words on end get a value each. */
static void spoil_page(void)
{
	size_t n = below(4) ? 1 : 1 + below(8), words, at;
	uint64_t page[PAGE_WORDS];
	struct region piece;

	if (!any_page(any_region(), &piece))
		return;
	words = (piece.end - piece.start) / 8;
	if (!words || pread(mem, page, words * 8, (off_t)piece.start) != (ssize_t)(words * 8))
		return;
	for (at = any_word(page, words); n-- && at < words && undo_count < WORDS_MAX; at++)
		overwrite(piece.start + at * 8, page[at],
			  any_value(piece.start + at * 8, page[below(words)], page[at]));
}

static void put_back(void)
{
	while (undo_count--) {
		if (pwrite(mem, &undos[undo_count].value, 8, (off_t)undos[undo_count].addr) != 8)
			die("put back");
	}
}

static uint64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int run(char **argv, size_t words)
{
	uint64_t started_ms = now_ms();
	struct rusage usage;
	int status;

	command = fork();
	if (command < 0)
		die("fork");
	if (!command) {
		close(3);
		execvp(argv[0], argv);
		die(argv[0]);
	}
	if (wait4(command, &status, 0, &usage) != command)
		die("wait4");
	dprintf(3, "%ld %" PRIu64 " %zu\n", usage.ru_maxrss, now_ms() - started_ms, words);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void find_regions(void)
{
	const char *reads = getenv("SPOIL_READS");
	char path[64];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/maps", victim);
	f = open_stream(path);
	read_maps(f);
	fclose(f);
	if (!reads || !reads[0])
		return;
	f = open_stream(reads);
	read_reads(f);
	fclose(f);
}

int main(int argc, char **argv)
{
	uint64_t first, tries;
	int code;

	if (argc < 4) {
		fprintf(stderr, "usage: spoil PID SEED COMMAND [ARGUMENT...]\n");
		return 2;
	}
	victim = (pid_t)strtol(argv[1], NULL, 10);
	first = strtoull(argv[2], NULL, 10);
	/* Not a multiple of splitmix64's own step: seeds would share their numbers. */
	seed = first * 0xd1342543de82ef95ULL;
	stop();
	mem = open_file("mem", O_RDWR);
	pagemap = open_file("pagemap", O_RDONLY);
	find_regions();
	/* Few words leave most of it to be believed; of thousands, none may. */
	tries = !first ? 0 : 1 + below(1ULL << (1 + below(11)));
	while (tries--)
		spoil_page();
	code = run(argv + 3, undo_count);
	put_back();
	return code;
}
