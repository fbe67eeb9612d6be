// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * The model against the real kernel: a child process makes random mapping calls, one at a time, and
 * the model is fed with the records of each as the kernel's side would make them. After every call
 * it must equal the whole of /proc/PID/maps.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "records.h"

#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

#define REGION_PAGES 128

struct order {
	long nr;
	long args[6];
};

/* The child: no library call between two orders, so nothing is mapped but what was asked for. */
static void obey(int fd)
{
	struct order order;

	while (syscall(SYS_read, fd, &order, sizeof(order)) == sizeof(order)) {
		long result = syscall(order.nr, order.args[0], order.args[1], order.args[2],
				      order.args[3], order.args[4], order.args[5]);

		/* A child of the child only stands there to be compared. */
		if (order.nr == SYS_clone && !result)
			pause();
		if (result == -1)
			result = -errno;
		syscall(SYS_write, fd, &result, sizeof(result));
	}
	_exit(0);
}

struct lab {
	pid_t child;
	int fd;
	uint64_t region;
	struct maps_entry *own; /* what the child needs to live */
	size_t own_count;
	uint64_t found[64]; /* where the kernel put things: likely targets for what comes next */
	int found_count;
	uint64_t brk;
	uint64_t random;
	uint64_t now_ns;
	struct model model;
	struct process *process;
	long calls, failed;
};

static uint64_t below(struct lab *lab, uint64_t n)
{
	lab->random ^= lab->random << 13;
	lab->random ^= lab->random >> 7;
	lab->random ^= lab->random << 17;
	return lab->random % n;
}

static long run(struct lab *lab, long nr, long a, long b, long c, long d, long e, long f)
{
	struct order order = {nr, {a, b, c, d, e, f}};
	long result;

	assert_int_equal(write(lab->fd, &order, sizeof(order)), sizeof(order));
	assert_int_equal(read(lab->fd, &result, sizeof(result)), sizeof(result));
	return result;
}

static int read_maps(void *ctx, uint32_t pid, uint64_t ticks, struct maps_entry **entries,
		     size_t *n)
{
	char name[64], *line = NULL;
	struct maps_entry *list = NULL;
	size_t room = 0, size = 0;
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%u/maps", pid);
	file = fopen(name, "re");
	if (!file)
		return -ESRCH;
	*n = 0;
	while (getline(&line, &size, file) > 0) {
		struct maps_entry entry = {0};
		char perms[5], path[4096] = "";

		assert_true(sscanf(line, "%lx-%lx %4s %lx %x:%x %lu %4095[^\n]", &entry.start,
				   &entry.end, perms, &entry.offset, &entry.dev_major,
				   &entry.dev_minor, &entry.inode, path) >= 7);
		entry.prot = (perms[0] == 'r' ? PROT_READ : 0) |
			     (perms[1] == 'w' ? PROT_WRITE : 0) | (perms[2] == 'x' ? PROT_EXEC : 0);
		entry.shared = perms[3] == 's';
		entry.path = strdup(path);
		if (*n == room) {
			room = room ? 2 * room : 64;
			list = realloc(list, room * sizeof(*list));
			assert_non_null(list);
		}
		list[(*n)++] = entry;
	}
	free(line);
	fclose(file);
	*entries = list;
	return 0;
}

static uint64_t read_brk(void *ctx, uint32_t pid)
{
	char name[64], text[2048] = "", *at;
	uint64_t brk = 0;
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%u/stat", pid);
	file = fopen(name, "re");
	if (!file)
		return 0;
	at = fgets(text, sizeof(text), file) ? strrchr(text, ')') : NULL;
	/* Field 47; the bracket closes field 2. */
	for (int field = 2; at && field < 47; field++)
		at = strchr(at + 1, ' ');
	if (at)
		brk = strtoull(at, NULL, 10);
	fclose(file);
	return brk;
}

static uint64_t now_ns(void *ctx)
{
	return ++((struct lab *)ctx)->now_ns;
}

static void start_lab(struct lab *lab, uint64_t seed)
{
	struct model_reader reader = {
		.ctx = lab, .read_maps = read_maps, .read_brk = read_brk, .now_ns = now_ns};
	struct rec_mapping rec;
	int fds[2];

	*lab = (struct lab){.random = seed * 0x9e3779b97f4a7c15ull | 1, .now_ns = 10000000000};
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	lab->child = fork();
	assert_true(lab->child >= 0);
	if (!lab->child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(fds[0]);
		obey(fds[1]);
	}
	close(fds[1]);
	lab->fd = fds[0];
	assert_int_equal(model__init(&lab->model, &reader, 0, 1, 4), 0);
	assert_int_equal(read_maps(NULL, (uint32_t)lab->child, 0, &lab->own, &lab->own_count), 0);
	lab->region = (uint64_t)run(lab, SYS_mmap, 0, REGION_PAGES * PAGE, PROT_NONE, ANON, -1, 0);
	assert_true(lab->region < 1ull << 47);
	lab->brk = (uint64_t)run(lab, SYS_brk, 0, 0, 0, 0, 0, 0);
	lab->process =
		model__add(&lab->model, (uint32_t)lab->child, START_NS, "child", lab->now_ns);
	assert_non_null(lab->process);
	assert_true(lab->process->space->seeded);
	/* As each program's first brk does, this tells where the break is exactly. */
	rec = mapping(REC_BRK, (uint32_t)lab->child, (uint32_t)lab->child, lab->now_ns,
		      lab->now_ns);
	rec.result = (int64_t)lab->brk;
	feed(&lab->model, &rec);
	assert_false(lab->process->needs_reread);
}

static void end_lab(struct lab *lab)
{
	close(lab->fd);
	waitpid(lab->child, NULL, 0);
	model__free(&lab->model);
	maps_entries__free(lab->own, lab->own_count);
}

static void show(void *ctx, uint64_t start, uint64_t end, const char *why)
{
	fprintf(stderr, "%lx-%lx: %s\n", start, end, why);
}

static int differences(struct process *process)
{
	struct maps_entry *entries;
	size_t n;
	int differ;

	assert_int_equal(read_maps(NULL, process->pid, 0, &entries, &n), 0);
	differ = space__compare(process->space, entries, n, show, NULL);
	maps_entries__free(entries, n);
	return differ;
}

static uint64_t random_addr(struct lab *lab)
{
	uint64_t addr;

	if (lab->found_count && below(lab, 3) == 0)
		addr = lab->found[below(lab, lab->found_count)] + below(lab, 3) * PAGE;
	else
		addr = lab->region + below(lab, REGION_PAGES) * PAGE;
	return below(lab, 40) ? addr : addr + 8;
}

static uint64_t random_len(struct lab *lab)
{
	uint64_t pages = below(lab, 10) ? 1 + below(lab, 12) : 1 + below(lab, REGION_PAGES);

	switch (below(lab, 60)) {
	case 0:
		return 0;
	case 1:
		return UINT64_MAX - below(lab, 2 * PAGE);
	default:
		return pages * PAGE - below(lab, 3) * 100;
	}
}

static uint32_t random_prot(struct lab *lab)
{
	static const uint32_t prots[] = {PROT_NONE, PROT_READ, RW, RW, PROT_READ | PROT_EXEC};

	return prots[below(lab, 5)];
}

static void choose_mmap(struct lab *lab, struct rec_mapping *rec)
{
	static const uint32_t kinds[] = {MAP_PRIVATE, MAP_PRIVATE, MAP_SHARED, MAP_SHARED_VALIDATE};

	rec->hdr.type = REC_MMAP;
	rec->len = random_len(lab);
	rec->prot = random_prot(lab);
	rec->map_flags = kinds[below(lab, 4)];
	rec->map_flags |= MAP_ANONYMOUS;
	if (below(lab, 30) == 0) {
		/* Of a descriptor that is none. */
		rec->map_flags &= ~(uint32_t)MAP_ANONYMOUS;
		rec->fd = 1000;
	}
	switch (below(lab, 6)) {
	case 0:
	case 1:
		rec->addr = random_addr(lab);
		rec->map_flags |= MAP_FIXED;
		break;
	case 2:
		rec->addr = random_addr(lab);
		rec->map_flags |= MAP_FIXED_NOREPLACE | (below(lab, 2) ? MAP_FIXED : 0);
		break;
	case 3:
		rec->addr = random_addr(lab);
		break;
	case 4:
		rec->map_flags |= MAP_NORESERVE;
		break;
	}
}

static void choose_mremap(struct lab *lab, struct rec_mapping *rec)
{
	rec->hdr.type = REC_MREMAP;
	rec->addr = random_addr(lab);
	rec->len = below(lab, 12) ? (1 + below(lab, 8)) * PAGE : random_len(lab);
	rec->aux = below(lab, 12) ? (1 + below(lab, 8)) * PAGE : random_len(lab);
	switch (below(lab, 5)) {
	case 0:
		break;
	case 1:
		rec->prot = MREMAP_MAYMOVE | MREMAP_DONTUNMAP;
		rec->aux = rec->len;
		break;
	case 2:
	case 3:
		rec->prot = MREMAP_MAYMOVE | MREMAP_FIXED;
		rec->aux2 = random_addr(lab);
		break;
	default:
		rec->prot = MREMAP_MAYMOVE;
	}
}

static void choose_call(struct lab *lab, struct rec_mapping *rec)
{
	switch (below(lab, 10)) {
	case 0:
	case 1:
	case 2:
		choose_mmap(lab, rec);
		break;
	case 3:
	case 4:
		rec->hdr.type = REC_MUNMAP;
		rec->addr = random_addr(lab);
		rec->len = random_len(lab);
		break;
	case 5:
	case 6:
		choose_mremap(lab, rec);
		break;
	case 7:
		rec->hdr.type = REC_BRK;
		rec->addr = below(lab, 4) ? lab->brk + below(lab, 64) * 1000 : 0;
		break;
	default:
		rec->hdr.type = REC_MPROTECT;
		rec->addr = random_addr(lab);
		rec->len = random_len(lab);
		rec->prot = random_prot(lab);
	}
}

static long do_call(struct lab *lab, const struct rec_mapping *rec)
{
	switch (rec->hdr.type) {
	case REC_MMAP:
		return run(lab, SYS_mmap, rec->addr, rec->len, rec->prot, rec->map_flags, rec->fd,
			   0);
	case REC_MUNMAP:
		return run(lab, SYS_munmap, rec->addr, rec->len, 0, 0, 0, 0);
	case REC_MREMAP:
		return run(lab, SYS_mremap, rec->addr, rec->len, rec->aux, rec->prot, rec->aux2, 0);
	case REC_BRK:
		return run(lab, SYS_brk, rec->addr, 0, 0, 0, 0, 0);
	default:
		return run(lab, SYS_mprotect, rec->addr, rec->len, rec->prot, 0, 0, 0);
	}
}

static uint32_t start_type(const struct rec_mapping *rec)
{
	switch (rec->hdr.type) {
	case REC_MMAP:
		return (rec->map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) == MAP_FIXED
			       ? REC_MMAP_FIXED
			       : 0;
	case REC_MUNMAP:
		return REC_MUNMAP;
	case REC_MREMAP:
		return REC_MREMAP_ENTER;
	default:
		return 0;
	}
}

static bool meets_own(const struct lab *lab, uint64_t addr, uint64_t len)
{
	for (size_t i = 0; i < lab->own_count; i++) {
		if (addr < lab->own[i].end && lab->own[i].start < addr + len &&
		    strcmp(lab->own[i].path, "[heap]"))
			return true;
	}
	return false;
}

/* A call that would take away the child's own code, stack or libraries is not for a random test. */
static bool is_harmless(const struct lab *lab, const struct rec_mapping *rec)
{
	if (rec->hdr.type == REC_BRK || rec->len > 1ull << 60)
		return true;
	return !meets_own(lab, rec->addr, rec->len + PAGE) &&
	       !(rec->aux2 && meets_own(lab, rec->aux2, rec->aux + PAGE));
}

static void step(struct lab *lab)
{
	struct rec_mapping rec = mapping(0, (uint32_t)lab->child, (uint32_t)lab->child,
					 ++lab->now_ns, 0),
			   start;

	choose_call(lab, &rec);
	if (!is_harmless(lab, &rec))
		return;
	start = rec;
	start.hdr.type = start_type(&rec);
	start.hdr.time_ns = ++lab->now_ns;
	if (start.hdr.type)
		feed(&lab->model, &start);
	rec.result = do_call(lab, &rec);
	rec.hdr.time_ns = ++lab->now_ns;
	if (rec.result < 0 && rec.result >= -4095)
		rec.hdr.flags = RECF_FAILED;
	if (rec.hdr.type != REC_MUNMAP || rec.hdr.flags)
		feed(&lab->model, &rec);
	if ((rec.hdr.type == REC_MMAP || rec.hdr.type == REC_MREMAP) && !rec.hdr.flags) {
		if (lab->found_count == 64)
			lab->found_count = 0;
		lab->found[lab->found_count++] = (uint64_t)rec.result;
	}
	lab->calls++;
	if (rec.hdr.flags) {
		lab->failed++;
		model__heal(&lab->model, false);
	} else if (rec.hdr.type == REC_MREMAP && lab->process->needs_reread &&
		   !differences(lab->process)) {
		/* From kernel 6.17 on a range with holes can move: right, but not certain. */
		model__heal(&lab->model, false);
	}
	if (lab->process->needs_reread || differences(lab->process))
		fail_msg("call %ld: type %u addr %lx len %lx aux %lx aux2 %lx prot %x flags %x = "
			 "%lx%s",
			 lab->calls, rec.hdr.type, rec.addr, rec.len, rec.aux, rec.aux2, rec.prot,
			 rec.map_flags, rec.result,
			 lab->process->needs_reread ? ", wants a re-read" : "");
}

static void every_call_leaves_the_model_equal_to_proc(void **state)
{
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct lab lab;

		start_lab(&lab, seed);
		for (int i = 0; i < 1500; i++)
			step(&lab);
		/* The test is about calls that succeed; a good part must. */
		assert_true(lab.failed < lab.calls / 2);
		assert_int_equal(lab.model.losses[LOSS_bad_records], 0);
		assert_int_equal(lab.model.losses[LOSS_mappings_dropped], 0);
		end_lab(&lab);
	}
}

/* A grandchild of the child's own fork has what the child had, and then its own. */
static void a_fork_copies_the_model(void **state)
{
	struct process *grandchild;
	struct lab lab;
	long pid;

	start_lab(&lab, 99);
	for (int i = 0; i < 300; i++)
		step(&lab);
	pid = run(&lab, SYS_clone, SIGCHLD, 0, 0, 0, 0, 0);
	/* Both read from one socket now: whoever gets the order, only one process makes the call.
	 */
	assert_true(pid > 0);
	feed_fork(&lab.model, 0, (uint32_t)lab.child, (uint32_t)pid, ++lab.now_ns);
	grandchild = model__find(&lab.model, (uint32_t)pid);
	assert_non_null(grandchild);
	assert_false(grandchild->needs_reread);
	assert_int_equal(differences(grandchild), 0);
	assert_int_equal(grandchild->space->mapped_bytes, lab.process->space->mapped_bytes);
	kill((pid_t)pid, SIGKILL);
	end_lab(&lab);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_call_leaves_the_model_equal_to_proc),
		cmocka_unit_test(a_fork_copies_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
