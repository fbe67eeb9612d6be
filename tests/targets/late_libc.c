// flags: -O2 -g -static -nostdlib -ffreestanding -fno-stack-protector -fno-pie -no-pie
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * A static program without a C library that gets one by itself at run time, as programs do that
 * reach libc without being linked with it: it maps ld.so by hand and hands itself over to it,
 * with another program to load. No interpreter in its ELF header, no exec.
 *
 *   late_libc [--wait] PROGRAM ARGS...     --wait: "static PID", then a line is awaited
 *
 * The truth is the loaded program's.
 */
#include <elf.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#define LOADER   "/lib64/ld-linux-x86-64.so.2"
#define PAGE     4096UL
#define O_RDONLY 0

static long raw(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

/* gcc may call these for copies and loops of its own, also in freestanding code */
void *memset(void *to, int c, size_t n);

__attribute__((noinline)) void *memset(void *to, int c, size_t n)
{
	for (volatile char *p = to; n--; p++)
		*p = (char)c;
	return to;
}

static _Noreturn void give_up(const char *why, size_t len)
{
	raw(SYS_write, 2, (long)why, (long)len, 0, 0, 0);
	raw(SYS_exit_group, 3, 0, 0, 0, 0, 0);
	__builtin_unreachable();
}

#define GIVE_UP(why) give_up("late_libc: " why "\n", sizeof("late_libc: " why "\n") - 1)

static void map_segment(int fd, uintptr_t base, const Elf64_Phdr *p)
{
	uintptr_t start = (base + p->p_vaddr) & -PAGE, end = base + p->p_vaddr + p->p_memsz;
	uintptr_t file_end = base + p->p_vaddr + p->p_filesz;
	uintptr_t file_pages = (file_end + PAGE - 1) & -PAGE;
	int prot = (p->p_flags & PF_R ? PROT_READ : 0) | (p->p_flags & PF_W ? PROT_WRITE : 0) |
		   (p->p_flags & PF_X ? PROT_EXEC : 0);

	if (raw(SYS_mmap, (long)start, (long)(file_end - start), prot, MAP_PRIVATE | MAP_FIXED, fd,
		(long)(p->p_offset & -PAGE)) < 0)
		GIVE_UP("cannot map a segment of " LOADER);
	if (!(p->p_flags & PF_W) || p->p_memsz == p->p_filesz)
		return;
	memset((void *)file_end, 0, file_pages - file_end);
	if (end > file_pages)
		raw(SYS_mmap, (long)file_pages, (long)(end - file_pages), prot,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}

/* Returns the address of ld.so's ELF header. */
static uintptr_t map_loader(void)
{
	int fd = (int)raw(SYS_open, (long)LOADER, O_RDONLY, 0, 0, 0, 0);
	static char head[PAGE];
	const Elf64_Ehdr *ehdr = (const Elf64_Ehdr *)head;
	const Elf64_Phdr *phdr;
	uintptr_t end = 0;
	long base;

	if (fd < 0 || raw(SYS_read, fd, (long)head, sizeof(head), 0, 0, 0) != sizeof(head))
		GIVE_UP("cannot read " LOADER);
	if (ehdr->e_phoff + ehdr->e_phnum * sizeof(*phdr) > sizeof(head))
		GIVE_UP("odd program headers in " LOADER);
	phdr = (const Elf64_Phdr *)(head + ehdr->e_phoff);
	for (int i = 0; i < ehdr->e_phnum; i++)
		if (phdr[i].p_type == PT_LOAD && phdr[i].p_vaddr + phdr[i].p_memsz > end)
			end = phdr[i].p_vaddr + phdr[i].p_memsz;
	base = raw(SYS_mmap, 0, (long)end, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (base < 0)
		GIVE_UP("no room for " LOADER);
	for (int i = 0; i < ehdr->e_phnum; i++)
		if (phdr[i].p_type == PT_LOAD)
			map_segment(fd, (uintptr_t)base, &phdr[i]);
	raw(SYS_close, fd, 0, 0, 0, 0, 0);
	return (uintptr_t)base;
}

/* An entry point of its own tells ld.so that it was started as a program itself. */
static void point_auxv_at(Elf64_auxv_t *aux, uintptr_t base)
{
	const Elf64_Ehdr *ehdr = (const Elf64_Ehdr *)base;

	for (; aux->a_type != AT_NULL; aux++) {
		if (aux->a_type == AT_PHDR)
			aux->a_un.a_val = base + ehdr->e_phoff;
		else if (aux->a_type == AT_PHNUM)
			aux->a_un.a_val = ehdr->e_phnum;
		else if (aux->a_type == AT_ENTRY)
			aux->a_un.a_val = base + ehdr->e_entry;
		else if (aux->a_type == AT_BASE)
			aux->a_un.a_val = 0;
	}
}

static void announce(void)
{
	char line[32] = "static ", digits[16];
	long pid = raw(SYS_getpid, 0, 0, 0, 0, 0, 0), len = 7, n = 0;
	char c = 0;

	for (; pid; pid /= 10)
		digits[n++] = (char)('0' + pid % 10);
	while (n)
		line[len++] = digits[--n];
	line[len++] = '\n';
	raw(SYS_write, 1, (long)line, len, 0, 0, 0);
	while (raw(SYS_read, 0, (long)&c, 1, 0, 0, 0) == 1 && c != '\n')
		;
}

/*
 * The stack as the kernel left it: argc, argv, NULL, environment, NULL, auxiliary vector. For
 * ld.so argv[0] is itself and argv[1] the program, or an option of its own: what stands in the
 * place of --wait then only makes it look for libraries without its cache.
 */
uintptr_t late_main(uintptr_t *stack);

uintptr_t late_main(uintptr_t *stack)
{
	static const char wait[] = "--wait";
	const char *option = (const char *)stack[2];
	uintptr_t argc = stack[0], *p = stack + 1 + argc + 1, base;
	size_t same = 0;

	if (argc < 2)
		GIVE_UP("usage: late_libc [--wait] PROGRAM ARGS...");
	while (*p)
		p++;
	while (same < sizeof(wait) && option[same] == wait[same])
		same++;
	if (same == sizeof(wait)) {
		announce();
		stack[2] = (uintptr_t) "--inhibit-cache";
	}
	base = map_loader();
	point_auxv_at((Elf64_auxv_t *)(p + 1), base);
	return base + ((const Elf64_Ehdr *)base)->e_entry;
}

__asm__(".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov %rsp, %rdi\n"
	"	mov %rsp, %rbx\n"
	"	and $-16, %rsp\n"
	"	call late_main\n"
	"	mov %rbx, %rsp\n"
	"	xor %edx, %edx\n"
	"	jmp *%rax\n");
