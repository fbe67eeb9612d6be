#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 300
# Stacks of real programs as Debian builds them, without frame pointers: how many reach the root of
# their thread, and whether libdw walks the same stacks in the same way.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/trace.sh
. "$TESTS/trace.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"
# shellcheck source=tests/real/servers.bash
. "$(dirname "$0")/servers.bash"

COUNT=${MEMDRIFT_STACKS:-3000}
COMPARE=${MEMDRIFT_COMPARED_STACKS:-150}
# Sums over all programs, for the last case.
sums=$test_root/sums

# begin_check PID COUNT COMPARE: in the background, until it has attached.
begin_check() {
	need_bpf
	"$BUILD_DIR/check/unwind_check" "$@" >check.json 2>check.err &
	check=$!
	wait_for 60 check_said attached
}

check_said() {
	grep -qx "$1" check.err && return 0
	kill -0 "$check" 2>/dev/null || fail "the check ended: $(head -c 500 check.err)"
	return 1
}

# end_check PROGRAM: nearly all of its stacks are whole, and libdw agrees. Adds to the sums.
end_check() {
	wait "$check" || fail "the check failed: $(head -c 500 check.err)"
	jq -c --arg program "$1" '{program: $program} + .' check.json >>"$sums"
	jq -r '.ends | "\(.stacks) stacks, \(.depth) frames each: \(100 * .roots / .stacks) % reach a root, by frame pointers \(100 * .frame_pointer_roots / .stacks) % and \(.frame_pointer_depth) frames; \(.ends)"' check.json
	jq -c .walks check.json
	expect_json check.json '.ends | .stacks >= $count and .roots >= 0.999 * .stacks' \
		"stacks that reach a root" --argjson count "$COUNT"
	expect_json check.json '.walks | .identical >= 0.999 * .compared and .gave_up == 0' \
		"stacks that libdw walks in the same way"
}

# check_running PROGRAM PID: one that allocates by itself.
check_running() {
	begin_check "$2" "$COUNT" "$COMPARE"
	end_check "$1"
	expect_json check.json '.walks.compared >= $compare' "compared stacks" \
		--argjson compare "$COMPARE"
}

on_python() {
	need_command /usr/bin/python3
	/usr/bin/python3 -c '
import json, re
while True:
	text = json.dumps({str(i): [i] * 5 for i in range(300)})
	json.loads(text)
	re.sub("[0-9]+", lambda found: found.group(0) * 40, text[:2000])' &
	check_running python3 $!
}

on_perl() {
	need_command perl
	perl -e 'while (1) {
		my %lists = map { $_ => [1 .. 9] } 1 .. 200;
		my $text = join ",", sort keys %lists;
		$text =~ s/(\d+)/sprintf("<%s>", $1 x 20)/ge;
	}' &
	check_running perl $!
}

# A history that is long enough; nobody reads it before the check has begun.
on_git() {
	local reader

	need_command git
	git init -q repository
	awk 'BEGIN {
		for (i = 0; i < 1500; i++) {
			text = ""
			for (line = 0; line < 800; line++)
				text = text (i * 7 + line * 13 % 800) "\n"
			printf "blob\nmark :%d\ndata %d\n%s\n", 2 * i + 1, length(text), text
			printf "commit refs/heads/main\nmark :%d\ncommitter t <t@t> %d +0000\n", 2 * i + 2,
				1700000000 + i
			printf "data 6\nchange\n%sM 100644 :%d file\n\n", i ? "from :" 2 * i "\n" : "", 2 * i + 1
		}
	}' | git -C repository fast-import --quiet
	mkfifo pipe
	git -C repository --no-pager log -p --stat main >pipe &
	exec 7<pipe
	begin_check $! "$COUNT" "$COMPARE"
	cat <&7 >/dev/null &
	reader=$!
	end_check git
	kill "$reader" 2>/dev/null || true
}

on_redis() {
	start_redis
	redis-benchmark -s "$WORK/socket" -t set,lpush,hset,zadd -d 300 -r 20000 -n 100000000 -q \
		>/dev/null 2>&1 &
	check_running redis "$server"
}

on_postgres() {
	start_postgres
	begin_session ""
	echo "DO \$\$ BEGIN FOR i IN 1 .. 10000000 LOOP
		EXECUTE 'SELECT count(*) FROM pg_class WHERE relname LIKE ''%' || i || '%''';
		END LOOP; END \$\$;" >&8
	check_running postgres "$backend"
	# The backend hears of it by itself, and not before its statement is over.
	kill "$backend"
	exec 8>&-
}

on_mariadb() {
	start_mariadb
	while echo "SELECT table_name, group_concat(column_name) FROM information_schema.columns
			GROUP BY table_name ORDER BY 2 DESC LIMIT 3;"; do
		:
	done 2>/dev/null | "$package_dir/usr/bin/mariadb" --no-defaults -S "$WORK/socket" \
		>/dev/null 2>&1 &
	check_running mariadb "$server"
}

on_node() {
	need_command node
	node -e '
const { parse } = JSON;
for (;;) {
	const list = parse(JSON.stringify(Array.from({length: 500}, (_, i) => ({i, t: "x".repeat(i)}))));
	Buffer.from(list.map((each) => each.t).join("")).toString("base64").replace(/x+/g, "");
	new Intl.NumberFormat("de").format(list.length);
}' &
	check_running node $!
}

# libdw does not come from C to Go: only whether they reach the root.
on_go() {
	need_target go-sqlite_cgo
	start_stepped "$TARGETS/go-sqlite_cgo" -wait
	reached ready
	begin_check "$(pid_at ready)" "$COUNT" 0
	step
	end_check "Go with cgo"
}

# All chains of calls that are hard to walk; the first stacks make it read the full tables.
on_torture() {
	start_target unwind_torture
	begin_check "$TARGET" 2000 300
	tell_target
	wait_for 60 check_said counted
	tell_target
	wait "$check" || fail "the check failed: $(head -c 500 check.err)"
	jq -c '{program: "torture", walks}' check.json >>"$sums"
	jq -c .walks check.json
	expect_json check.json '.walks | .compared >= 300 and .identical >= 0.999 * .compared' \
		"stacks that libdw walks in the same way"
}

in_all() {
	[ -s "$sums" ] || skip "no stack was checked"
	expect_json "$sums" '([.[].walks.compared] | add) as $compared |
		(length < 9 or $compared >= 1000) and
		([.[].walks.identical] | add) >= 0.999 * $compared' \
		"stacks of all programs that libdw walks in the same way" -s
}

# Both shares side by side, as comments of the test's output.
print_shares() {
	printf '# %-14s %8s %12s %17s %7s %14s\n' program stacks "reach a root" "by frame pointers" \
		frames "same as libdw"
	jq -r '[.program, .ends.stacks // 0, (.ends | if . then 100 * .roots / .stacks else 0 end),
		(.ends | if . then 100 * .frame_pointer_roots / .stacks else 0 end), .ends.depth // 0,
		"\(.walks.identical)/\(.walks.compared)"] | @tsv' "$sums" |
		while IFS=$'\t' read -r program stacks roots pointer_roots depth same; do
			printf '# %-14s %8d %10.2f %% %15.2f %% %7.1f %14s\n' "$program" "$stacks" "$roots" \
				"$pointer_roots" "$depth" "$same"
		done
}

test_case "stacks of python3" on_python
test_case "stacks of perl" on_perl
test_case "stacks of git" on_git
test_case "stacks of redis" on_redis
test_case "stacks of PostgreSQL" on_postgres
test_case "stacks of MariaDB" on_mariadb
test_case "stacks of node" on_node
test_case "stacks of a Go program with cgo" on_go
test_case "stacks that are hard to walk" on_torture
test_case "stacks in all" in_all
[ ! -s "$sums" ] || print_shares
