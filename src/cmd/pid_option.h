/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_PID_OPTION_H
#define MEMDRIFT_CMD_PID_OPTION_H

#include <stdint.h>

/* The argument of -p where it names one process. Returns -1 to go on, or an exit code after a
 * message. */
int pid_option__parse(const char *text, uint32_t *pid);

#endif
