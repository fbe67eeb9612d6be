#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 900
# A flame graph in a Chromium: zoom, search, keys and reset, as its reader uses them. 400 MB are
# fetched where it is not yet unpacked.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/../real/common.bash"

# What is done to the page, after its own script; what it became is in the attribute "seen".
actions='<script xmlns="http://www.w3.org/2000/svg"><![CDATA[
var svg = document.documentElement, seen = {};
var blocks = Array.from(svg.querySelectorAll(".f"));
var second = blocks.find(function (b) { return b.getAttribute("data-d") === "1"; });
var child = blocks.find(function (b) { return b.getAttribute("data-d") === "2"; });
function key(el, name) {
	el.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true, cancelable: true }));
}
function hits() { return svg.querySelectorAll(".hit").length; }
function search(what) {
	svg.querySelector("#search").value = what;
	svg.querySelector("#search").dispatchEvent(new Event("input"));
	return svg.querySelector("#found").textContent;
}
seen.blocks = blocks.length;
seen.name = child.querySelector("title").textContent.split("\n")[0];
child.dispatchEvent(new MouseEvent("click", { bubbles: true }));
seen.zoomed = parseFloat(child.getAttribute("width"));
seen.shown = blocks.filter(function (b) { return b.style.display !== "none"; }).length;
seen.label = child.querySelector("text").textContent;
seen.details = svg.querySelector("#details").textContent;
key(child, "Escape");
seen.reset = blocks.filter(function (b) { return b.style.display !== "none"; }).length;
seen.focus = document.activeElement === blocks[0];
key(document.activeElement, "ArrowDown");
seen.down = document.activeElement === second;
key(document.activeElement, "Enter");
seen.entered = parseFloat(second.getAttribute("width"));
seen.all = search("");
seen.found = search("ALL");
seen.none = search("no such function");
seen.hits = hits();
search(seen.name);
seen.hit = hits();
svg.querySelector("#reset").click();
seen.after = hits() + svg.querySelector("#search").value;
svg.setAttribute("seen", JSON.stringify(seen));
]]></script></svg>'

works_in_a_browser() {
	local libraries

	need_bpf
	need_command xmllint
	need_package chromium
	unset LD_LIBRARY_PATH
	libraries=$(find "$package_dir" -name '*.so*' -printf '%h\n' | sort -u | tr '\n' ':')
	expect_exit 0 "$MEMDRIFT" trace -o report.txt --svg graph.svg --weight mmap_bytes -- \
		"$TARGETS/map_storm" --rounds 500
	sed '$ d' graph.svg >page.svg
	echo "$actions" >>page.svg
	xmllint --noout page.svg
	mkdir profile
	LD_LIBRARY_PATH=$libraries "$package_dir/usr/lib/chromium/chromium" --headless=new \
		--no-sandbox --disable-gpu --user-data-dir="$WORK/profile" --dump-dom "file://$PWD/page.svg" \
		>dom.svg 2>browser.log || fail "the browser failed: $(tail -n 3 browser.log)"
	grep -o ' seen="[^"]*"' dom.svg | sed 's/^ seen="//; s/"$//; s/&quot;/"/g; s/&amp;/\&/g' >seen.json
	[ -s seen.json ] || fail "the page's script did not run: $(head -c 300 dom.svg)"
	expect_json seen.json '.zoomed == 100 and .shown < .blocks' "a click zooms in"
	expect_json seen.json '.label == .name or (.label | endswith("…"))' "the block has its label"
	expect_json seen.json '.name as $name | .details | startswith($name)' "details of the block"
	expect_json seen.json '.reset == .blocks and .focus' "Esc resets"
	expect_json seen.json '.down and .entered == 100' "arrow keys move, Enter zooms"
	expect_json seen.json '.all == "" and (.found | startswith("100.00 % matched"))' "a search"
	expect_json seen.json '.none == "no match" and .hits == 0 and .hit >= 1' "what is found is marked"
	expect_json seen.json '.after == "0"' "reset"
}

test_case "a flame graph works in a browser" works_in_a_browser
