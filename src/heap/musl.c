// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "heap/musl.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "heap/allocators_report.h"
#include "heap/allocators_scan.h"

/* src/malloc/mallocng/meta.h */
#define UNIT          16u
#define IN_BAND       4u /* IB: bytes of a slot's end that are mallocng's */
#define SIZE_CLASSES  48u
#define CLASS_MMAPPED 63u
#define AREA_BYTES    4096u
#define AREA_HEADER   24u
#define METAS_MAX     ((AREA_BYTES - AREA_HEADER) / sizeof(struct meta))

/* Words of malloc_context on x86-64, where the page size is a constant and takes none. */
#define CONTEXT_INIT_DONE 1  /* 1; the count of mmaps is the upper half */
#define CONTEXT_AREAS     7  /* the first one; the last follows */
#define CONTEXT_USAGE     58 /* slots by class */
#define CONTEXT_WORDS     (CONTEXT_USAGE + SIZE_CLASSES)

/* An area describes at least 101 groups of 16 bytes, mostly of kilobytes: above 100 GB of heap. */
#define AREAS_MAX (1u << 20)

static const uint16_t class_units[SIZE_CLASSES] = {
	1,   2,   3,   4,    5,    6,    7,    8,    9,    10,   12,   15,   18,   20,   25,   31,
	36,  42,  50,  63,   72,   84,   102,  127,  146,  170,  204,  255,  292,  340,  409,  511,
	584, 682, 818, 1023, 1169, 1364, 1637, 2047, 2340, 2730, 3276, 4095, 4680, 5460, 6552, 8191,
};

struct meta {
	uint64_t prev, next;
	uint64_t group; /* 0: this meta is not used */
	uint32_t available, freed;
	uint64_t fields; /* 5 bits last index, 1 freeable, 6 size class, 52 pages mapped */
};

static const char how_groups[] = "groups of mallocng's own areas";

struct musl {
	struct subject *subject;
	struct claims *claims;
	uint64_t secret;
	uint64_t first_area, last_area;
	uint64_t usage[SIZE_CLASSES];

	uint64_t bytes;        /* of groups that have mappings of their own */
	uint64_t in_use_bytes; /* slots handed out, without those that hold groups */
	uint64_t slots[SIZE_CLASSES];
	uint64_t areas, broken; /* groups that do not point back */
	bool whole;             /* the list of areas ended where it should */
};

static int find_context(void *ctx, uint64_t addr, const uint64_t *words, size_t count)
{
	struct musl *musl = ctx;

	for (size_t i = 0; i + CONTEXT_WORDS <= count; i++) {
		uint64_t first = words[i + CONTEXT_AREAS], last = words[i + CONTEXT_AREAS + 1];
		uint64_t check;
		int err;

		if (!words[i] || !first || first % AREA_BYTES || !last || last % AREA_BYTES ||
		    (words[i + CONTEXT_INIT_DONE] & UINT32_MAX) != 1)
			continue;
		err = memory__word(&musl->subject->memory, first, &check);
		if (err && !scan__is_local_error(err))
			return err;
		if (err || check != words[i])
			continue;
		musl->secret = check;
		musl->first_area = first;
		musl->last_area = last;
		memcpy(musl->usage, words + i + CONTEXT_USAGE, sizeof(musl->usage));
		return 1;
	}
	return 0;
}

/* Smallest class whose slot holds so many bytes and what mallocng keeps in it. */
static uint64_t slot_bytes_for(uint64_t bytes)
{
	for (size_t i = 0; i < SIZE_CLASSES; i++)
		if (class_units[i] * (uint64_t)UNIT >= bytes + IN_BAND)
			return class_units[i] * (uint64_t)UNIT;
	return 0;
}

static int take_group(struct musl *musl, const struct meta *meta, uint64_t meta_addr)
{
	unsigned int last = meta->fields & 31, class = meta->fields >> 6 & 63;
	bool freeable = meta->fields >> 5 & 1;
	uint64_t mapped = (meta->fields >> 12) * 4096, slot, back;
	uint32_t mask = (2u << last) - 1;
	unsigned int used =
		last + 1 - (unsigned int)__builtin_popcount((meta->available | meta->freed) & mask);
	int err = memory__word(&musl->subject->memory, meta->group, &back);

	if (err && !scan__is_local_error(err))
		return err;
	if (err || back != meta_addr || (class >= SIZE_CLASSES && class != CLASS_MMAPPED) ||
	    mapped >> 47 || (!mapped && class == CLASS_MMAPPED)) {
		musl->broken++;
		return 0;
	}
	slot = mapped && !last ? mapped - UNIT : class_units[class % SIZE_CLASSES] * (uint64_t)UNIT;
	musl->in_use_bytes += used * slot;
	/* What the loader donated the context does not count. */
	if (class < SIZE_CLASSES && (mapped || freeable))
		musl->slots[class] += last + 1;
	if (!mapped) {
		/* A group without a mapping lies in a slot of a larger group, or, when it cannot be
		 * freed, in what the loader had left of a page of a library's data. */
		if (freeable)
			musl->in_use_bytes -= slot_bytes_for(UNIT + (last + 1) * slot - IN_BAND);
		return 0;
	}
	if (!scan__is_anonymous_rw(musl->subject, meta->group, meta->group + mapped)) {
		musl->broken++;
		return 0;
	}
	musl->bytes += mapped;
	err = claims__add(musl->claims, meta->group, meta->group + mapped, LEDGER_MUSL, how_groups);
	return err == -ENOMEM ? err : 0;
}

static int take_area(struct musl *musl, uint64_t area, uint64_t *next)
{
	struct {
		uint64_t check, next;
		int32_t count;
		int32_t unused;
		struct meta metas[METAS_MAX];
	} head;
	int err =
		memory__read(&musl->subject->memory, area, &head, AREA_HEADER + sizeof(head.metas));

	*next = 0;
	if (err)
		return scan__is_local_error(err) ? 0 : err;
	if (head.check != musl->secret)
		return 0;
	musl->areas++;
	err = claims__add(musl->claims, area, area + AREA_BYTES, LEDGER_MUSL,
			  "areas of mallocng's own tables");
	if (err == -ENOMEM)
		return err;
	for (size_t i = 0; i < METAS_MAX && (int64_t)i < head.count; i++) {
		if (!head.metas[i].group)
			continue;
		err = take_group(musl, &head.metas[i],
				 area + AREA_HEADER + i * sizeof(struct meta));
		if (err)
			return err;
	}
	musl->whole |= area == musl->last_area && !head.next;
	*next = head.next;
	return 0;
}

/* A list that leads back into itself would be counted until the bounds of reading are reached: a
 * mark that is set at every power of two meets itself within three rounds. */
static int walk_areas(struct musl *musl)
{
	uint64_t area = musl->first_area, mark = 0, next;
	int err = 0;

	for (unsigned int i = 0; !err && area && area % AREA_BYTES == 0 && i < AREAS_MAX; i++) {
		if (area == mark) {
			musl->broken++;
			break;
		}
		if (!(i & (i - 1)))
			mark = area;
		err = take_area(musl, area, &next);
		area = next;
	}
	return err;
}

/* Groups that overlap, or were met twice, are overwritten, and so is what they hold. */
static int report(const struct musl *musl, struct allocators *out)
{
	struct allocator_facts facts = {
		.name = "musl",
		.how = "mallocng's own list of areas, by its secret",
		.in_use_bytes = musl->in_use_bytes,
	};
	int err = claims__covered(musl->claims, LEDGER_MUSL, how_groups, &facts.bytes);

	if (err)
		return err;
	facts.has_in_use = musl->whole && !musl->broken && facts.bytes == musl->bytes;
	/* The context counts its slots by class: the walk found all of them or it is not told. */
	facts.has_in_use &= !memcmp(musl->usage, musl->slots, sizeof(musl->usage));
	allocators__add(out, &facts);
	return 0;
}

/* The malloc before mallocng: see musl.h. */
struct old_musl {
	struct subject *subject;
	struct claims *claims;
	uint64_t bytes;
	uint64_t end; /* of the chunk before */
};

static int take_old_chunk(void *ctx, uint64_t addr, const uint64_t *words)
{
	const struct maps_entry *entry;
	struct old_musl *old = ctx;
	uint64_t length = words[3] + 16;
	int err;

	/* {free, free, 16, length - 16}; an even size says mmapped. */
	if (addr < old->end || words[2] != 16 || words[3] % 4096 != 4096 - 16 || words[3] >> 47)
		return 0;
	entry = subject__entry(old->subject, addr);
	if (!entry || !strcmp(entry->path, "[heap]") || length > entry->end - addr)
		return 0;
	old->bytes += length;
	old->end = addr + length;
	err = claims__add(old->claims, addr, addr + length, LEDGER_MUSL,
			  "headers of musl's mmapped chunks");
	return err == -ENOMEM ? err : 0;
}

static int read_old(struct subject *subject, struct claims *claims, struct allocators *out)
{
	struct old_musl old = {.subject = subject, .claims = claims};
	int err = scan__each_head(subject, 4096, 32, take_old_chunk, &old);

	for (size_t i = 0; !err && i < subject->n; i++) {
		const struct maps_entry *entry = &subject->entries[i];

		if (strcmp(entry->path, "[heap]") != 0)
			continue;
		old.bytes += entry->end - entry->start;
		err = claims__add(claims, entry->start, entry->end, LEDGER_MUSL,
				  "brk area of a program whose malloc is musl's");
		err = err == -ENOMEM ? err : 0;
	}
	if (!err && old.bytes)
		allocators__add(out, &(struct allocator_facts){
					     .name = "musl",
					     .how = "malloc before mallocng: its brk area, and "
						    "headers of mmapped chunks",
					     .bytes = old.bytes,
				     });
	return err;
}

int musl__read(struct subject *subject, struct claims *claims, struct allocators *out)
{
	struct musl musl = {.subject = subject, .claims = claims};
	int err = scan__each_data_window(subject, find_context, &musl);

	if (err < 0)
		return err;
	if (!err)
		return strcmp(out->malloc_owner, "musl") == 0 ? read_old(subject, claims, out) : 0;
	err = walk_areas(&musl);
	return !err && musl.areas ? report(&musl, out) : err;
}
