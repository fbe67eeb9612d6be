// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/subject.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/param.h>
#include <sys/mman.h>

#include "census/ledger_rules.h"
#include "census/proc_file.h"
#include "census/proc_maps.h"
#include "model/model.h"

struct gather {
	struct page_runs *runs;
	bool cache_only;
	int err;
};

static void add_run(void *ctx, uint64_t start, uint64_t end, bool file)
{
	struct gather *gather = ctx;

	if (!gather->err && (file || !gather->cache_only))
		gather->err = page_runs__add(gather->runs, start, end);
}

/* The kernel's own pages, in no counter of the process. */
static bool is_uncounted(const struct maps_entry *entry)
{
	return !strncmp(entry->path, "[vvar", 5) || !strcmp(entry->path, "[vsyscall]");
}

/* How many entries from the first one on can be read at once: side by side, all alike. A process
 * may have tens of thousands. */
static size_t count_alike(const struct maps_entry *first, size_t n)
{
	size_t count = 1;

	if (mapping_is_device(first))
		return 1;
	while (count < n && first[count].start == first[count - 1].end &&
	       !is_uncounted(&first[count]) && !mapping_is_device(&first[count]) &&
	       first[count].end - first->start <= ENTRIES_RANGE_MAX)
		count++;
	return count;
}

/* Mappings whose pages cannot be told one by one: not known, unless there are none. */
static int add_sum(struct pagemap *pm, uint64_t start, uint64_t end, struct page_runs *runs)
{
	uint64_t bytes;
	int err = pagemap__resident(pm, start, end, &bytes);

	return err || !bytes ? err : page_runs__add_unknown(runs, start, end);
}

int entries__runs(struct pagemap *pm, const struct maps_entry *entries, size_t n,
		  struct page_runs *runs)
{
	struct gather gather = {.runs = runs};
	size_t count;

	for (size_t i = 0; !gather.err && i < n; i += count) {
		uint64_t start = entries[i].start, end;
		int err;

		count = 1;
		if (is_uncounted(&entries[i]))
			continue;
		count = count_alike(&entries[i], n - i);
		end = entries[i + count - 1].end;
		gather.cache_only = mapping_is_device(&entries[i]);
		err = pagemap__each_run(pm, start, end, add_run, &gather);
		if (err == -EOPNOTSUPP)
			err = add_sum(pm, start, end, runs);
		if (err)
			return err;
	}
	return gather.err;
}

int subject__renew(struct subject *subject)
{
	struct maps_entry *entries = NULL;
	struct page_runs runs = {0};
	size_t n = 0;
	int err = proc_maps__read(subject->pid, &entries, &n);

	if (!err && !n)
		err = -ESRCH; /* it has ended and nobody has waited for it */
	if (!err)
		err = entries__runs(subject->pm, entries, n, &runs);
	if (err) {
		maps_entries__free(entries, n);
		page_runs__free(&runs);
		return err;
	}
	maps_entries__free(subject->entries, subject->n);
	page_runs__free(&subject->runs);
	subject->entries = entries;
	subject->n = n;
	subject->runs = runs;
	subject->memory.near = 0;
	subject->has_rollup = smaps_rollup__read(subject->pid, &subject->rollup) == 0;
	return 0;
}

int subject__open(uint32_t pid, struct subject *subject)
{
	int err;

	*subject = (struct subject){.pid = pid};
	err = proc_stat__read(pid, &subject->stat);
	if (err)
		return err;
	if (subject->stat.is_kernel_thread)
		return -ENODATA;
	if (subject->stat.is_zombie)
		return -ESRCH;
	/* The memory of a process whose main thread has ended is another's to show. */
	err = proc_memory_tid(pid, &subject->memory.pid);
	if (!err)
		err = pagemap__open(pid, &subject->pm);
	if (err)
		return err == -ENOENT ? -ESRCH : err;
	subject->memory.runs = &subject->runs;
	if (proc_stat__exe(pid, &subject->exe))
		subject->exe = NULL;
	err = subject__renew(subject);
	if (!err && !subject__is_alive(subject))
		err = -ESRCH;
	if (err)
		subject__close(subject);
	return err;
}

void subject__close(struct subject *subject)
{
	maps_entries__free(subject->entries, subject->n);
	page_runs__free(&subject->runs);
	pagemap__close(subject->pm);
	free(subject->exe);
	memset(subject, 0, sizeof(*subject));
}

bool subject__is_alive(struct subject *subject)
{
	struct proc_stat now;

	return pagemap__alive(subject->pm) && proc_stat__read(subject->pid, &now) == 0 &&
	       now.start_ticks == subject->stat.start_ticks;
}

const struct maps_entry *subject__entry(const struct subject *subject, uint64_t addr)
{
	return proc_maps__find(subject->entries, subject->n, addr);
}

uint64_t subject__resident(const struct subject *subject, uint64_t start, uint64_t end)
{
	uint64_t bytes;

	return page_runs__count(&subject->runs, start, end, &bytes) ? 0 : bytes;
}

uint64_t subject__mapped(const struct subject *subject)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < subject->n; i++)
		bytes += subject->entries[i].end - subject->entries[i].start;
	return bytes;
}

bool entry_is_anonymous(const struct maps_entry *entry)
{
	return !entry->shared && !entry->inode &&
	       (!entry->path[0] || !strcmp(entry->path, "[heap]") ||
		!strncmp(entry->path, "[anon:", 6));
}

bool entry_is_anonymous_rw(const struct maps_entry *entry)
{
	const uint32_t rw = PROT_READ | PROT_WRITE;

	return entry_is_anonymous(entry) && (entry->prot & rw) == rw;
}

uint64_t entries__anonymous_end(const struct maps_entry *entries, size_t n, uint64_t addr,
				uint64_t until)
{
	const struct maps_entry *entry = proc_maps__find(entries, n, addr);
	uint64_t end = 0;

	for (; entry && entry < entries + n && entry_is_anonymous(entry) && end < until; entry++) {
		if (end && entry->start != end)
			break;
		end = entry->end;
	}
	return MIN(end, until);
}
