// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Calibration without probes: the specimens are what they are called, and errors come through. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#include "probe/calibrate.h"

struct fake {
	int result;
	unsigned int attached;
	unsigned int detached;
	unsigned int seen; /* bit of each class at the offsets */
};

static int fake_attach(void *ctx, const char *path, const uint64_t *offsets, size_t count,
		       void **link)
{
	struct fake *fake = ctx;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_true(fd >= 0);
	for (size_t i = 0; i < count; i++) {
		uint8_t code[16];
		size_t len;

		assert_int_equal(pread(fd, code, sizeof(code), (off_t)offsets[i]), sizeof(code));
		fake->seen |= 1u << site__classify(code, sizeof(code), &len);
		assert_true(len > 0);
		if (i == 0)
			assert_int_equal(fake->seen, 1u << INSN_OTHER);
	}
	close(fd);
	fake->attached++;
	*link = fake;
	return fake->result;
}

static void fake_detach(void *ctx, void *link)
{
	assert_ptr_equal(ctx, link);
	((struct fake *)ctx)->detached++;
}

static void test_specimens(void **state)
{
	struct fake fake = {.result = 1};
	struct calibrate_ops ops = {fake_attach, fake_detach, &fake};
	struct insn_costs costs;

	assert_int_equal(calibrate__run(&ops, &costs), 0);
	/* Every class but the one that takes no probe. */
	assert_int_equal(fake.seen, (1u << INSN_REFUSED) - 1);
	assert_int_equal(fake.attached, 1);
	assert_int_equal(fake.detached, 1);
	/* One was attached: only that is measured, the others are as known. */
	assert_true(costs.cls[INSN_OTHER].measured);
	assert_false(costs.cls[INSN_OTHER].emulated);
	assert_false(costs.cls[INSN_PUSH].measured);
	assert_true(costs.cls[INSN_PUSH].emulated);
	assert_false(costs.cls[INSN_SUB_RSP].emulated);
}

static void test_attach_fails(void **state)
{
	struct fake fake = {.result = -EPERM};
	struct calibrate_ops ops = {fake_attach, fake_detach, &fake};
	struct insn_costs costs;

	assert_int_equal(calibrate__run(&ops, &costs), -EPERM);
	assert_int_equal(fake.detached, 0);
	assert_true(costs.cls[INSN_JCC].emulated);
	assert_false(costs.cls[INSN_OTHER].measured);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_specimens),
		cmocka_unit_test(test_attach_fails),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
