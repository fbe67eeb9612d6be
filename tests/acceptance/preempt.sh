#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 1800
# Stacks on a fully preemptible kernel, where programs on uprobes interrupt each other on one CPU.
. "$(dirname "$0")/../lib.sh"

fully_preemptible() {
	need_command qemu-system-x86_64
	(cd "$TESTS/.." && TEST_FILTER='' MEMDRIFT_VM_WORDS=preempt=full MEMDRIFT_VM_ONLY=kernel/unwind \
		MEMDRIFT_VM_LIMIT=900 tests/vm/run "$1") >vm.out || true
	cat vm.out
	grep -q '^ok - .* eight threads' vm.out || fail "no result: $(head -c 300 vm.out)"
	! grep -q '^not ok' vm.out || fail "$(grep '^not ok' vm.out | head -n 3 | cut -c 1-200)"
}

test_case "stacks stay whole and apart on a fully preemptible 6.12" fully_preemptible 6.12
test_case "stacks stay whole and apart on the newest kernel, fully preemptible" fully_preemptible newest
