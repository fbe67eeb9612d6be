/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_LARGE_OPTION_H
#define MEMDRIFT_CMD_LARGE_OPTION_H

#include <stdint.h>

#define LARGE_OPTION_MAX 16

/*
 * The argument of --large, which is cut into words. NULL, or what was wanted instead of *word, a
 * part of it.
 */
const char *large_option__parse(char *text, uint64_t sizes[LARGE_OPTION_MAX], uint32_t *count,
				const char **word);

#endif
