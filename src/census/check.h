/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CHECK_H
#define MEMDRIFT_CENSUS_CHECK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What a figure is checked against: two ways to the same number, one of them not ours. A figure
 * whose check failed, or could not be made, is shown with that word.
 */
struct check {
	bool done;         /* false: there was nothing to check against */
	bool ok;           /* agreed, within what the check allows */
	uint64_t found;    /* what we counted */
	uint64_t expected; /* what the process, or the kernel, keeps itself */
};

#endif
