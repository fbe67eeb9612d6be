#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 900
# Every process of a Chromium: its browser, its renderers, what starts them. 400 MB are fetched
# where it is not yet unpacked.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/../real/common.bash"
# shellcheck source=tests/explain/ledger.bash
. "$(dirname "$0")/../explain/ledger.bash"

page='<html><body><script>
let kept = [];
for (let i = 0; i < 200000; i++) kept.push({i, text: "x".repeat(i % 50)});
for (let i = 0; i < 3000; i++) {
	let line = document.createElement("div");
	line.textContent = "line " + i;
	document.body.appendChild(line);
}
</script></body></html>'

# The browser's process and all below it, without its crash reporter.
processes() {
	local child

	echo "$1"
	for child in $(pgrep -P "$1"); do
		processes "$child"
	done
}

# Renderers run when the page does; then the number of processes stays.
has_renderers() {
	[ "$(processes "$browser" | wc -l)" -ge 6 ]
}

every_process() {
	local libraries pid

	need_root
	need_command pgrep setsid
	need_package chromium
	libraries=$(find "$package_dir" -name '*.so*' -printf '%h\n' | sort -u | tr '\n' ':')
	echo "$page" >page.html
	mkdir profile
	LD_LIBRARY_PATH=$libraries "$package_dir/usr/lib/chromium/chromium" --headless=new \
		--no-sandbox --disable-gpu --user-data-dir="$WORK/profile" \
		--remote-debugging-port=0 "file://$WORK/page.html" >chromium.log 2>&1 &
	browser=$!
	wait_for 60 has_renderers
	wait_for 60 grep -q 'DevTools listening' chromium.log
	for pid in $(processes "$browser"); do
		tr '\0' ' ' <"/proc/$pid/cmdline" | cut -c 1-120
		expect_ledger "$pid" 3
	done
}

test_case "chromium: every process" every_process
