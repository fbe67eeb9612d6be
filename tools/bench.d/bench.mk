# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# What tools/bench needs besides memdrift and the test targets: included by the Makefile.
BENCH_BINS := $(patsubst tools/bench.d/%.c,$(BUILD)/bench/%,$(wildcard tools/bench.d/*.c))

.PHONY: bench-bins
bench-bins: $(BENCH_BINS)

$(BUILD)/bench/%: tools/bench.d/%.c $(LIB_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OWN_CFLAGS) -MF $@.d -o $@ $< $(LIB_OBJS) $(LIBS)

-include $(BENCH_BINS:=.d)
