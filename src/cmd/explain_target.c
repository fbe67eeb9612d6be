// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/explain_target.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "census/proc_stat.h"

static bool get_owner(uint32_t pid, uid_t *uid)
{
	struct stat st;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%u", pid);
	if (stat(path, &st))
		return false;
	*uid = st.st_uid;
	return true;
}

static void report_refused(uint32_t pid, int err)
{
	uid_t owner = 0;
	bool known = get_owner(pid, &owner);

	if (!geteuid())
		log_error("cannot read the memory of process %u: %s even to root; it needs "
			  "CAP_SYS_PTRACE, which a container or a security module may take away",
			  pid, strerror(-err));
	else if (known && owner == geteuid())
		log_error("cannot read the memory of process %u: %s although it is yours "
			  "(kernel.yama.ptrace_scope, or it is not dumpable); run it with sudo",
			  pid, strerror(-err));
	else
		log_error("cannot read the memory of process %u: %s, it belongs to another user; "
			  "run it with sudo",
			  pid, strerror(-err));
}

void explain_target__report(uint32_t pid, int err)
{
	switch (err) {
	case -ESRCH:
	case -ENOENT:
		log_error("cannot explain process %u: it ended while it was read", pid);
		break;
	case -ENODATA:
		log_error("cannot explain process %u: it is a kernel thread and has no memory of "
			  "its own; /proc/meminfo and slabtop tell of the kernel's",
			  pid);
		break;
	case -EACCES:
	case -EPERM:
		report_refused(pid, err);
		break;
	default:
		log_error("cannot explain process %u: %s", pid, strerror(-err));
	}
}

/* Of a program that is not of this machine's own kind none of the layouts is known. */
static int check_machine(uint32_t pid, const char *comm)
{
	/* Class, machine and version lie at the same place in both kinds of header. */
	unsigned char head[offsetof(Elf64_Ehdr, e_version)];
	uint16_t machine;
	char path[32];
	ssize_t got;
	int fd;

	snprintf(path, sizeof(path), "/proc/%u/exe", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	got = pread(fd, head, sizeof(head), 0);
	close(fd);
	if (got != (ssize_t)sizeof(head) || memcmp(head, ELFMAG, SELFMAG))
		return 0;
	memcpy(&machine, head + offsetof(Elf64_Ehdr, e_machine), sizeof(machine));
	if (head[EI_CLASS] == ELFCLASS64 && machine == EM_X86_64)
		return 0;
	if (head[EI_CLASS] == ELFCLASS32)
		log_error("cannot explain process %u (%s): it is a 32-bit program; only 64-bit "
			  "ones for x86-64 can be explained. /proc/%u/smaps lists its mappings",
			  pid, comm, pid);
	else
		log_error("cannot explain process %u (%s): it is a program for another machine "
			  "(ELF machine %u), run by an emulator",
			  pid, comm, machine);
	return -ENOTSUP;
}

int explain_target__find(uint32_t given, uint32_t *pid)
{
	struct proc_stat stat;
	int err = proc_tgid(given, pid);

	if (!err)
		err = proc_stat__read(*pid, &stat);
	if (err == -ESRCH || err == -ENOENT) {
		log_error("cannot explain process %u: there is no process or thread of this PID; "
			  "has it ended? `pgrep -a NAME` lists those of a name",
			  given);
		return err;
	}
	if (err) {
		explain_target__report(given, err);
		return err;
	}
	if (stat.is_kernel_thread) {
		explain_target__report(*pid, -ENODATA);
		return -ENODATA;
	}
	if (stat.is_zombie) {
		log_error("cannot explain process %u (%s): it has ended and waits for its parent "
			  "(process %u) to take note; it has no memory any more",
			  *pid, stat.comm, stat.ppid);
		return -ESRCH;
	}
	if (*pid != given)
		log_warning("%u is a thread of process %u (%s), which is explained", given, *pid,
			    stat.comm);
	return check_machine(*pid, stat.comm);
}
