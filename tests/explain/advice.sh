#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# Advice whose outcome can be had at once. All the others: tests/acceptance/advice.sh.
# vm: no
# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$TESTS/real/common.bash"
# shellcheck source=tests/explain/advice.bash
. "$(dirname "$0")/advice.bash"

trim_returns_what_was_said() {
	need_root
	begin "$TARGETS/advice_heap" --shape holes --kb 102400
	ask_advice
	command_program trim
	judge malloc-trim predicted "$(rss)"
	end
}

nothing_is_promised_of_scattered_blocks() {
	need_root
	begin "$TARGETS/advice_heap" --shape holes --kb 51200 --min-bytes 64 --max-bytes 64 --keep 2
	ask_advice
	command_program trim
	judge malloc-trim absent "$(rss)"
	judge other-allocator unpredicted "$before"
	end
}

# The sum: the container's limit, each part that is not Go's, page tables, the margin.
limit_of_a_container() {
	local margin=$((64 << 20)) limit=$((512 << 20))

	need_target go-advice_gc
	make_group "$limit"
	begin GROUP="$group" "${in_group[@]}" "$TARGETS/go-advice_gc" -live 40
	ask_advice --margin 64M
	limit=$(cat "$group_limit")
	expect_json advice.json '
		([.advice[] | select(.id == "gomemlimit")][0]) as $a |
		($a.terms | map({key: .name, value: .bytes}) | from_entries) as $terms |
		([.ledger[] | select(.component | startswith("go-") | not) |
			select(.resident_bytes > 0) |
			{key: .component, value: -.resident_bytes}] | from_entries) as $parts |
		($terms | del(.["limit of the container", "page tables", "margin"])) == $parts and
		$terms["limit of the container"] == $limit and $terms.margin == -$margin and
		$terms["page tables"] == -.page_table_bytes and
		([$a.terms[].bytes] | add) == $a.gomemlimit_bytes' "the sum behind GOMEMLIMIT" \
		--argjson limit "$limit" --argjson margin "$margin"
	end
}

test_case "malloc_trim returns what the advice says" trim_returns_what_was_said
test_case "no saving is promised where blocks in use hold the pages" \
	nothing_is_promised_of_scattered_blocks
test_case "GOMEMLIMIT is the container's limit less what is not Go's less the margin" \
	limit_of_a_container
