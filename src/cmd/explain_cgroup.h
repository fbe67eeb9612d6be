/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_EXPLAIN_CGROUP_H
#define MEMDRIFT_CMD_EXPLAIN_CGROUP_H

#include <stdbool.h>
#include <stdio.h>

/*
 * `memdrift explain --cgroup PATH`: what a control group's memory is, as text or as one JSON
 * object. EXIT_OK, or EXIT_FAILED with a message on stderr.
 */
int explain_cgroup(const char *path, bool json, FILE *out);

#endif
