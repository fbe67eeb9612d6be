// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/allocators_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/param.h>

static bool is_private_rw(const struct maps_entry *entry)
{
	const uint32_t rw = PROT_READ | PROT_WRITE;

	return !entry->shared && (entry->prot & rw) == rw;
}

bool scan__is_object_data(const struct subject *subject, size_t i, bool data)
{
	const struct maps_entry *entry = &subject->entries[i];
	const struct maps_entry *before = i ? entry - 1 : NULL;

	if (!is_private_rw(entry))
		return false;
	if (entry->inode)
		return data;
	return entry_is_anonymous_rw(entry) && before && before->end == entry->start &&
	       before->inode && !before->shared;
}

uint64_t scan__data_end(const struct maps_entry *entry)
{
	return MIN(entry->end, entry->start + OBJECT_DATA_MAX);
}

bool scan__is_anonymous(const struct subject *subject, uint64_t start, uint64_t end)
{
	const struct maps_entry *entry = subject__entry(subject, start);
	const struct maps_entry *last = subject->entries + subject->n;

	if (!entry || start >= end)
		return false;
	for (; entry < last; entry++) {
		if (entry->start > start || entry->shared || entry->inode)
			return false;
		if (entry->end >= end)
			return true;
		start = entry->end;
	}
	return false;
}

bool scan__is_anonymous_rw(const struct subject *subject, uint64_t start, uint64_t end)
{
	const struct maps_entry *entry = subject__entry(subject, start);

	return entry && start < end && end <= entry->end && entry_is_anonymous_rw(entry);
}

bool scan__is_local_error(int err)
{
	return err == -ENODATA || err == -EFAULT;
}

/* Where residency begins again at or above addr; UINT64_MAX: nowhere. */
static uint64_t next_resident(const struct page_runs *runs, uint64_t addr)
{
	size_t i = page_runs__above(runs, addr);

	return i == runs->count ? UINT64_MAX : MAX(runs->runs[i].start, addr);
}

/* Windows of a size, each with the end of the one before. */
struct windows {
	size_t bytes;
	size_t overlap;
};

static int scan(struct subject *subject, uint64_t start, uint64_t end,
		const struct windows *windows, scan_fn fn, void *ctx)
{
	const uint64_t page = SPACE_PAGE_BYTES;
	uint64_t *words = malloc(windows->bytes);
	int err = words ? 0 : -ENOMEM;

	start &= ~7ull;
	while (!err && start < end) {
		ssize_t got = memory__read_some(&subject->memory, start, words,
						MIN(end - start, windows->bytes));

		if (got >= 8) {
			err = fn(ctx, start, words, (size_t)got / 8);
			start += (uint64_t)got & ~7ull;
			if ((size_t)got == windows->bytes && start < end)
				start -= windows->overlap;
		} else if (got >= 0 || scan__is_local_error((int)got)) {
			start = next_resident(&subject->runs, (start & ~(page - 1)) + page);
		} else {
			err = (int)got;
		}
	}
	free(words);
	return err;
}

int scan__each_window(struct subject *subject, uint64_t start, uint64_t end, scan_fn fn, void *ctx)
{
	const struct windows windows = {SCAN_WINDOW_BYTES, 0};

	return scan(subject, start, end, &windows, fn, ctx);
}

int scan__each_page(struct subject *subject, uint64_t start, uint64_t end, scan_fn fn, void *ctx)
{
	const struct windows windows = {SPACE_PAGE_BYTES, 0};

	return scan(subject, start, end, &windows, fn, ctx);
}

int scan__each_overlapping(struct subject *subject, uint64_t start, uint64_t end, scan_fn fn,
			   void *ctx)
{
	const struct windows windows = {SCAN_WINDOW_BYTES, SCAN_OVERLAP_BYTES};

	return scan(subject, start, end, &windows, fn, ctx);
}

int scan__each_data_window(struct subject *subject, scan_fn fn, void *ctx)
{
	int err = 0;

	for (size_t i = 0; !err && i < subject->n; i++)
		if (scan__is_object_data(subject, i, true))
			err = scan__each_overlapping(subject, subject->entries[i].start,
						     subject->entries[i].end, fn, ctx);
	return err;
}

/* Heads that one call reads. */
#define HEADS_MAX 256

struct heads {
	struct subject *subject;
	size_t bytes;
	scan_head_fn fn;
	void *ctx;
	uint64_t addrs[HEADS_MAX];
	uint8_t valid[HEADS_MAX];
	size_t count;
	uint64_t *words;
};

static int tell_heads(struct heads *heads)
{
	int err = memory__gather(&heads->subject->memory, heads->addrs, heads->count, heads->bytes,
				 heads->words, heads->valid);

	for (size_t i = 0; !err && i < heads->count; i++)
		if (heads->valid[i])
			err = heads->fn(heads->ctx, heads->addrs[i],
					heads->words + i * heads->bytes / 8);
	heads->count = 0;
	return err;
}

static int gather_heads(struct heads *heads, const struct maps_entry *entry, uint64_t align)
{
	const struct page_runs *runs = &heads->subject->runs;
	uint64_t at = next_resident(runs, entry->start);
	int err = 0;

	while (!err && at < entry->end) {
		at = (at + align - 1) & ~(align - 1);
		if (at >= entry->end || at < entry->start)
			break;
		if (memory__run_end(&heads->subject->memory, at)) {
			heads->addrs[heads->count++] = at;
			at += align;
		}
		if (heads->count == HEADS_MAX)
			err = tell_heads(heads);
		at = next_resident(runs, at);
	}
	return err;
}

int scan__each_head(struct subject *subject, uint64_t align, size_t bytes, scan_head_fn fn,
		    void *ctx)
{
	struct heads heads = {.subject = subject, .bytes = bytes, .fn = fn, .ctx = ctx};
	int err = 0;

	heads.words = calloc(HEADS_MAX, bytes);
	if (!heads.words)
		return -ENOMEM;
	for (size_t i = 0; !err && i < subject->n; i++)
		if (entry_is_anonymous_rw(&subject->entries[i]))
			err = gather_heads(&heads, &subject->entries[i], align);
	if (!err && heads.count)
		err = tell_heads(&heads);
	free(heads.words);
	return err;
}
