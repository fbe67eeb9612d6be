// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Records of the ring: checked here, then handled by kind. */
#include "model/model_impl.h"

static size_t record_size(uint32_t type)
{
	switch (type) {
	case REC_MMAP:
	case REC_MMAP_FIXED:
	case REC_MUNMAP:
	case REC_MREMAP_ENTER:
	case REC_MREMAP:
	case REC_BRK:
	case REC_MPROTECT:
	case REC_MADVISE:
	case REC_REREAD:
		return sizeof(struct rec_mapping);
	case REC_FORK:
		return sizeof(struct rec_fork);
	case REC_EXEC:
	case REC_EXIT_GROUP:
	case REC_EXIT:
	case REC_OOM:
		return sizeof(struct rec_process);
	case REC_ARENA_GET:
	case REC_ARENA_NEW:
	case REC_HEAP_NEW:
		return sizeof(struct rec_arena);
	default:
		return 0;
	}
}

void model__handle(struct model *model, const struct rec_header *record, size_t size)
{
	if (size < sizeof(*record) || record_size(record->type) != size || !record->pid) {
		model->losses[LOSS_bad_records]++;
		return;
	}
	switch (record->type) {
	case REC_FORK:
		handle_fork(model, (const struct rec_fork *)record);
		break;
	case REC_EXEC:
	case REC_EXIT_GROUP:
	case REC_EXIT:
	case REC_OOM:
		handle_process(model, (const struct rec_process *)record);
		break;
	case REC_ARENA_GET:
	case REC_ARENA_NEW:
	case REC_HEAP_NEW:
		handle_arena(model, (const struct rec_arena *)record);
		break;
	default:
		handle_mapping(model, (const struct rec_mapping *)record);
	}
}
