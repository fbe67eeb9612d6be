# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Everything that tests: included by the Makefile, which defines BUILD, SRCS, LIB_OBJS and LIBS.
#
# One module's unit test while the rest of the tree does not build yet:
#   make build/unit/test_units UNIT_OBJS=build/obj/base/units.o SKEL=

# An ordinary run ends with the summary line, not with make's own "Leaving directory".
MAKEFLAGS += --no-print-directory

SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer

UNIT_SRCS := $(sort $(wildcard tests/unit/test_*.c))
UNIT_OBJS ?= $(LIB_OBJS)
UNIT_ASAN_OBJS ?= $(UNIT_OBJS:$(BUILD)/obj/%=$(BUILD)/asan/obj/%)
UNIT_BINS := $(UNIT_SRCS:tests/unit/%.c=$(BUILD)/unit/%)
UNIT_ASAN_BINS := $(UNIT_SRCS:tests/unit/%.c=$(BUILD)/asan/unit/%)

TARGET_SRCS := $(sort $(wildcard tests/targets/*.c))
TARGET_LIBS := $(patsubst tests/targets/%.c,$(BUILD)/targets/%.so,\
	$(filter tests/targets/lib%,$(TARGET_SRCS)))
TARGET_BINS := $(patsubst tests/targets/%.c,$(BUILD)/targets/%,\
	$(filter-out tests/targets/lib%,$(TARGET_SRCS)))
GO_TARGETS := $(patsubst tests/targets/go/%/,$(BUILD)/targets/go-%,\
	$(sort $(wildcard tests/targets/go/*/)))

.PHONY: deps test unit unit-asan kernel-test real-test explain-test drift-test vm-test lint
.PHONY: acceptance
.PHONY: unit-bins unit-asan-bins check-bins targets go-targets

deps: ## install the Debian packages that building and testing need (root)
	tools/deps build
	tools/deps test

test: ## install what is missing, build, run every test (best as root)
	tools/deps build
	tools/deps test || [ "$$(id -u)" != 0 ]
	BUILD='$(BUILD)' tests/run

unit: ## unit tests
unit-asan: ## unit tests under AddressSanitizer and UBSan
kernel-test: ## exact runs over small target programs on the running kernel (root)
real-test: ## runs on real software from Debian's packages (root)
explain-test: ## what explain says of real programs, against what they say of themselves (root)
drift-test: ## drift found in simulated series, by their known truth
vm-test: ## the kernel tests on Debian's 6.1, 6.12 and newest kernels, in a virtual machine
lint: ## clang-format, clang-tidy, cppcheck, shellcheck

unit unit-asan real-test explain-test drift-test vm-test lint:
	BUILD='$(BUILD)' tests/run $(@:-test=)
kernel-test:
	BUILD='$(BUILD)' tests/run kernel alone

acceptance: ## soaks and hundreds of kills, beyond what `make test` has time for (root, an hour)
	BUILD='$(BUILD)' MAKE='$(MAKE)' tests/run acceptance

# For tools/lint: the generated header, and the options with their quoting.
.PHONY: skel lint-flags
skel: $(GENERATED)
lint-flags:
	@: $(info $(filter-out -MMD -MP,$(CFLAGS) $(OWN_CFLAGS)))

unit-bins: $(UNIT_BINS)
unit-asan-bins: $(UNIT_ASAN_BINS) $(BUILD)/asan/memdrift
targets: $(TARGET_LIBS) $(TARGET_BINS)
go-targets: $(GO_TARGETS)

# Archives that only name their objects: a test is linked with what it needs of them.
$(BUILD)/unit.a: $(UNIT_OBJS)
$(BUILD)/asan/unit.a: $(UNIT_ASAN_OBJS)
$(BUILD)/unit.a $(BUILD)/asan/unit.a:
	rm -f $@
	$(AR) rcsT $@ $^

$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/unit.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(OWN_CFLAGS) -MF $@.d -o $@ $< $(BUILD)/unit.a $(LIBS) -lcmocka

$(BUILD)/asan/obj/%.o: src/%.c | $(GENERATED)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANITIZE) $(OWN_CFLAGS) -c -o $@ $<

$(BUILD)/asan/obj/proto/%.o: $(BUILD)/proto/%.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANITIZE) $(OWN_CFLAGS) -c -o $@ $<

# The whole program under both: make build/asan/memdrift
$(BUILD)/asan/memdrift: $(OBJS:$(BUILD)/obj/%=$(BUILD)/asan/obj/%)
	$(CC) $(CFLAGS) $(SANITIZE) $(LDFLAGS) -o $@ $^ $(LIBS)

$(BUILD)/asan/unit/%: tests/unit/%.c $(BUILD)/asan/unit.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) $(SANITIZE) $(OWN_CFLAGS) -MF $@.d -o $@ $< $(BUILD)/asan/unit.a $(LIBS) \
		-lcmocka

# Programs that check memdrift's own BPF code with more of it beside: all of it is linked into one, as
# memdrift's is, and what knows of the result is compiled once more against it.
CHECK_BINS := $(patsubst tests/check/%.bpf.c,$(BUILD)/check/%,$(wildcard tests/check/*.bpf.c))
KNOWS_SKEL := $(patsubst src/%.c,%.o,$(shell grep -lE \
	'"(ingest/programs|ingest/tracer_impl)\.h"' $(SRCS)))
check-bins: $(CHECK_BINS)

$(BUILD)/check/%.bpf.o: tests/check/%.bpf.c
	@mkdir -p $(@D)
	$(CLANG) $(BPF_CFLAGS) -c -o $@ $<

$(BUILD)/check/%.skel/memdrift.skel.h: $(BUILD)/check/%.bpf.o $(BPF_OBJS)
	@mkdir -p $(@D)
	$(BPFTOOL) gen object $(@D)/memdrift.o $^
	$(BPFTOOL) gen skeleton $(@D)/memdrift.o name memdrift > $@.tmp
	mv $@.tmp $@

$(BUILD)/check/%: tests/check/%.c $(BUILD)/check/%.skel/memdrift.skel.h $(LIB_OBJS)
	@mkdir -p $(addprefix $@.obj/,$(sort $(dir $(KNOWS_SKEL))))
	for object in $(KNOWS_SKEL); do \
		$(CC) $(CFLAGS) -I$@.skel $(OWN_CFLAGS) -c -o $@.obj/$$object src/$${object%.o}.c || exit; \
	done
	$(CC) $(CFLAGS) -I$@.skel $(OWN_CFLAGS) -MF $@.d -o $@ $< $(KNOWS_SKEL:%=$@.obj/%) \
		$(filter-out $(KNOWS_SKEL:%=$(BUILD)/obj/%),$(LIB_OBJS)) $(LIBS)

# A target says how it is built in comments among its first lines (all optional):
#   // cc: musl-gcc        compiler; the target is left out, with a word, where that is missing
#   // flags: -O0          replaces the default -O2 -g
#   // link: -lpthread     after the source
# lib*.c become shared objects for dlopen and LD_PRELOAD.
target_note = $$(sed -n '1,8s|^// $(1):||p' $<)
define build_target
	@mkdir -p $(@D)
	@cc="$(call target_note,cc)"; flags="$(call target_note,flags)"; \
	set -- $${cc:-$(CC)}; \
	if command -v $$1 >/dev/null; then \
		set -x; \
		"$$@" $${flags:--O2 -g} -std=gnu11 -Wall -Wextra $(1) -o $@ $< $(call target_note,link); \
	else \
		echo "$@: left out, there is no $$1"; \
	fi
endef

$(BUILD)/targets/%.so: tests/targets/%.c $(wildcard tests/targets/*.h)
	$(call build_target,-fPIC -shared)

$(BUILD)/targets/%: tests/targets/%.c $(wildcard tests/targets/*.h)
	$(call build_target,)

# Debian's Go libraries are found by GOPATH, without modules. A directory's main.go may say
# "// env: CGO_ENABLED=0" and "// flags: -tags libsqlite3" among its first lines.
$(BUILD)/targets/go-%: tests/targets/go/%/main.go
	@mkdir -p $(@D)
	@if command -v go >/dev/null; then \
		set -x; \
		env GO111MODULE=off GOPATH=/usr/share/gocode GOCACHE='$(abspath $(BUILD))/gocache' \
			GOFLAGS= $(call target_note,env) \
			go build $(call target_note,flags) -o '$(abspath $@)' ./$(<D); \
	else \
		echo "$@: left out, there is no go"; \
	fi

# Reads a Go program at work.
$(BUILD)/unit/test_go_facts $(BUILD)/asan/unit/test_go_facts: | $(BUILD)/targets/go-memstats

-include $(UNIT_BINS:=.d) $(UNIT_ASAN_BINS:=.d) $(UNIT_ASAN_OBJS:.o=.d)
