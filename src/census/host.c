// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <unistd.h>

#include "census/proc_file.h"

/* Linux supports at most 8,192 CPUs (CONFIG_NR_CPUS); more than this is no list of CPUs. */
#define CPUS_MAX 65536

static const char *read_cpu(const char *p, unsigned int *cpu)
{
	const char *first = p;

	for (*cpu = 0; *p >= '0' && *p <= '9'; p++) {
		*cpu = *cpu * 10 + (*p - '0');
		if (*cpu >= CPUS_MAX)
			return NULL;
	}
	return p == first ? NULL : p;
}

int cpu_list__count(const char *text)
{
	const char *p = text;
	int count = 0;

	while (true) {
		unsigned int from, to;

		p = read_cpu(p, &from);
		if (!p)
			return -EINVAL;
		to = from;
		if (*p == '-') {
			p = read_cpu(p + 1, &to);
			if (!p || to < from)
				return -EINVAL;
		}
		count += to - from + 1;
		if (count > CPUS_MAX)
			return -EINVAL;
		if (*p != ',')
			break;
		p++;
	}
	return *p == '\0' || (*p == '\n' && p[1] == '\0') ? count : -EINVAL;
}

int host__cpus_online(void)
{
	char text[4096];
	ssize_t n = -1;
	int count = -EINVAL;
	int fd = open("/sys/devices/system/cpu/online", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		n = read_fully(fd, text, sizeof(text) - 1);
		close(fd);
	}
	if (n > 0) {
		text[n] = '\0';
		count = cpu_list__count(text);
	}
	/* Without sysfs: glibc's own fallbacks. */
	if (count < 1)
		count = sysconf(_SC_NPROCESSORS_ONLN);
	return count < 1 ? 1 : count;
}

uint64_t host__page_bytes(void)
{
	return sysconf(_SC_PAGESIZE);
}
