// flags: -O0
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A program that looks like one of Go's and whose debugging information takes hours to read: two
 * million entries inside each other, each with a hundred thousand attributes of no size. Says
 * "ready PID" and stands still until a line comes.
 */
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

__asm__(".section .debug_abbrev, \"\", @progbits\n"
	"abbreviations:\n"
	/* A unit with a name, and a structure with children and many attributes. */
	".uleb128 1, 0x11\n.byte 1\n.uleb128 0x03, 0x08, 0, 0\n"
	".uleb128 2, 0x13\n.byte 1\n"
	".rept 100000\n.uleb128 0x2001, 0x19\n.endr\n"
	".uleb128 0, 0\n.byte 0\n"
	".section .debug_info, \"\", @progbits\n"
	".long 2f - 1f\n"
	"1: .short 4\n.long abbreviations\n.byte 8\n"
	".uleb128 1\n.asciz \"runtime\"\n"
	".fill 2000000, 1, 2\n"
	"2:\n"
	/* The version lies in it, as of Go 1.18. */
	".section .go.buildinfo, \"aw\", @progbits\n"
	".balign 16\n"
	".ascii \"\\xff Go buildinf:\"\n"
	".byte 8, 2\n.fill 16, 1, 0\n"
	".byte 8\n.ascii \"go1.19.8\"\n.byte 0\n"
	".data\n"
	".macro variable name\n"
	".globl \\name\n.type \\name, @object\n.size \\name, 64\n\\name: .fill 64, 1, 0\n"
	".endm\n"
	"variable runtime.gcController\nvariable runtime.memstats\nvariable runtime.mheap_\n"
	".text\n");

int main(void)
{
	printf("ready %d\n", getpid());
	fflush(stdout);
	return getchar() == EOF;
}
