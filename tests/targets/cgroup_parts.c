// flags: -O2 -g
/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/*
 * Enters a control group and fills it with memory of each kind, of known size:
 *
 *	--group DIR     the group's directory
 *	--dir DIR       an empty one, for its files
 *	--anon MB       anonymous memory, which a child has as well
 *	--cache MB      a file that is written and not mapped
 *	--mapped MB     a file that is mapped and read
 *	--tmpfs MB      a file of a tmpfs, not mapped
 *	--shared MB     shared anonymous memory, which is mapped
 *	--same-memory   the child runs in its parent's memory (CLONE_VM) and not in a copy
 *
 * Says "ready", writes the bytes of each to $TRUTH and waits for a line. Its mounts are its own and
 * end with it.
 */
#define _GNU_SOURCE
#include <linux/magic.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "truth.h"

#define MB (1024 * 1024ul)

static const char *group, *dir;
static uint64_t anon_mb, cache_mb, mapped_mb, tmpfs_mb, shared_mb;
static bool same_memory;
static char child_stack[65536] __attribute__((aligned(16)));
static char chunk[MB];

static void enter_group(void)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, "0\n", 2) != 2)
		die(path);
	close(fd);
}

/* Page cache is what a file system has that is no tmpfs: where there is none, a ramfs. */
static void mount_own(void)
{
	char path[PATH_MAX];
	struct statfs fs;

	if (unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		die("a mount namespace of its own");
	if (statfs(dir, &fs))
		die(dir);
	if ((fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC) &&
	    mount("files", dir, "ramfs", 0, NULL))
		die("ramfs");
	snprintf(path, sizeof(path), "%s/tmpfs", dir);
	if (mkdir(path, 0700) || mount("tmpfs", path, "tmpfs", 0, NULL))
		die(path);
}

static int write_file(const char *name, uint64_t mb)
{
	char path[PATH_MAX];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		die(path);
	for (uint64_t i = 0; i < mb; i++) {
		if (write(fd, chunk, MB) != (ssize_t)MB)
			die(path);
	}
	return fd;
}

static char *map(uint64_t mb, int prot, int flags, int fd)
{
	char *p;

	if (!mb)
		return NULL;
	p = mmap(NULL, mb * MB, prot, flags, fd, 0);
	if (p == MAP_FAILED)
		die("mmap");
	/* Small pages: what is told of them does not depend on the host's settings. */
	madvise(p, mb * MB, MADV_NOHUGEPAGE);
	return p;
}

static void touch(char *p, uint64_t mb, bool for_writing)
{
	for (uint64_t i = 0; i < mb * MB; i += 4096) {
		if (for_writing)
			p[i] = 1;
		else
			(void)*(volatile char *)(p + i);
	}
}

static int child(void *arg)
{
	(void)arg;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Its parent's end is its own. */
	while (pause())
		;
	return 0;
}

static void start_child(void)
{
	int pid = same_memory ? clone(child, child_stack + sizeof(child_stack), CLONE_VM | SIGCHLD,
				      NULL)
			      : fork();

	if (pid < 0)
		die("child");
	if (pid == 0)
		child(NULL);
	say_pids("ready", &pid, 1);
}

int main(int argc, char **argv)
{
	const struct target_option options[] = {{"group", .string = &group},
						{"dir", .string = &dir},
						{"anon", .number = &anon_mb},
						{"cache", .number = &cache_mb},
						{"mapped", .number = &mapped_mb},
						{"tmpfs", .number = &tmpfs_mb},
						{"shared", .number = &shared_mb},
						{"same-memory", .flag = &same_memory},
						{0}};
	static struct truth t;

	(void)argc;
	if (!parse_options(argv, options) || !group || !dir)
		usage("usage: cgroup_parts --group DIR --dir DIR [--anon MB] [--cache MB] ...\n");
	enter_group();
	mount_own();
	touch(map(anon_mb, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1), anon_mb, true);
	write_file("cache", cache_mb);
	touch(map(mapped_mb, PROT_READ, MAP_SHARED, write_file("mapped", mapped_mb)), mapped_mb,
	      false);
	write_file("tmpfs/file", tmpfs_mb);
	touch(map(shared_mb, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1), shared_mb,
	      true);
	truth__open(&t, NULL, "{");
	truth__number(&t, "anon", anon_mb * MB);
	truth__number(&t, "cache", cache_mb * MB);
	truth__number(&t, "mapped", mapped_mb * MB);
	truth__number(&t, "tmpfs", tmpfs_mb * MB);
	truth__number(&t, "shared", shared_mb * MB);
	truth__close(&t, "}");
	truth__write(&t);
	start_child();
	wait_line();
	_exit(0);
}
