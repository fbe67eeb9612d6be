/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_DOCTOR_CALIBRATE_H
#define MEMDRIFT_CMD_DOCTOR_CALIBRATE_H

#include "probe/site.h"

/*
 * What a hit of the counting program costs here, by instruction class. 0, or a negative errno
 * after a message; *costs is usable either way.
 */
int doctor_calibrate(struct insn_costs *costs);

#endif
