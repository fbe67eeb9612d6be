// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "census/ledger_rules.h"
#include "census/proc_maps.h"
#include "census/smaps.h"
#include "model/model.h"

#define PAGE 4096ULL
#define MB   (1ULL << 20)

/* ---- how far a program reaches ---- */

struct head {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdrs[4];
};

static struct head make_head(void)
{
	struct head head = {
		.ehdr = {.e_phoff = sizeof(Elf64_Ehdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 3},
		.phdrs = {{.p_type = PT_PHDR, .p_vaddr = 64, .p_memsz = 1ULL << 60},
			  {.p_type = PT_LOAD, .p_vaddr = 0, .p_memsz = 0x5000},
			  {.p_type = PT_LOAD,
			   .p_offset = 0x5000,
			   .p_vaddr = 0x6000,
			   .p_memsz = 0x9001}},
	};

	memcpy(head.ehdr.e_ident, ELFMAG, SELFMAG);
	head.ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	return head;
}

static uint64_t end_of(const struct head *head, uint64_t start)
{
	return image_end((const uint8_t *)head, sizeof(*head), start);
}

static void images_end_where_their_headers_say(void **state)
{
	const uint64_t at = 0x7f0000000000;
	struct head head = make_head();

	assert_true(end_of(&head, at) == at + 0x10000);
	/* Go's linker: a position-independent program that is linked at 0x400000. */
	head.phdrs[1].p_vaddr += 0x400000;
	head.phdrs[2].p_vaddr += 0x400000;
	assert_true(end_of(&head, at) == at + 0x10000);
}

static void headers_that_make_no_sense_have_no_end(void **state)
{
	struct head head = make_head(), bad;

	bad = head;
	bad.ehdr.e_ident[0] = 0;
	assert_true(end_of(&bad, PAGE) == 0);
	bad = head;
	bad.ehdr.e_phoff = UINT64_MAX - 8;
	assert_true(end_of(&bad, PAGE) == 0);
	bad = head;
	bad.ehdr.e_phnum = UINT16_MAX;
	assert_true(end_of(&bad, PAGE) == 0);
	bad = head;
	bad.phdrs[2].p_memsz = UINT64_MAX;
	assert_true(end_of(&bad, PAGE) == 0);
	bad = head;
	bad.phdrs[2].p_memsz = UINT64_MAX - bad.phdrs[2].p_vaddr - 1;
	assert_true(end_of(&bad, PAGE) == 0);
	bad = head;
	bad.phdrs[1].p_offset = bad.phdrs[2].p_offset = 1 << 20;
	assert_true(end_of(&bad, PAGE) == 0);
	assert_true(end_of(&head, UINT64_MAX - PAGE) == 0);
	for (size_t size = 0; size < sizeof(Elf64_Ehdr) + 3 * sizeof(Elf64_Phdr); size++)
		assert_true(image_end((uint8_t *)&head, size, PAGE) == 0);
	srand(5);
	for (int i = 0; i < 20000; i++) {
		uint8_t *bytes = (uint8_t *)&bad;

		bad = head;
		for (int k = rand() % 8; k >= 0; k--)
			bytes[16 + rand() % (sizeof(bad) - 16)] = rand() % 4 ? rand() : 0xff;
		assert_true(end_of(&bad, PAGE) == 0 || end_of(&bad, PAGE) > PAGE);
	}
}

/* ---- what a mapping is by itself ---- */

static enum mapping_kind kind_at(const struct mapping_rules *rules, size_t index)
{
	uint64_t end = rules->entries[index].end;

	return mapping_rules__kind(rules, index, rules->entries[index].start, &end);
}

static void mappings_are_told_by_name_place_and_size(void **state)
{
	static const struct {
		const char *line;
		enum mapping_kind kind;
	} lines[] = {
		{"00400000-00500000 r-xp 00000000 08:01 10 /bin/prog", MAPPING_BINARY},
		{"00500000-00510000 rw-p 00100000 08:01 10 /bin/prog", MAPPING_BINARY},
		{"00510000-20510000 rw-p 00000000 00:00 0", MAPPING_BSS}, /* headers unreadable */
		{"30000000-30100000 rw-p 00000000 00:00 0 [heap]", MAPPING_BRK},
		{"40000000-48000000 rw-p 00000000 00:00 0", MAPPING_LARGE},
		{"50000000-54010000 rw-p 00000000 00:00 0", MAPPING_LARGE}, /* merged with 64 KiB */
		{"60000000-64200000 rw-p 00000000 00:00 0", MAPPING_ANONYMOUS},
		{"70000000-78000000 ---p 00000000 00:00 0", MAPPING_ANONYMOUS},
		{"80000000-80001000 rw-p 00000000 00:00 0", MAPPING_ANONYMOUS},
		{"90000000-90003000 rw-p 00000000 00:00 0", MAPPING_LOADER},
		{"90003000-90023000 r--p 00000000 08:01 11 /lib/libdata.so.7", MAPPING_BINARY},
		{"91000000-91003000 r--p 00000000 08:01 12 /usr/share/some.sort", MAPPING_FILE},
		{"91003000-91103000 r--s 00000000 08:01 13 /var/cache", MAPPING_FILE},
		{"91200000-91300000 rw-s 00000000 00:01 14 /memfd:x (deleted)", MAPPING_SHMEM},
		{"91300000-91400000 rw-s 00000000 00:01 15 /SYSV00000000 (deleted)", MAPPING_SHMEM},
		{"91400000-91500000 rw-s 00000000 00:01 16 /dev/zero (deleted)", MAPPING_SHMEM},
		{"91500000-91600000 rw-p 00000000 00:05 17 /dev/zero", MAPPING_ANONYMOUS},
		{"91600000-91700000 rw-s 00000000 00:0f 18 anon_inode:[io_uring]", MAPPING_SHMEM},
		{"91700000-91800000 rw-p 00000000 00:00 0 [anon:name]", MAPPING_ANONYMOUS},
		{"91900000-91901000 rw-p 00000000 00:00 0 [sigpage]", MAPPING_UNKNOWN},
		{"92000000-92001000 --xp 00000000 00:00 0 [uprobes]", MAPPING_PROBES},
		{"93000000-93002000 rw-p 00000000 00:00 0", MAPPING_LOADER},
		{"93002000-93006000 r--p 00000000 00:00 0 [vvar]", MAPPING_KERNEL},
		{"93006000-93008000 r-xp 00000000 00:00 0 [vdso]", MAPPING_VDSO},
		{"94000000-94021000 rw-p 00000000 00:00 0 [stack]", MAPPING_MAIN_STACK},
	};
	enum { LINES = sizeof(lines) / sizeof(lines[0]) };
	struct page_runs none = {0};
	struct memory memory = {.pid = getpid(), .runs = &none};
	struct maps_entry *entries;
	struct mapping_rules rules;
	char text[LINES * 100] = "";
	size_t n;

	for (size_t i = 0; i < LINES; i++) {
		strcat(text, lines[i].line);
		strcat(text, "\n");
	}
	assert_int_equal(proc_maps__parse(text, strlen(text), &entries, &n), 0);
	assert_int_equal(n, LINES);
	assert_int_equal(mapping_rules__open(&rules, 0, entries, n, 0, &memory), 0);
	for (size_t i = 0; i < LINES; i++) {
		if (kind_at(&rules, i) != lines[i].kind)
			fail_msg("%s: %d, not %d", lines[i].line, kind_at(&rules, i),
				 lines[i].kind);
	}
	mapping_rules__close(&rules);
	maps_entries__free(entries, n);
}

static void the_break_begins_where_the_kernel_says(void **state)
{
	static const char text[] = "00400000-00500000 rw-p 00000000 08:01 10 /bin/prog\n"
				   "00500000-00900000 rw-p 00000000 00:00 0 [heap]\n";
	struct page_runs none = {0};
	struct memory memory = {.pid = getpid(), .runs = &none};
	struct maps_entry *entries;
	struct mapping_rules rules;
	uint64_t end = 0x900000;
	size_t n;

	assert_int_equal(proc_maps__parse(text, strlen(text), &entries, &n), 0);
	entries[0].prot |= PROT_EXEC;
	assert_int_equal(mapping_rules__open(&rules, 0, entries, n, 0x700000, &memory), 0);
	assert_int_equal(mapping_rules__kind(&rules, 1, 0x500000, &end), MAPPING_BSS);
	assert_true(end == 0x700000);
	end = 0x900000;
	assert_int_equal(mapping_rules__kind(&rules, 1, 0x700000, &end), MAPPING_BRK);
	assert_true(end == 0x900000);
	mapping_rules__close(&rules);
	maps_entries__free(entries, n);
}

static void sums_of_the_kernel_are_read(void **state)
{
	struct smaps_rollup rollup;
	struct memory_status status;
	char word[8];

	assert_int_equal(smaps_rollup__parse("1-2 ---p 0 00:00 0 [rollup]\nRss:  12 kB\nPss: 7 kB\n"
					     "Pss_Anon: 3 kB\nAnonHugePages: 2048 kB\n"
					     "Swap: 4 kB\nSwapPss: 2 kB\n",
					     &rollup),
			 0);
	assert_true(rollup.rss_bytes == 12 << 10 && rollup.pss_bytes == 7 << 10);
	assert_true(rollup.huge_bytes == 2 * MB && rollup.swap_bytes == 4 << 10);
	assert_int_equal(smaps_rollup__parse("", &rollup), -EINVAL);
	assert_int_equal(smaps_rollup__parse("Pss: 7 kB\n", &rollup), -EINVAL);
	memory_status__parse("Name:\tx\nVmHWM:\t  9 kB\nVmPTE:\t 44 kB\nTHP_enabled:\t0\n",
			     &status);
	assert_true(status.rss_peak_bytes == 9 << 10 && status.page_table_bytes == 44 << 10);
	assert_int_equal(status.thp_enabled, 0);
	memory_status__parse("Name:\tx\n", &status);
	assert_int_equal(status.thp_enabled, -1);
	bracketed_word("always [madvise] never\n", word, sizeof(word));
	assert_string_equal(word, "madvise");
	bracketed_word("always [madvised] never\n", word, sizeof(word));
	assert_string_equal(word, "");
	bracketed_word("always madvise [never]\n", word, sizeof(word));
	assert_string_equal(word, "never");
	bracketed_word("[never", word, sizeof(word));
	assert_string_equal(word, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(images_end_where_their_headers_say),
		cmocka_unit_test(headers_that_make_no_sense_have_no_end),
		cmocka_unit_test(mappings_are_told_by_name_place_and_size),
		cmocka_unit_test(the_break_begins_where_the_kernel_says),
		cmocka_unit_test(sums_of_the_kernel_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
