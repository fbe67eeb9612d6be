// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/pid_option.h"

#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "cmd/cmd.h"

int pid_option__parse(const char *text, uint32_t *pid)
{
	unsigned long value;
	char *end;

	errno = 0;
	value = strtoul(text, &end, 10);
	/* PID_MAX_LIMIT of include/linux/threads.h */
	if (errno || *end || *text < '0' || *text > '9' || !value || value > 4194304) {
		log_error("-p \"%s\": a PID is a number from 1 to 4194304", text);
		return EXIT_USAGE;
	}
	*pid = (uint32_t)value;
	return -1;
}
