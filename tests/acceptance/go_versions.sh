#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 1800
# Every version of Go whose offsets memdrift knows, as far as Debian has it, stripped and
# position-independent: each must be told as the program itself tells it.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/explain/go_facts.bash
. "$(dirname "$0")/../explain/go_facts.bash"

# version_of_go SUITE PACKAGE
version_of_go() {
	local go goroot

	fetch_go "$1" "$2"
	figures "$symbols"
	figures "$offsets" -ldflags=-w
	figures "$code" -ldflags='-s -w'
	figures "$code" -buildmode=pie -ldflags='-s -w'
}

for which in bookworm-backports:1.21 bookworm-backports:1.22 bookworm-backports:1.23 trixie:1.24 \
	trixie-backports:1.25 sid:1.26 sid:1.27; do
	test_case "Go ${which#*:}" version_of_go "${which%:*}" "golang-${which#*:}"
done
