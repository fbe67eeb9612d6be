/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BPF_UNWIND_IMAGE_H
#define MEMDRIFT_BPF_UNWIND_IMAGE_H

/*
 * Who is on which image (memdrift/unwind.h). Only programs move processes from one image to
 * another, for user space as well, so that the count of users is right.
 */
#include "unwind.h"

/* Numbers of images that nobody is on. */
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, UNWIND_IMAGES_MAX);
	__type(value, __u32);
} unwind_free __weak SEC(".maps");

/* The object of a file, for those that user space has prepared. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, UNWIND_INODES_MAX);
	__type(key, struct unwind_inode);
	__type(value, __u32);
} unwind_inodes __weak SEC(".maps");

/* The vDSO's object, once user space knows it. */
__u32 unwind_vdso __weak;

/* Of a pointer that the verifier knows. */
static __always_inline void read_inode(struct file *file, struct unwind_inode *inode)
{
	inode->dev = file->f_inode->i_sb->s_dev;
	inode->ino = file->f_inode->i_ino;
	inode->size = file->f_inode->i_size;
}

static __always_inline struct unwind_image *image_at(__u32 number)
{
	return number ? bpf_map_lookup_elem(&unwind_images, &number) : NULL;
}

/* One user less. True: it was the last one. From here on walks that are on it are stale. */
static __always_inline bool leave_image(__u32 number)
{
	struct unwind_image *image = image_at(number);

	if (!image || __sync_fetch_and_add(&image->users, -1) != 1)
		return false;
	__sync_fetch_and_add(&image->generation, 1);
	unwind_wants[BELOW(number, UNWIND_IMAGES_MAX)] = 0;
	return true;
}

/* The same, and it is free. */
static __always_inline void drop_image(__u32 number)
{
	if (leave_image(number))
		bpf_map_push_elem(&unwind_free, &number, 0);
}

/* One user more, unless it has none left: then it is about to be somebody else's. */
static __always_inline bool join_image(__u32 number)
{
	struct unwind_image *image = image_at(number);

	for (int i = 0; image && i < 16; i++) {
		__u32 users = *(volatile __u32 *)&image->users;

		if (!users)
			return false;
		if (__sync_val_compare_and_swap(&image->users, users, users + 1) == users)
			return true;
	}
	return false;
}

/* An empty one with one user; its number, 0: none is left. */
static __always_inline __u32 take_image(void)
{
	struct unwind_image *image;
	__u32 number = 0;

	if (bpf_map_pop_elem(&unwind_free, &number)) {
		count_loss(LOSS_unwind_images_full);
		return 0;
	}
	image = image_at(number);
	if (!image)
		return 0;
	image->users = 1;
	image->count = 0;
	return number;
}

/* The process has another image, whose user it is already. */
static __always_inline void set_image(struct unwind_process *process, __u32 number)
{
	drop_image(__sync_lock_test_and_set(&process->image, number));
}

/* The same, but only when nobody else has moved it from `old` meanwhile. */
static __always_inline bool replace_image(struct unwind_process *process, __u32 old, __u32 number)
{
	if (__sync_val_compare_and_swap(&process->image, old, number) != old)
		return false;
	drop_image(old);
	return true;
}

/* The process ended. */
static __always_inline void forget_image(__u32 pid)
{
	struct unwind_process *process = bpf_map_lookup_elem(&unwind_procs, &pid);

	if (!process)
		return;
	set_image(process, 0);
	bpf_map_delete_elem(&unwind_procs, &pid);
}

/* A new program: all that was known is of another one. The process's entry, or NULL. */
static __always_inline struct unwind_process *renew_process(__u32 pid)
{
	struct unwind_process *process = bpf_map_lookup_elem(&unwind_procs, &pid), fresh = {};

	if (!process) {
		bpf_map_update_elem(&unwind_procs, &pid, &fresh, BPF_NOEXIST);
		process = bpf_map_lookup_elem(&unwind_procs, &pid);
	}
	if (!process)
		return NULL;
	__sync_fetch_and_add(&process->changes, 1);
	set_image(process, 0);
	return process;
}

/* A child has its parent's code. */
static __always_inline void share_image(__u32 parent_pid, __u32 child_pid)
{
	struct unwind_process *parent = bpf_map_lookup_elem(&unwind_procs, &parent_pid);
	struct unwind_process child = {}, *old;

	if (parent && parent->image && join_image(parent->image))
		child.image = parent->image;
	if (!bpf_map_update_elem(&unwind_procs, &child_pid, &child, BPF_NOEXIST))
		return;
	/* Left behind by a process that had the pid before and was looked at after its end. */
	old = bpf_map_lookup_elem(&unwind_procs, &child_pid);
	if (old)
		set_image(old, child.image);
	else
		drop_image(child.image);
}

#endif
