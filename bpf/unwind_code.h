/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_UNWIND_CODE_H
#define MEMDRIFT_BPF_UNWIND_CODE_H

/*
 * Code that a process maps, added to its image at once, so that the first call in it is walked as
 * well. User space looks at /proc/PID/maps later and knows more: of files that it has not prepared
 * before, here nothing is known but that they are there.
 */
#include "unwind_image.h"

#define VM_EXEC 4

/* One mapping, as the kernel has it. */
struct code {
	__u64 start, end;
	__u64 file_page;
	__u32 object;
	__u32 found;
};

static long find_code(struct task_struct *task, struct vm_area_struct *vma, struct code *code)
{
	struct file *file = vma->vm_file;
	struct unwind_inode inode = {};
	__u32 *object;

	if (!(vma->vm_flags & VM_EXEC))
		return 0;
	code->start = vma->vm_start;
	code->end = vma->vm_end;
	code->found = 1;
	if (!file)
		return 0;
	code->file_page = vma->vm_pgoff;
	read_inode(file, &inode);
	object = bpf_map_lookup_elem(&unwind_inodes, &inode);
	code->object = object ? *object : UNWIND_OBJECT_UNREAD;
	return 0;
}

/* While a new image is made of an old one; its count is in image->reserved until it is whole. */
struct code_step {
	const struct unwind_image *old;
	struct unwind_image *image;
	const struct code *code;
};

/* The part [start, end) of a mapping that began at `begin`. */
static __always_inline void put_part(struct unwind_image *image, __u64 start, __u64 end,
				     __u64 begin, __u32 file_page, __u32 object)
{
	__u32 at = image->reserved;
	struct unwind_mapping *mapping = &image->mappings[BELOW(at, UNWIND_MAPPINGS_MAX)];

	/* Beyond that walks end in no mapping. */
	if (at >= UNWIND_MAPPINGS_MAX || start >= end)
		return;
	mapping->start = start;
	mapping->page_count = (end - start) >> UNWIND_PAGE_SHIFT;
	mapping->file_page = file_page;
	if (object != UNWIND_OBJECT_ANONYMOUS)
		mapping->file_page += (start - begin) >> UNWIND_PAGE_SHIFT;
	mapping->object = object;
	mapping->reserved = 0;
	image->reserved = at + 1;
}

static __always_inline void put_code(struct unwind_image *image, const struct code *code)
{
	__u64 start = code->start;

	put_part(image, start, code->end, start, code->file_page, code->object);
}

/* Old mappings below or above the new one stay, of one that it covers the rest. */
static long copy_below(__u32 i, struct code_step *step)
{
	const struct unwind_mapping *old = &step->old->mappings[BELOW(i, UNWIND_MAPPINGS_MAX)];
	__u64 start = old->start, limit = step->code->start;
	__u64 end = start + ((__u64)old->page_count << UNWIND_PAGE_SHIFT);

	if (i >= step->old->count || start >= limit)
		return 1;
	put_part(step->image, start, end < limit ? end : limit, start, old->file_page, old->object);
	return 0;
}

static long copy_above(__u32 i, struct code_step *step)
{
	const struct unwind_mapping *old = &step->old->mappings[BELOW(i, UNWIND_MAPPINGS_MAX)];
	__u64 start = old->start, limit = step->code->end;
	__u64 end = start + ((__u64)old->page_count << UNWIND_PAGE_SHIFT);

	if (i >= step->old->count)
		return 1;
	put_part(step->image, start < limit ? limit : start, end, start, old->file_page,
		 old->object);
	return 0;
}

/* Whether the image has it already: a JIT protects the same code again and again. */
static __always_inline bool has_code(const struct unwind_image *image, const struct code *code)
{
	const struct unwind_mapping *mapping;
	__u64 skipped = code->start;

	mapping = &image->mappings[BELOW(search_mapping(image, skipped), UNWIND_MAPPINGS_MAX)];
	skipped -= mapping->start;
	return image->count && skipped < (__u64)mapping->page_count << UNWIND_PAGE_SHIFT &&
	       code->end - mapping->start <= (__u64)mapping->page_count << UNWIND_PAGE_SHIFT &&
	       mapping->object == code->object &&
	       (!mapping->object ||
		mapping->file_page + (skipped >> UNWIND_PAGE_SHIFT) == code->file_page);
}

/* A new image, the old one with this code; false: the process has got another one meanwhile. */
static __always_inline bool extend_image(struct unwind_process *process, const struct code *code)
{
	__u32 old = *(volatile __u32 *)&process->image, number;
	struct unwind_image *image;
	struct code_step step = {.old = image_at(old), .code = code};

	if (step.old && has_code(step.old, code))
		return true;
	number = take_image();
	image = image_at(number);
	if (!image)
		return true;
	step.image = image;
	image->reserved = 0;
	if (step.old)
		bpf_loop(UNWIND_MAPPINGS_MAX, copy_below, &step, 0);
	put_code(image, code);
	if (step.old)
		bpf_loop(UNWIND_MAPPINGS_MAX, copy_above, &step, 0);
	*(volatile __u32 *)&image->count = image->reserved;
	if (replace_image(process, old, number))
		return true;
	drop_image(number);
	return false;
}

#define CODE_IS_NEW  (1u << 0) /* a program that begins: all that it has is added */
#define CODE_IS_VDSO (1u << 1)

/*
 * The mapping at that address of the current process. One that user space has not looked at yet
 * gets no image by this: it has more than what was added.
 */
__weak __noinline int add_code(__u64 address, __u32 flags)
{
	__u32 pid = bpf_get_current_pid_tgid() >> 32;
	struct unwind_process *process = bpf_map_lookup_elem(&unwind_procs, &pid);
	struct code code = {};

	if (!process)
		return 0;
	/* Before anything is looked at: a reading of /proc that began earlier is too old. */
	__sync_fetch_and_add(&process->changes, 1);
	if (!(flags & CODE_IS_NEW) && !process->image)
		return 0;
	/* It fails when the address space is locked; user space will see it. */
	if (bpf_find_vma(bpf_get_current_task_btf(), address, find_code, &code, 0) || !code.found)
		return 0;
	if (flags & CODE_IS_VDSO)
		code.object = unwind_vdso ? unwind_vdso : UNWIND_OBJECT_UNREAD;
	/* Threads that map code at the same time. */
	for (int i = 0; i < 3; i++)
		if (extend_image(process, &code))
			break;
	return 0;
}

#endif
