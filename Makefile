# memdrift: `make` builds as an ordinary user; `make help` lists the rest.
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

VERSION := 0.1.0
BUILD ?= build
PREFIX ?= /usr/local
DESTDIR ?=

# make presets CC as cc, which need not be there.
ifeq ($(origin CC),default)
CC := gcc
endif
CLANG ?= clang
BPFTOOL ?= $(or $(shell command -v bpftool 2>/dev/null),/usr/sbin/bpftool)

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wno-unused-parameter
OWN_CFLAGS = -std=gnu11 $(WARNINGS) -D_GNU_SOURCE -DMEMDRIFT_VERSION='"$(VERSION)"' \
	-Iinclude -Isrc -I$(BUILD)/skel -MMD -MP
LIBS = -lbpf -ldw -lelf -lz -llzma -liberty -lcapstone -ljansson -lbsd -lm -pthread

BPF_CFLAGS := -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Wno-unused-parameter \
	-D__TARGET_ARCH_x86 -idirafter /usr/include/x86_64-linux-gnu -Iinclude -Ibpf -MMD -MP

BPF_SRCS := $(sort $(wildcard bpf/*.bpf.c))
BPF_OBJS := $(BPF_SRCS:bpf/%.c=$(BUILD)/bpf/%.o)
SKEL := $(BUILD)/skel/memdrift.skel.h

SRCS := $(sort $(wildcard src/*/*.c))
OBJS := $(SRCS:src/%.c=$(BUILD)/obj/%.o)
# Everything but main: what unit tests link with.
LIB_OBJS := $(filter-out $(BUILD)/obj/cmd/main.o,$(OBJS))

.PHONY: all
all: $(BUILD)/memdrift ## build (the default; needs no root)

$(BUILD)/memdrift: $(OBJS)
	$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/obj/%.o: src/%.c | $(SKEL)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OWN_CFLAGS) -c -o $@ $<

$(BUILD)/bpf/%.bpf.o: bpf/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(BUILD)/bpf/memdrift.o: $(BPF_OBJS)
	$(BPFTOOL) gen object $@ $^

$(SKEL): $(BUILD)/bpf/memdrift.o
	@mkdir -p $(@D)
	$(BPFTOOL) gen skeleton $< name memdrift > $@.tmp
	mv $@.tmp $@

.PHONY: install
install: all ## install into $(DESTDIR)$(PREFIX)
	install -D -m 755 $(BUILD)/memdrift $(DESTDIR)$(PREFIX)/bin/memdrift
	install -D -m 644 man/memdrift.1 $(DESTDIR)$(PREFIX)/share/man/man1/memdrift.1

.PHONY: demo
demo: ## install what is missing, build, and trace real programs (root)
	tools/deps build
	tools/deps demo
	$(MAKE) all go-targets
	BUILD='$(BUILD)' tools/demo

.PHONY: bench
bench: ## install what is missing, build, and measure what tracing costs, in one run (root)
	tools/deps bench
	$(MAKE) all
	BUILD='$(BUILD)' MAKE='$(MAKE)' tools/bench

.PHONY: clean
clean: ## remove everything that was built
	rm -rf $(BUILD)

.PHONY: help
help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

include tests/tests.mk

-include $(OBJS:.o=.d) $(BPF_OBJS:.o=.d)
