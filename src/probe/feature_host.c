// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "probe/feature_internal.h"
#include "probe/tracepoint.h"

/* Inodes of the initial namespaces, fixed in include/linux/proc_ns.h since 3.8. */
#define INITIAL_USER_NAMESPACE_INODE 0xEFFFFFFDu
#define INITIAL_PID_NAMESPACE_INODE  0xEFFFFFFCu

/* The oldest kernel that memdrift is tested on. */
#define KERNEL_MAJOR_MIN 6
#define KERNEL_MINOR_MIN 1

uint64_t feature_capabilities(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};

	if (syscall(SYS_capget, &header, data))
		return 0;
	return data[0].effective | (uint64_t)data[1].effective << 32;
}

static bool has_capability(int capability)
{
	return feature_capabilities() & (1ull << capability);
}

bool feature_in_initial_user_namespace(void)
{
	struct stat st;

	/* Without /proc nothing says so: then the attempt itself has to. */
	return stat("/proc/self/ns/user", &st) || st.st_ino == INITIAL_USER_NAMESPACE_INODE;
}

bool feature_may_use_bpf(void)
{
	if (!feature_in_initial_user_namespace())
		return false;
	return has_capability(CAP_SYS_ADMIN) ||
	       (has_capability(CAP_BPF) && has_capability(CAP_PERFMON));
}

/* Before 6.10 a multi link for a process misses its threads (46ba0e49b642), and perf's take over.
 */
static bool needs_perf_uprobes(void)
{
	unsigned int major, minor;
	struct utsname name;

	if (uname(&name) || feature_parse_release(name.release, &major, &minor))
		return true;
	return major < 6 || (major == 6 && minor < 10);
}

void probe_kernel_version(struct feature *feature)
{
	unsigned int major, minor;
	struct utsname name;

	if (uname(&name) || feature_parse_release(name.release, &major, &minor)) {
		feature__set_unknown(feature, "uname() gives no version");
		return;
	}
	if (major > KERNEL_MAJOR_MIN || (major == KERNEL_MAJOR_MIN && minor >= KERNEL_MINOR_MIN))
		feature__set_yes(feature, "kernel %s", name.release);
	else
		feature__set_no(feature, "use a newer kernel", "kernel %s is older than %d.%d",
				name.release, KERNEL_MAJOR_MIN, KERNEL_MINOR_MIN);
}

void probe_capabilities(struct feature *feature)
{
	char missing[80];
	unsigned int n;

	n = feature_missing_capabilities(feature_capabilities(), needs_perf_uprobes(), missing,
					 sizeof(missing));
	if (n)
		feature__set_no(feature, "run it as root, for example with sudo",
				"%s %s missing (running as uid %u)", missing, n > 1 ? "are" : "is",
				(unsigned int)geteuid());
	else if (!feature_in_initial_user_namespace())
		feature__set_no(feature, "run it as root of the host",
				"this is a user namespace, whose capabilities do not count for "
				"bpf() and perf_event_open()");
	else
		feature__set_yes(feature, "%s and CAP_SYS_PTRACE, uid %u",
				 has_capability(CAP_SYS_ADMIN) ? "CAP_SYS_ADMIN"
							       : "CAP_BPF, CAP_PERFMON",
				 (unsigned int)geteuid());
}

void probe_pid_namespace(struct feature *feature)
{
	struct stat st;

	if (stat("/proc/self/ns/pid", &st))
		feature__set_unknown(feature, "cannot read /proc/self/ns/pid: %s", strerror(errno));
	else if (st.st_ino == INITIAL_PID_NAMESPACE_INODE)
		feature__set_yes(feature, "the host's");
	else
		feature__set_no(feature, "run it on the host, or the container with --pid=host",
				"memdrift is in a PID namespace of its own and would take other "
				"processes for those that the kernel reports");
}

void probe_proc(struct feature *feature)
{
	char hidepid[16], self[16] = "", *mountinfo;
	const size_t size =
		1 << 20; /* some thousand mounts; beyond it the last ones are not seen */
	long n;

	n = readlink("/proc/self", self, sizeof(self) - 1);
	if (n < 0) {
		feature__set_no(feature, "mount it: mount -t proc proc /proc",
				"/proc is not mounted");
		return;
	}
	if (atoi(self) != getpid()) {
		feature__set_no(feature, "mount the one of this PID namespace on /proc",
				"/proc belongs to another PID namespace");
		return;
	}
	mountinfo = malloc(size);
	n = mountinfo ? feature_read_file("/proc/self/mountinfo", mountinfo, size) : -ENOMEM;
	if (n >= 0)
		n = feature_parse_proc_option(mountinfo, "hidepid", hidepid, sizeof(hidepid));
	free(mountinfo);
	if (n < 0)
		feature__set_yes(feature, "mounted; its options cannot be read: %s", strerror(-n));
	else if (!hidepid[0] || !strcmp(hidepid, "0") || !strcmp(hidepid, "off"))
		feature__set_yes(feature, "shows every process");
	else if (has_capability(CAP_SYS_PTRACE))
		feature__set_yes(feature, "hidepid=%s, which CAP_SYS_PTRACE sees through", hidepid);
	else
		feature__set_no(feature, "run it as root, for example with sudo",
				"/proc hides processes of other users (hidepid=%s)", hidepid);
}

/* A detached mount belongs to this process alone and goes with its descriptor. -errno. */
static int mount_detached(const char *type)
{
	int context, mount = -1, err = 0;

	context = fsopen(type, FSOPEN_CLOEXEC);
	if (context < 0)
		return -errno;
	if (!fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		mount = fsmount(context, FSMOUNT_CLOEXEC, 0);
	if (mount < 0)
		err = -errno;
	close(context);
	return err ? err : mount;
}

void probe_tracefs(struct feature *feature)
{
	int fd = tracefs__open();
	struct statfs fs;
	int events;

	if (fd < 0) {
		if (fd == -EPERM)
			feature__set_no(feature, "run it as root, or mount tracefs there",
					"tracefs is not mounted on /sys/kernel/tracing and a mount "
					"of its own is refused: %s",
					strerror(-fd));
		else
			feature__set_no(feature, "the kernel must have CONFIG_EVENT_TRACING",
					"tracefs cannot be mounted: %s", strerror(-fd));
		return;
	}
	events = openat(fd, "events", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (events < 0)
		feature__set_no(feature,
				errno == EACCES ? "run it as root, for example with sudo"
						: "is the kernel locked down?",
				"cannot read tracefs: %s", strerror(errno));
	else if (!statfs("/sys/kernel/tracing", &fs) && fs.f_type == TRACEFS_MAGIC)
		feature__set_yes(feature, "mounted on /sys/kernel/tracing");
	else
		feature__set_yes(feature, "not mounted; a detached mount for memdrift alone works");
	if (events >= 0)
		close(events);
	close(fd);
}

/* As feature_read_file, also where securityfs is not mounted. */
static long read_lockdown(char *buf, size_t size)
{
	long n = feature_read_file("/sys/kernel/security/lockdown", buf, size);
	char path[40];
	int fd;

	if (n != -ENOENT)
		return n;
	fd = mount_detached("securityfs");
	if (fd < 0)
		return fd;
	snprintf(path, sizeof(path), "/proc/self/fd/%d/lockdown", fd);
	n = feature_read_file(path, buf, size);
	close(fd);
	/* The module makes this file when it starts: securityfs without it is a kernel without it.
	 */
	if (n == -ENOENT)
		n = snprintf(buf, size, "[none]");
	return n;
}

void probe_lockdown(struct feature *feature)
{
	char text[128];
	long n = read_lockdown(text, sizeof(text));

	if (n < 0) {
		feature__set_unknown(feature, "securityfs cannot be read: %s", strerror(-n));
		return;
	}
	switch (feature_parse_lockdown(text)) {
	case LOCKDOWN_NONE:
		feature__set_yes(feature, "the kernel is not locked down");
		break;
	case LOCKDOWN_INTEGRITY:
		feature__set_yes(feature, "lockdown=integrity, which allows tracing");
		break;
	case LOCKDOWN_CONFIDENTIALITY:
		feature__set_no(feature, "boot with lockdown=integrity or without",
				"the kernel is locked down (lockdown=confidentiality), which "
				"forbids BPF programs to read memory");
		break;
	default:
		feature__set_unknown(feature, "/sys/kernel/security/lockdown is not as expected");
	}
}

void probe_btf(struct feature *feature)
{
	static const char path[] = "/sys/kernel/btf/vmlinux";
	unsigned char magic[2];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		feature__set_no(feature,
				errno == ENOENT ? "the kernel must have CONFIG_DEBUG_INFO_BTF and "
						  "/sys must be mounted"
						: "",
				"cannot read %s: %s", path, strerror(errno));
		return;
	}
	/* BTF_MAGIC, in the byte order of this kernel */
	if (read(fd, magic, sizeof(magic)) != sizeof(magic) || magic[0] != 0x9f || magic[1] != 0xeb)
		feature__set_no(feature, "", "%s does not hold BTF", path);
	else
		feature__set_yes(feature, "%s", path);
	close(fd);
}
