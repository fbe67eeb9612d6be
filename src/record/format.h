/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_RECORD_FORMAT_H
#define MEMDRIFT_RECORD_FORMAT_H

#include <stdint.h>

/*
 * A recording: the result of a trace in a file, from which `memdrift report` makes every output
 * again, on any machine.
 *
 *	head       magic (8), major (2), minor (2), CRC-32 of these 12 bytes (4)
 *	section    kind (4), packed bytes (4), raw bytes (4), CRC-32 of the packed bytes (4),
 *	           CRC-32 of these 16 bytes (4); then a zlib stream
 *	...
 *	RECORD_END the last section holds the number of sections before it and that of their raw
 *	           bytes: without it the file is cut short, and behind it nothing may follow
 *
 * Numbers here are little-endian. A section holds whole records of one kind, one behind the other,
 * which src/record/fields_*.c describe; sections come in the order of enum record_section, those
 * that came later at the end.
 *
 * The major version changes when older readers would misread the file, the minor one when a field
 * or a section is added: a reader takes older minor versions and refuses newer ones, since it could
 * only guess at what it does not know. A field that comes with minor version 2 stands at the end of
 * its record, under `if (codec->minor >= 2)`, and is zero in what is older.
 */
#define RECORD_MAGIC "\x89MDRIFT\n"
#define RECORD_MAJOR 1
/*
 * 0  the first
 * 1  RECORD_ITEMS: the allocations that groups are made of, so that they can be filtered
 */
#define RECORD_MINOR 1

#define RECORD_HEAD_BYTES    16
#define RECORD_SECTION_BYTES 20

enum record_section {
	RECORD_HEAD = 1,   /* what is said of the trace as a whole; one record */
	RECORD_STRINGS,    /* of frames, by index */
	RECORD_FILES,      /* that frames lie in, by index */
	RECORD_FRAMES,     /* by index */
	RECORD_STACKS,     /* of frames, by index */
	RECORD_IDENTITIES, /* which stack an id means in a process */
	RECORD_FACTS,      /* what the target's memory showed where a report has to look */
	RECORD_SPACES,     /* address spaces, by index: processes can share one */
	RECORD_VIEWS,      /* outstanding allocations of them, by index */
	RECORD_PROCESSES,  /* running ones first, in the model's order */
	RECORD_WEIGHTS,    /* of stacks */
	RECORD_ITEMS,      /* of the groups of views, piece by piece; since 1.1 */
	RECORD_END = 255,
};

/*
 * Bounds on a file that may be anyone's. Readers hold one section at a time besides what they have
 * made of those before.
 */
/* A host of 65,536 processes with 60 mappings each writes some hundred MB. */
#define RECORD_FILE_BYTES_MAX (1ull << 30)
/* Writers begin a new section at RECORD_SECTION_BYTES_SOFT; the longest record is an address space
 * of SPACE_MAPPINGS_MAX pieces, 15 MB. */
#define RECORD_SECTION_BYTES_SOFT (1u << 20)
#define RECORD_SECTION_BYTES_MAX  (64u << 20)
/*
 * Memory of all that is made of a file: RECORD_MEMORY_BASE and RECORD_MEMORY_FACTOR times its size,
 * at most RECORD_MEMORY_MAX. The recording of a host with 2,000 processes takes 42 times its size;
 * address spaces of one program are alike and compress better than that.
 */
#define RECORD_MEMORY_BASE   (16ull << 20)
#define RECORD_MEMORY_FACTOR 1000ull
#define RECORD_MEMORY_MAX    (4ull << 30)
/*
 * How much there is to look at for a report: each process's pieces, every 64 MiB of its memory that
 * may hold several heaps, its groups of outstanding allocations, and temporary allocations. A
 * process that is a few bytes of a file can share all that with thousands, so that it is counted
 * for each: some 20 seconds of work at the most. A host of 65,536 processes has 4 million pieces;
 * the shadow memory of AddressSanitizer comes to 262,144 for each process that has it.
 */
#define RECORD_LOOKS_MAX (1ull << 28)

#endif
