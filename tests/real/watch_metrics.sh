#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 180
# vm: no
# What watch exports, by a real Prometheus server and its promtool; and that the alert rules, the
# recording rules, the dashboard and the DaemonSet say what watch really has.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"
# shellcheck source=tests/real/servers.bash
. "$(dirname "$0")/servers.bash"
# shellcheck source=tests/real/watch.bash
. "$(dirname "$0")/watch.bash"

need_prometheus() {
	need_root
	need_command curl python3
	need_package prometheus
	PATH=$package_dir/usr/bin:$PATH
}

scrape() {
	curl -sf "$url" >scraped
}

is_followed() {
	scrape
	grep -q "^memdrift_process_resident_bytes{.*exe=\"$1\"" scraped
}

# A process whose name is no UTF-8 and would end a label and a line.
text_is_sound() {
	need_prometheus
	start_large $'gro"wn\\\n\xff{}'
	start_watch
	wait_for 60 is_followed 'gro\\"wn\\\\\\\\x0a\\\\xff{}'
	promtool check metrics <scraped >found 2>&1 || {
		cat found
		fail "promtool finds fault with the metrics"
	}
	expect_equal "$(cat found)" "" "promtool's remarks"
	# No series comes twice, and each has its family's name and type before it.
	expect_equal "$(grep -v '^#' scraped | sed 's/ [^ ]*$//' | sort | uniq -d)" "" "series twice"
	expect_equal "$(curl -s -o /dev/null -w '%{http_code}' "${url%/metrics}/-/healthy")" 200 health
	expect_equal "$(curl -s -o /dev/null -w '%{http_code}' "${url%/metrics}/x")" 404 "another page"
	end_watch
}

value_is_there() {
	query "memdrift_process_resident_bytes{exe=\"grown\"}" >values
	[ -s values ]
}

has_recorded() {
	query "instance_unit:memdrift_process_resident_bytes:sum and on (unit)
		memdrift_process_resident_bytes{exe=\"grown\"}" >recorded
	[ -s recorded ]
}

is_up() {
	[ "$(query 'up{job="memdrift"}' | sed 's/.* //')" = 1 ]
}

scrapes() {
	local kb value apart

	need_prometheus
	start_large grown
	start_watch
	start_prometheus "$url"
	wait_for 60 value_is_there
	cat values
	value=$(sed -n 's/.* //p' values)
	kb=$(awk '/^VmRSS:/ { print $2 }' "/proc/$large/status")
	# The kernel's cheap count of resident pages may be some tens of pages off per CPU.
	apart=$((value / 1024 - kb))
	[ "${apart#-}" -lt 2048 ] || fail "Prometheus has $value bytes, the process $kb kB"
	expect_match values '"job":"memdrift".*"slot":"0"' "labels"
	# Of the last scrape, which may have taken more than a second.
	wait_for 60 is_up
	# The rules are evaluated on what it scraped.
	wait_for 60 has_recorded
	expect_equal "$(curl -sf "http://$prometheus_at/api/v1/rules" |
		jq -r '.data.groups[].rules[] | select(.health == "err") | .name + ": " + .lastError')" \
		"" "rules that fail"
	# A scrape that had a duplicate, or a time out of order, is a warning of the server's.
	expect_equal "$(grep -iE 'level=(warn|error)' prometheus.log)" "" "warnings of the server"
	end_watch
}

rules_are_right() {
	need_prometheus
	cp "$SERVICE"/{alerts,recording}.yml "$REAL/prometheus/rules_test.yml" .
	promtool check rules alerts.yml recording.yml
	promtool test rules rules_test.yml
}

# names_in FILE...: names of metrics in the expressions of rules and of the dashboard, the recorded
# ones apart.
names_in() {
	grep -ohE '(^|[^:a-z_])(memdrift|process)_[a-z_]+([^:a-z_]|$)' "$@" | tr -cd 'a-z_\n' | sort -u
}

dashboard_shows_what_there_is() {
	local name

	need_root
	need_command curl python3
	start_watch
	scrape
	end_watch
	sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' scraped | sort >exported
	sed -n 's/^ *- record: //p' "$SERVICE/recording.yml" | sort >recorded
	jq -r '[.panels[].targets[]?.expr, .templating.list[].definition // empty] | .[]' \
		"$SERVICE/dashboard.json" >expressions
	sed -n '/expr:/,/for:\|labels:\|record:/p' "$SERVICE"/{alerts,recording}.yml |
		grep -v 'record:' >>expressions
	names_in expressions >names
	[ "$(wc -l <names)" -gt 20 ] || fail "no names found in the dashboard"
	while read -r name; do
		grep -qx "$name" exported || fail "$name is shown, but not exported"
	done <names
	grep -ohE '[a-z_]+:memdrift_[a-z_]+:[a-z0-9]+' expressions | sort -u |
		while read -r name; do
			grep -qx "$name" recorded || fail "$name is shown, but not recorded"
		done
	# All is of the data source that the reader chooses, and no panel lies over another one.
	expect_json "$SERVICE/dashboard.json" '
		(.schemaVersion >= 36) and (.uid == "memdrift") and
		([.templating.list[].name] == ["datasource", "instance", "unit", "exe"]) and
		([.panels[] | select(.type != "row") | .targets | length > 0] | all) and
		([.. | objects | select(has("datasource")) | .datasource.uid == "${datasource}"] | all) and
		([.panels[].id] | length == (unique | length)) and
		([.panels[] | .gridPos | range(.x; .x + .w) as $x | range(.y; .y + .h) as $y | [$x, $y]] |
			length == (unique | length)) and
		([.panels[].gridPos | .x + .w <= 24] | all)' "the dashboard's form"
	# Prometheus parses each expression, as Grafana would send it.
	need_prometheus
	{
		echo 'groups: [{name: dashboard, rules: ['
		jq -r '[.panels[].targets[]?.expr] | to_entries[] |
			"{record: \"x:\(.key)\", expr: \(.value | gsub("\\$__range"; "1h") | tojson)},"' \
			"$SERVICE/dashboard.json"
		echo ']}]'
	} >panels.yml
	promtool check rules panels.yml
}

daemonset_fits() {
	need_command python3
	python3 -c 'import yaml' 2>/dev/null || skip "there is no python3-yaml"
	python3 "$REAL/prometheus/daemonset.py" "$SERVICE/daemonset.yaml" "$SERVICE/memdrift.service"
}

a_taken_port_is_an_error() {
	local address

	need_root
	start_watch
	address=${url#http://}
	expect_exit 1 "$MEMDRIFT" watch --db "$WORK/other.db" --listen "${address%/metrics}" 2>errors
	expect_match errors "cannot listen at ${address%/metrics}: Address already in use" "the message"
	end_watch
}

test_case "promtool finds no fault with the metrics, whatever a process calls itself" text_is_sound
test_case "a Prometheus server scrapes watch, and a query gives a process's memory" scrapes
test_case "alert and recording rules come to what they should" rules_are_right
test_case "the dashboard and the rules ask for what watch exports" dashboard_shows_what_there_is
test_case "the DaemonSet has what the service has" daemonset_fits
test_case "a port that is taken is an error that says so" a_taken_port_is_an_error
