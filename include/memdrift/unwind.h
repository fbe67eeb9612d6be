/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_UNWIND_H
#define MEMDRIFT_UNWIND_H

#include "memdrift/config.h"
#include "memdrift/types.h"

/*
 * What the unwinder in the kernel reads: per process the code that it has mapped, per object
 * where in its file which rule holds. x86-64 only. User space builds it from .eh_frame
 * (src/unwind) and writes it through mmap'ed array maps; the programs of bpf/unwind.h read it.
 *
 * The coordinate of all tables is the offset in the object's file, so that a mapping as the kernel
 * has it (start, length, offset) is all that a table needs to be found, whatever the ELF says of
 * addresses.
 */

/*
 * One rule: how to get from a frame to its caller. The CFA ("canonical frame address", DWARF 5,
 * 6.4.1) is the stack pointer before the call; on x86-64 the return address is right below it.
 */
enum unwind_rule_kind {
	UNWIND_UNKNOWN,       /* no rule can be expressed here, or there is none: the walk ends */
	UNWIND_SP,            /* CFA = sp + offset */
	UNWIND_BP,            /* CFA = bp + offset */
	UNWIND_SP_DEREF,      /* CFA = *(sp + UNWIND_DEREF_AT) + UNWIND_DEREF_ADD */
	UNWIND_BP_DEREF,      /* the same of bp: a stack that the function has aligned */
	UNWIND_PLT,           /* CFA = sp + 8, and 8 more from byte `offset` of 16 on */
	UNWIND_SIGNAL,        /* the registers are where the kernel put them for a signal handler */
	UNWIND_ROOT,          /* the return address is undefined: nobody called this */
	UNWIND_FRAME_POINTER, /* as the x86-64 psABI has it: bp points to the caller's bp */
	UNWIND_GO_SWITCH,     /* runtime.asmcgocall: the caller stands on the goroutine's stack */
};

/* Where the caller's bp is. */
enum unwind_bp_kind {
	UNWIND_BP_SAME,   /* in bp still */
	UNWIND_BP_AT_CFA, /* at CFA + bp_offset */
	UNWIND_BP_AT_BP,  /* at bp + bp_offset */
	UNWIND_BP_LOST,   /* nowhere: it leads to no frame from here on */
};

struct unwind_rule {
	uint8_t kind;
	uint8_t bp_kind;
	int16_t bp_offset;
	int32_t offset; /* 32 bits: frames of 100 kB exist */
};
MEMDRIFT_ASSERT_SIZE(struct unwind_rule, 8);

/* Both in `offset` of a DEREF rule. */
#define UNWIND_DEREF_MAKE(at, add) ((int32_t)((uint32_t)(add) << 16 | ((uint32_t)(at)&0xffff)))
#define UNWIND_DEREF_AT(offset)    ((int16_t)((uint32_t)(offset)&0xffff))
#define UNWIND_DEREF_ADD(offset)   ((int16_t)((uint32_t)(offset) >> 16))

/* A small process needs 300 to 480, nine large objects together 1,424 (measured). */
#define UNWIND_RULES_MAX 16384

/*
 * The pool: blocks of 4 KiB that hold rows, or the index that leads to them. A row says from which
 * byte of its page of code on its rule holds. The rows of one page are sorted and lie in one block,
 * and the first of them is at byte 0: there is always a row before the one looked for. No page of
 * compiled code has needed more than 1,024 of them; with 256, 7,016 pages of qemu did.
 */
#define UNWIND_PAGE_SHIFT  12
#define UNWIND_BLOCK_BYTES 4096

struct unwind_row {
	uint16_t from; /* byte in the page */
	uint16_t rule; /* index in the rules */
};

struct unwind_page {
	uint32_t block;
	uint16_t first; /* row in the block */
	uint16_t count; /* 0: no rule in this page (UNWIND_UNKNOWN) */
};

#define UNWIND_ROWS_PER_BLOCK  (UNWIND_BLOCK_BYTES / sizeof(struct unwind_row))
#define UNWIND_PAGES_PER_BLOCK (UNWIND_BLOCK_BYTES / sizeof(struct unwind_page))

union unwind_block {
	struct unwind_row rows[UNWIND_ROWS_PER_BLOCK];
	struct unwind_page pages[UNWIND_PAGES_PER_BLOCK];
};
MEMDRIFT_ASSERT_SIZE(union unwind_block, UNWIND_BLOCK_BYTES);

/*
 * Blocks of the pool unless the user says otherwise: 8 MiB. Tables of call sites take 20 KiB for
 * libc, 108 for node, 400 for libLLVM, 916 for all of a JVM; full ones four to ten times that.
 */
#define UNWIND_POOL_BLOCKS 2048
/* With full tables of everything: 32 MiB. */
#define UNWIND_POOL_BLOCKS_FULL (4 * UNWIND_POOL_BLOCKS)

/*
 * An object (a file that is mapped as code). A walk looks for return addresses, which only follow
 * calls: the table of call sites has only rows that a call ends in (2 to 16 % of them). Where code
 * was interrupted (a signal, a page fault) any row can be meant: that takes the full table, which
 * is built when somebody needs it. Index: the blocks of struct unwind_page that begin here, one
 * entry for each page of the file from first_page on.
 */
enum unwind_table_kind { UNWIND_CALL_SITES, UNWIND_FULL, UNWIND_TABLE_KINDS };

#define UNWIND_NO_TABLE 0 /* block 0 is never given out */

struct unwind_object {
	uint32_t first_page, page_count;
	uint32_t index[UNWIND_TABLE_KINDS]; /* block, or UNWIND_NO_TABLE */
	/* The rule where no table was built at all: UNWIND_FRAME_POINTER for code that is made at
	 * run time and files without .eh_frame, UNWIND_UNKNOWN for what is still to be read or
	 * found no room. */
	uint32_t otherwise;
	uint32_t reserved; /* values of mmap'ed arrays begin at multiples of 8 */
};
MEMDRIFT_ASSERT_SIZE(struct unwind_object, 24);

/* 0 is "code of no file": frame pointers. A host runs some thousands of programs and libraries. */
#define UNWIND_OBJECTS_MAX      8192
#define UNWIND_OBJECT_ANONYMOUS 0
#define UNWIND_OBJECT_UNREAD    1 /* a file that user space has not looked at yet */

/* Executable mappings of a process, sorted by start, not overlapping. */
struct unwind_mapping {
	uint64_t start;
	uint32_t page_count;
	uint32_t file_page; /* of the object's file, where the mapping begins */
	uint32_t object;
	uint32_t reserved;
};
MEMDRIFT_ASSERT_SIZE(struct unwind_mapping, 24);

/* postgres has 44, a JVM 17, a browser some 150. */
#define UNWIND_MAPPINGS_MAX 512

/*
 * One address space's code, shared by the processes that forked from it. Never changed while
 * somebody may use it: a new one is written and the processes are moved to it. `generation`
 * changes when an image is given to somebody else; who read it before a walk and finds another one
 * afterwards drops that stack (LOSS_stacks_stale).
 */
struct unwind_image {
	uint32_t generation;
	uint32_t count;
	uint32_t users; /* processes that are on it */
	uint32_t reserved;
	struct unwind_mapping mappings[UNWIND_MAPPINGS_MAX];
};
MEMDRIFT_ASSERT_SIZE(struct unwind_image, 16 + 24 * UNWIND_MAPPINGS_MAX);

/* Value of the map from pid to image. */
struct unwind_process {
	uint32_t image;
	/* Counts changes by the kernel's side (exec, code mapped or unmapped), so that an image
	 * that user space made from an older /proc/PID/maps is not taken for a newer one. */
	uint32_t changes;
};
MEMDRIFT_ASSERT_SIZE(struct unwind_process, 8);

/*
 * Images at once: each is one program's code, whoever forked from it. 12 kB each, 12.6 MB. Number 0
 * is none.
 */
#define UNWIND_IMAGES_MAX 1024

/* What a walk asks user space for, by image. */
#define UNWIND_WANTS_FULL 1u /* full tables of its objects: a frame was interrupted */
#define UNWIND_WANTS_MAPS 2u /* /proc/PID/maps again: an address lies outside all code */

/* Argument of the program that moves a process to an image that user space has filled. */
struct unwind_publish {
	uint32_t pid;
	uint32_t image;   /* 0: only make the process known */
	uint32_t changes; /* of its unwind_process, from before /proc/PID/maps was read */
	uint32_t done;    /* out: 0: the process is gone, or has changed since */
	uint32_t freed;   /* out: the image that nobody is on any more, to be given back; 0: none */
	uint32_t forget;  /* instead: the process is not to be known any more */
};
MEMDRIFT_ASSERT_SIZE(struct unwind_publish, 24);

/* The file behind a mapping as the kernel knows it: stat() shows other numbers on overlayfs. */
struct unwind_inode {
	uint64_t dev; /* s_dev */
	uint64_t ino;
	uint64_t size; /* a file that was written anew in its place mostly has another one */
};
MEMDRIFT_ASSERT_SIZE(struct unwind_inode, 24);

/* Argument of the program that tells it of a mapping of the caller's own. */
struct unwind_find_inode {
	uint64_t address;
	struct unwind_inode inode; /* out; 0: none */
};
MEMDRIFT_ASSERT_SIZE(struct unwind_find_inode, 32);

/* Files that the kernel's side finds by itself when they are mapped. */
#define UNWIND_INODES_MAX UNWIND_OBJECTS_MAX

/*
 * Stacks are kept by content: a block of 16 words each, as many in a row as the stack needs. The
 * first word tells its depth, how it ended, and what the first frame is; then the addresses, leaf
 * first. A stack's id is the number of its first block.
 */
#define STACK_BLOCK_WORDS 16
#define STACK_BLOCKS_EACH ((1 + STACK_DEPTH + STACK_BLOCK_WORDS - 1) / STACK_BLOCK_WORDS)

struct stack_block {
	uint64_t words[STACK_BLOCK_WORDS];
};
MEMDRIFT_ASSERT_SIZE(struct stack_block, 128);

/* What the first address of a stack is. */
enum stack_leaf {
	STACK_LEAF_CALL, /* a return address: the function below it is not part of the stack */
	STACK_LEAF_SITE, /* where the program stood: a probed function's own address */
};

/*
 * How a walk ended. The first three are the outermost frame of a thread; after any other one the
 * stack lacks its root and is marked truncated. X(name, text for people).
 */
#define STACK_ENDS(X)                                                            \
	X(root, "the outermost frame")                                           \
	X(bp_zero, "a frame pointer of 0, as at the start of a thread")          \
	X(address_zero, "a return address of 0")                                 \
	X(unread_memory, "stack memory that could not be read")                  \
	X(no_rule, "code without unwind rules, or with one that is not handled") \
	X(no_mapping, "an address outside all code")                             \
	X(bad_pointer, "no frame where the frame pointer points")                \
	X(too_deep, "more than 127 frames")                                      \
	X(no_tables, "code whose tables were not loaded yet")                    \
	X(interrupted, "a signal handler's caller, without its full table yet")

#define STACK_END_ENUM(name, text) STACK_END_##name,
enum stack_end { STACK_ENDS(STACK_END_ENUM) STACK_ENDS_COUNT };
#undef STACK_END_ENUM

#define STACK_END_IS_ROOT(end) ((end) <= STACK_END_address_zero)

/* Blocks in all: 16 MiB, 65,536 stacks of 16 to 31 frames. */
#define STACK_BLOCKS_MAX 131072

#define STACK_HEADER_MAKE(depth, end, leaf) \
	((uint64_t)(depth) | (uint64_t)(end) << 8 | (uint64_t)(leaf) << 16)
#define STACK_HEADER_DEPTH(word) ((uint32_t)(word)&0xff)
#define STACK_HEADER_END(word)   ((uint32_t)((word) >> 8) & 0xff)
#define STACK_HEADER_LEAF(word)  ((uint32_t)((word) >> 16) & 0xff)

#endif
