// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/oom.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "census/proc_stat.h"
#include "oom.skel.h"
#include "probe/tracepoint.h"

struct oom {
	struct oom_programs *programs;
	struct bpf_link *link;
	struct ring_buffer *ring;
	oom_victim_fn fn;
	void *ctx;
};

static int take_record(void *ctx, void *data, size_t size)
{
	struct oom *oom = ctx;
	struct oom_record record;

	if (size < sizeof(record))
		return 0;
	memcpy(&record, data, sizeof(record));
	record.comm[sizeof(record.comm) - 1] = '\0';
	/* It may have gone, but its memory takes longer to free than this takes to come here. */
	if (!record.pid && proc_tgid(record.tid, &record.pid))
		record.pid = 0;
	oom->fn(oom->ctx, &record);
	return 0;
}

static int attach(struct oom *oom)
{
	int tracefs = tracefs__open();
	int err;

	if (tracefs < 0)
		return tracefs;
	err = tracepoint__attach(tracefs, "oom/mark_victim", oom->programs->progs.mark_victim,
				 &oom->link);
	close(tracefs);
	return err;
}

int oom__open(struct oom **out)
{
	struct oom *oom;
	int err = 0;

	*out = NULL;
	if (!proc_in_initial_pid_ns())
		return -ENXIO;
	oom = calloc(1, sizeof(*oom));
	if (!oom)
		return -ENOMEM;
	oom->programs = oom_programs__open();
	if (!oom->programs)
		err = -errno;
	if (!err)
		err = oom_programs__load(oom->programs);
	if (!err)
		oom->ring = ring_buffer__new(bpf_map__fd(oom->programs->maps.victims), take_record,
					     oom, NULL);
	if (!err && !oom->ring)
		err = -errno;
	if (!err)
		err = attach(oom);
	if (err) {
		oom__close(oom);
		return err;
	}
	*out = oom;
	return 0;
}

void oom__close(struct oom *oom)
{
	if (!oom)
		return;
	bpf_link__destroy(oom->link);
	ring_buffer__free(oom->ring);
	oom_programs__destroy(oom->programs);
	free(oom);
}

int oom__fd(const struct oom *oom)
{
	return oom ? ring_buffer__epoll_fd(oom->ring) : -1;
}

void oom__read(struct oom *oom, oom_victim_fn fn, void *ctx)
{
	oom->fn = fn;
	oom->ctx = ctx;
	ring_buffer__consume(oom->ring);
}

uint64_t oom__lost(const struct oom *oom)
{
	return oom ? __atomic_load_n(&oom->programs->bss->victims_lost, __ATOMIC_RELAXED) : 0;
}
