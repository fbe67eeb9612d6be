# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# What tools/bench needs besides memdrift and the test targets; read after the Makefile.
$(BUILD)/bench/attach_empty: tools/bench.d/attach_empty.c $(LIB_OBJS)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OWN_CFLAGS) -MF $@.d -o $@ $< $(LIB_OBJS) $(LIBS)

-include $(BUILD)/bench/attach_empty.d
