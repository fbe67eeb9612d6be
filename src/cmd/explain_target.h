/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_EXPLAIN_TARGET_H
#define MEMDRIFT_CMD_EXPLAIN_TARGET_H

#include <stdint.h>

/* The process that `memdrift explain -p` means: of a thread's id its process. 0, or a negative
 * errno after a message that says why it cannot be explained. */
int explain_target__find(uint32_t given, uint32_t *pid);

/* The message for what explanation__read() failed with. */
void explain_target__report(uint32_t pid, int err);

#endif
