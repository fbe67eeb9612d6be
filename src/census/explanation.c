// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/explanation.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "census/host.h"
#include "census/proc_file.h"
#include "census/proc_maps.h"
#include "census/smaps.h"
#include "census/subject.h"
#include "census/thread_stacks.h"
#include "model/model.h"

/* No reading of memory goes on longer than this, and no further reading begins after the second. */
#define READING_TIME_NS (15ULL * 1000 * 1000 * 1000)
#define REPEAT_TIME_NS  (2ULL * 1000 * 1000 * 1000)

/* glibc's heaps are read up to four times where they change; other structures hold less. */
#define READING_TIMES_RSS   6
#define READING_BYTES_FIXED (64ULL << 20)

/* How often mappings and pages alone, some ten milliseconds, are read for the same Rss. */
#define RENEWALS 3

static uint64_t timeval_ns(const struct timeval *time)
{
	return (uint64_t)time->tv_sec * 1000000000 + (uint64_t)time->tv_usec * 1000;
}

/* DWARF is read by a child process. */
static uint64_t cpu_time_ns(void)
{
	struct rusage children;
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	getrusage(RUSAGE_CHILDREN, &children);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec + timeval_ns(&children.ru_utime) +
	       timeval_ns(&children.ru_stime);
}

/* Whoever reads a process's memory may read this much of it; then its time is up as well. */
static void bound_reading(struct subject *subject)
{
	subject->memory.bytes_max = subject->memory.bytes_read + READING_BYTES_FIXED +
				    READING_TIMES_RSS * subject->rollup.rss_bytes;
}

/* What a reader could not finish within its bounds is no reason to tell nothing. */
static int end_reader(int err)
{
	return err == -ESRCH || err == -ENOMEM ? err : 0;
}

/* Whoever looks for allocators, each claiming what is its own. */
static int run_readers(struct subject *subject, struct claims *claims, struct explanation *out)
{
	int err;

	bound_reading(subject);
	err = go_facts__read(subject, claims, &out->go);
	out->has_go = !err;
	err = end_reader(err);
	if (!err) {
		bound_reading(subject);
		err = end_reader(allocators__read(subject, claims, &out->allocators));
	}
	if (!err) {
		bound_reading(subject);
		err = glibc_census__read(subject, NULL, claims, &out->glibc, &out->no_glibc);
		out->has_glibc = !err;
		err = end_reader(err);
	}
	bound_reading(subject);
	return err;
}

static int claim_stacks(struct subject *subject, struct claims *claims, struct explanation *out)
{
	enum go_heap go_heap = out->has_go ? go_heap__of_version(out->go.version) : GO_HEAP_NONE;
	struct stack_facts facts;
	int err = thread_stacks__claim(subject, go_heap, claims, &facts);

	if (err)
		return err;
	out->thread_stacks_live = facts.live;
	out->thread_stacks_cached = facts.cached;
	out->thread_stacks_live_resident_bytes = facts.live_resident_bytes;
	out->thread_stacks_cached_resident_bytes = facts.cached_resident_bytes;
	out->thread_stack_bytes = facts.usual_bytes;
	return 0;
}

/* One reading of all that lies in memory. */
static int read_once(struct subject *subject, struct explanation *out)
{
	struct claims claims = {0};
	int err = run_readers(subject, &claims, out);

	if (!err)
		err = claims__settle(&claims);
	if (!err)
		err = claim_stacks(subject, &claims, out);
	if (!err)
		err = claims__settle(&claims);
	if (!err)
		err = ledger__sum(subject, &claims, &out->ledger);
	out->unplaced = claims.refused;
	claims__free(&claims);
	return err;
}

/* Mappings as they are now against those that were read: another one, or another size. */
static bool has_changed(const struct subject *subject)
{
	struct maps_entry *entries;
	bool changed;
	size_t n;

	if (proc_maps__read(subject->pid, &entries, &n))
		return true;
	changed = n != subject->n;
	for (size_t i = 0; !changed && i < n; i++)
		changed = entries[i].start != subject->entries[i].start ||
			  entries[i].end != subject->entries[i].end ||
			  entries[i].prot != subject->entries[i].prot;
	maps_entries__free(entries, n);
	return changed;
}

/* Whether the pages that were read are as many as the kernel then counted; vDSO apart. */
static bool is_one_moment(const struct subject *subject)
{
	uint64_t bytes, vdso = 0;

	for (size_t i = 0; i < subject->n; i++) {
		if (!strcmp(subject->entries[i].path, "[vdso]"))
			vdso += subject__resident(subject, subject->entries[i].start,
						  subject->entries[i].end);
	}
	/* Where runs are not known, the ledger will tell. */
	return !subject->has_rollup || page_runs__count(&subject->runs, 0, UINT64_MAX, &bytes) ||
	       bytes == subject->rollup.rss_bytes || bytes - vdso == subject->rollup.rss_bytes;
}

static int renew(struct subject *subject, bool at_once)
{
	int err = at_once ? subject__renew(subject) : 0;

	for (int i = 1; !err && i < RENEWALS && !is_one_moment(subject); i++)
		err = subject__renew(subject);
	return err;
}

static uint64_t distance(const struct check *check)
{
	return check->found > check->expected ? check->found - check->expected
					      : check->expected - check->found;
}

/* Whether the newer reading is to be kept. */
static bool is_better(const struct explanation *newer, const struct explanation *kept)
{
	uint64_t a = distance(&newer->ledger.rss), b = distance(&kept->ledger.rss);

	return a != b ? a < b : !newer->changed;
}

static void free_facts(struct explanation *explanation)
{
	glibc_census__free(&explanation->glibc);
	cgroup_facts__free(&explanation->cgroup);
	free(explanation->exe);
	explanation->exe = NULL;
}

/* What is the kernel's to tell, as of the reading of the pages. */
static void add_kernel_sums(const struct subject *subject, struct explanation *out)
{
	out->has_rollup = subject->has_rollup;
	if (!subject->has_rollup)
		return;
	out->swap_bytes = subject->rollup.swap_bytes;
	out->huge_bytes = subject->rollup.huge_bytes;
	out->pss_bytes = subject->rollup.pss_bytes;
}

static int read_until_still(struct subject *subject, uint64_t started_ns, struct explanation *out)
{
	uint32_t readings = 0;
	bool again = true;
	int err = renew(subject, false);

	while (!err && again) {
		struct explanation now = {0};

		err = read_once(subject, &now);
		readings++;
		if (err) {
			free_facts(&now);
			break;
		}
		now.changed = has_changed(subject);
		add_kernel_sums(subject, &now);
		again = (!now.ledger.rss.ok || now.changed) && readings < EXPLANATION_READINGS &&
			monotonic_ns() - started_ns < REPEAT_TIME_NS;
		if (readings == 1 || is_better(&now, out)) {
			free_facts(out);
			*out = now;
		} else {
			free_facts(&now);
		}
		if (again)
			err = renew(subject, true);
	}
	out->readings = readings;
	/* A process that ends after a reading has been read. */
	return err == -ESRCH && out->ledger.resident_bytes ? 0 : err;
}

static void add_status(uint32_t pid, struct explanation *out)
{
	struct memory_status status;
	char text[128] = "";
	int fd;

	if (memory_status__read(pid, &status))
		return;
	out->has_status = true;
	out->rss_peak_bytes = status.rss_peak_bytes;
	out->page_table_bytes = status.page_table_bytes;
	fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		ssize_t got = read_fully(fd, text, sizeof(text) - 1);

		text[got > 0 ? got : 0] = '\0';
		close(fd);
	}
	bracketed_word(text, out->thp_mode, sizeof(out->thp_mode));
	if (status.thp_enabled == 0 && out->thp_mode[0])
		strcpy(out->thp_mode, "never");
}

int explanation__read(uint32_t pid, struct explanation *out)
{
	uint64_t started_ns = monotonic_ns(), cpu_ns = cpu_time_ns();
	struct subject subject;
	int err;

	memset(out, 0, sizeof(*out));
	err = subject__open(pid, &subject);
	if (err)
		return err;
	subject.memory.deadline_ns = started_ns + READING_TIME_NS;
	err = read_until_still(&subject, started_ns, out);
	if (!err) {
		out->pid = pid;
		out->start_ticks = subject.stat.start_ticks;
		out->threads = subject.stat.nr_threads;
		memcpy(out->comm, subject.stat.comm, sizeof(out->comm));
		out->exe = subject.exe;
		subject.exe = NULL;
		out->bytes_read = subject.memory.bytes_read;
		out->cpus_online = host__cpus_online();
		add_status(pid, out);
		err = cgroup_facts__read(pid, &out->cgroup);
		/* It ended after it was read. */
		err = err == -ESRCH ? 0 : err;
	}
	subject__close(&subject);
	out->cpu_ns = cpu_time_ns() - cpu_ns;
	out->wall_ns = monotonic_ns() - started_ns;
	return err;
}

void explanation__free(struct explanation *explanation)
{
	free_facts(explanation);
	memset(explanation, 0, sizeof(*explanation));
}
