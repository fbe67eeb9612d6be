// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What user space has done in the kernel; run by bpf(BPF_PROG_TEST_RUN). */
#include "unwind_image.h"

/*
 * Moves a process to an image that was filled for it. Done only when nothing has changed since:
 * what the kernel's side has found out meanwhile is newer.
 */
SEC("syscall")
int unwind_publish(struct unwind_publish *publish)
{
	__u32 pid = publish->pid, image = publish->image, old;
	struct unwind_process *process, fresh = {};

	publish->done = 0;
	publish->freed = 0;
	process = bpf_map_lookup_elem(&unwind_procs, &pid);
	if (!process) {
		if (image)
			return 0;
		publish->done = !bpf_map_update_elem(&unwind_procs, &pid, &fresh, BPF_NOEXIST);
		return 0;
	}
	old = *(volatile __u32 *)&process->image;
	if (publish->forget) {
		publish->done = !bpf_map_delete_elem(&unwind_procs, &pid);
		if (publish->done && leave_image(old))
			publish->freed = old;
		return 0;
	}
	if (!image || *(volatile __u32 *)&process->changes != publish->changes)
		return 0;
	if (__sync_val_compare_and_swap(&process->image, old, image) != old)
		return 0;
	publish->done = 1;
	/* Such programs may not use queues before 6.2: the caller gives it back. */
	if (leave_image(old))
		publish->freed = old;
	return 0;
}

static long tell_inode(struct task_struct *task, struct vm_area_struct *vma,
		       struct unwind_find_inode *find)
{
	struct file *file = vma->vm_file;

	if (!file)
		return 0;
	read_inode(file, &find->inode);
	return 0;
}

/* Which file the kernel sees behind an address of the caller's own. */
SEC("syscall")
int unwind_find_inode(struct unwind_find_inode *argument)
{
	struct unwind_find_inode find = {.address = argument->address};

	if (bpf_find_vma(bpf_get_current_task_btf(), find.address, tell_inode, &find, 0))
		return 1;
	argument->inode = find.inode;
	return 0;
}
