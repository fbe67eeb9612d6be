#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# vm: no
# Folded stacks as speedscope imports them: the same total and the same weight of each frame.

# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"

# One version, whatever the registry has by now.
VERSION=1.25.0
SHA512=7297fd1d64d97f58a32d7049ae4f3b55eff9e2d9d8c7aae57f48144e1be7de8a
SHA512+=24ea1eb784b5d539088c7f8e0f4fe5e8579d3770f7ef7e24f980fe6fa23a7a02

# need_speedscope: unpacked beside what other tests fetch.
need_speedscope() {
	local tarball=$BUILD_DIR/pkg/speedscope-$VERSION.tgz

	need_command node npm
	mkdir -p "$BUILD_DIR/pkg"
	if ! sha512sum --status -c <<<"$SHA512  $tarball" 2>/dev/null; then
		(cd "$BUILD_DIR/pkg" && timeout 60 npm pack --silent "speedscope@$VERSION") >npm.log 2>&1 ||
			skip "npm cannot fetch speedscope: $(tail -n 1 npm.log)"
		sha512sum --status -c <<<"$SHA512  $tarball" || fail "speedscope $VERSION is another file now"
	fi
	mkdir speedscope
	tar -xzf "$tarball" -C speedscope --strip-components 1
}

same_weights() {
	need_bpf
	need_speedscope
	expect_exit 0 "$MEMDRIFT" trace --json -o report.json --folded stacks.folded --weight "$1" -- \
		"$TARGETS/alloc_mix" --rounds 2000 --threads 2 --forks 2
	node "$TESTS/real/speedscope.cjs" speedscope stacks.folded >imported.json
	expect_json imported.json '.profiles == 1 and (.frames | length) > 4' "a profile"
	expect_json imported.json ".total == (\$report[0] | [.processes[]$2] | add)" "the report's total" \
		--slurpfile report report.json
	awk '{
		weight = $NF
		sub(/ [0-9]+$/, "")
		n = split($0, frames, ";")
		self[frames[n]] += weight
		delete seen
		for (i = 1; i <= n; i++)
			if (!seen[frames[i]]++)
				total[frames[i]] += weight
	}
	END { for (name in total) printf "%s %d %d\n", name, self[name], total[name] }' \
		stacks.folded | sort >want
	jq -r '.frames | to_entries[] | "\(.key) \(.value.self) \(.value.total)"' imported.json | sort >got
	diff want got >frames.diff || fail "frames differ: $(head -n 5 frames.diff)"
}

test_case "speedscope imports folded alloc_bytes" same_weights alloc_bytes .allocator.requested_bytes
test_case "speedscope imports folded mmap_bytes" same_weights mmap_bytes .mapping.mmap_bytes
