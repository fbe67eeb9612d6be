/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_SIZE_CLASS_H
#define MEMDRIFT_BPF_SIZE_CLASS_H

/* Requests by size class, on request: one look-up and two or three atomic adds more for a call. */
#include "bits.h"
#include "common.h"

const volatile struct class_table class_table __weak;

/* By process, as alloc_counts; the loader gives it the same max_entries when it is used. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct class_counts);
} class_counts __weak SEC(".maps");

static __always_inline struct class_counts *find_classes(void)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;

	return bpf_map_lookup_elem(&class_counts, &pid);
}

/* A request of `requested` bytes that is served as one of `size` is; both below 2^63. */
static __always_inline void add_to_class(struct class_counts *counts, __u64 requested, __u64 size)
{
	struct class_place place;
	struct class_count *row;
	__u64 last;

	if (size <= class_table.table_max && size <= CLASS_TABLE_MAX) {
		row = &counts->rows[class_table.rows[(size + CLASS_TABLE_STEP - 1) /
						     CLASS_TABLE_STEP]];
	} else {
		last = class_last_byte(&class_table, size);
		place = class_place_of(&class_table, last, bucket_of(last));
		row = &counts->rows[place.row];
		__sync_fetch_and_add(&row->class_bytes, place.bytes);
	}
	__sync_fetch_and_add(&row->count, 1);
	__sync_fetch_and_add(&row->requested_bytes, requested);
}

/* A request of C's allocator. */
static __always_inline void count_class(__u64 size)
{
	struct class_counts *counts = find_classes();

	if (counts)
		add_to_class(counts, size, size);
}

#endif
