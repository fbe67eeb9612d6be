/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_CALIBRATE_H
#define MEMDRIFT_PROBE_CALIBRATE_H

#include "probe/site.h"

/*
 * What a probe hit costs here, by instruction class, measured on functions of memdrift's own with
 * the kind of link and the program that the caller will use.
 */
struct calibrate_ops {
	/*
	 * Attaches to this process at the first of count offsets of the file at path, as many as
	 * this kind of link can do in bearable time: all with one uprobe_multi link (8 ms to open
	 * and 30 to 60 ms to close on 6.18, however many offsets), the first two with perf links
	 * (8 ms to open and 120 ms to close each). The number attached, at least 1, or a negative
	 * errno. *link is for detach.
	 */
	int (*attach)(void *ctx, const char *path, const uint64_t *offsets, size_t count,
		      void **link);
	void (*detach)(void *ctx, void *link);
	void *ctx;
};

/*
 * Measuring all classes takes about 10 ms. No class but the first two is begun when this much time
 * has gone; those not reached or not attached keep what insn_costs__assume says. The ones that
 * decide most come first.
 */
#define CALIBRATE_BUDGET_NS (30 * 1000 * 1000ull)

/*
 * A class counts as emulated when a hit costs less than this share of the single-stepped one.
 * Measured shares: 0.03 to 0.08 for emulated classes on a virtual machine, 0.34 by the kernel
 * developers' own benchmark on hardware; single-stepped classes differ among themselves by less
 * than a tenth. Halfway between 0.34 and 0.9.
 */
#define CALIBRATE_EMULATED_SHARE 0.62

/*
 * Fills *costs, which is always usable afterwards. 0, or the first error of attach (nothing was
 * measured then), or -ENOTSUP when the own program file is not as expected.
 */
int calibrate__run(const struct calibrate_ops *ops, struct insn_costs *costs);

/* Where in /proc/self/exe code of the program itself lies. */
bool calibrate__own_offset(uintptr_t address, uint64_t *offset);

#endif
