// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "probe/feature_internal.h"

int feature_parse_release(const char *release, unsigned int *major, unsigned int *minor)
{
	/* Nine digits cannot overflow; no kernel has more. */
	if (sscanf(release, "%9u.%9u", major, minor) != 2)
		return -EINVAL;
	return 0;
}

enum lockdown feature_parse_lockdown(const char *text)
{
	if (strstr(text, "[none]"))
		return LOCKDOWN_NONE;
	if (strstr(text, "[integrity]"))
		return LOCKDOWN_INTEGRITY;
	if (strstr(text, "[confidentiality]"))
		return LOCKDOWN_CONFIDENTIALITY;
	return LOCKDOWN_UNKNOWN;
}

/* The value of `option` among comma-separated ones. */
static void find_option(const char *options, size_t len, const char *option, char *value,
			size_t size)
{
	size_t option_len = strlen(option);
	const char *end = options + len;

	value[0] = '\0';
	while (options < end) {
		const char *comma = memchr(options, ',', end - options);
		size_t item = (comma ? comma : end) - options;

		if (item > option_len && !memcmp(options, option, option_len) &&
		    options[option_len] == '=') {
			snprintf(value, size, "%.*s", (int)(item - option_len - 1),
				 options + option_len + 1);
		}
		options += item + 1;
	}
}

/*
 * One line: id parent major:minor root mount-point options [optional ...] - type source
 * super-options (Documentation/filesystems/proc.rst, 3.5).
 */
static bool parse_proc_line(const char *line, size_t len, const char *option, char *value,
			    size_t size)
{
	static const char separator[] = " - proc ";
	const char *mount_point = line, *type, *super;

	for (int field = 0; field < 4; field++) {
		mount_point = memchr(mount_point, ' ', line + len - mount_point);
		if (!mount_point)
			return false;
		mount_point++;
	}
	if ((size_t)(line + len - mount_point) < 6 || memcmp(mount_point, "/proc ", 6))
		return false;
	type = memmem(mount_point, line + len - mount_point, separator, strlen(separator));
	if (!type)
		return false;
	type += strlen(separator);
	super = memchr(type, ' ', line + len - type);
	if (!super)
		return false;
	super++;
	find_option(super, line + len - super, option, value, size);
	return true;
}

int feature_parse_proc_option(const char *mountinfo, const char *option, char *value, size_t size)
{
	bool found = false;

	value[0] = '\0';
	/* What is mounted last lies on top. */
	while (*mountinfo) {
		size_t len = strcspn(mountinfo, "\n");

		if (parse_proc_line(mountinfo, len, option, value, size))
			found = true;
		mountinfo += len;
		mountinfo += *mountinfo == '\n';
	}
	return found ? 0 : -ENOENT;
}

unsigned int feature_missing_capabilities(uint64_t effective, bool perf_uprobes, char *names,
					  size_t size)
{
	static const struct {
		int bit;
		bool covered_by_admin;
		const char *name;
	} needed[] = {
		{CAP_BPF, true, "CAP_BPF"},
		{CAP_PERFMON, true, "CAP_PERFMON"},
		/* Uprobes of perf ask for it although there is CAP_PERFMON (perf_uprobe_event_init
		 * in kernel/events/core.c). */
		{CAP_SYS_ADMIN, false, "CAP_SYS_ADMIN"},
		/* Maps, memory and root of processes of other users. */
		{CAP_SYS_PTRACE, false, "CAP_SYS_PTRACE"},
	};
	bool admin = effective & (1ull << CAP_SYS_ADMIN);
	unsigned int missing = 0;
	size_t used = 0;

	names[0] = '\0';
	for (size_t i = 0; i < sizeof(needed) / sizeof(needed[0]); i++) {
		if (effective & (1ull << needed[i].bit))
			continue;
		if (admin && needed[i].covered_by_admin)
			continue;
		if (needed[i].bit == CAP_SYS_ADMIN && !perf_uprobes)
			continue;
		if (used < size)
			used += snprintf(names + used, size - used, "%s%s", missing ? ", " : "",
					 needed[i].name);
		missing++;
	}
	return missing;
}

long feature_read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	long err = 0;

	buf[0] = '\0';
	if (fd < 0)
		return -errno;
	while (used < size - 1) {
		ssize_t n = read(fd, buf + used, size - 1 - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err = n < 0 ? -errno : 0;
			break;
		}
		used += n;
	}
	buf[used] = '\0';
	close(fd);
	return err ? err : (long)used;
}
