# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# `memdrift watch` and what asks it, sourced after tests/lib.sh, common.bash and servers.bash.

# shellcheck disable=SC2034,SC2154 # the tests read what is set here, common.bash sets what is read

SERVICE=$(cd "$TESTS/../tools/service" && pwd)

# With metrics at a port that the kernel chose; sets $watch and $url.
start_watch() {
	"$MEMDRIFT" watch --db "$WORK/watch.db" --listen 127.0.0.1:0 --interval 0.2s --no-evidence \
		-v >incidents 2>watch.log &
	watch=$!
	wait_for 30 grep -q 'http://[^ ]*/metrics' watch.log
	url=$(grep -om 1 'http://[^ ]*/metrics' watch.log)
}

end_watch() {
	kill -TERM "$watch"
	expect_exit 0 wait "$watch"
}

# start_large NAME: a process of that name, any bytes but / and NUL, with 200 MB, which is among the
# largest of most hosts; sets $large.
start_large() {
	need_command perl
	cp -L "$(command -v perl)" "$WORK/$1"
	# shellcheck disable=SC2016 # perl's variables
	"$WORK/$1" -e '$| = 1; $x = "x" x (200 << 20); print "ready\n"; sleep 1000' >large.log &
	large=$!
	wait_for 20 grep -q ready large.log
}

prometheus_answers() {
	curl -sf "http://$prometheus_at/-/ready"
}

# query EXPRESSION: the values, one a line with the labels' JSON before it.
query() {
	curl -sf --data-urlencode "query=$1" "http://$prometheus_at/api/v1/query" |
		jq -r '.data.result[] | "\(.metric | tojson) \(.value[1])"'
}

free_port() {
	python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

# start_prometheus URL: a server that scrapes it each second and loads our rules; sets $prometheus_at.
start_prometheus() {
	local target=${1#http://}

	prometheus_at=127.0.0.1:$(free_port)
	cp "$SERVICE"/{alerts,recording}.yml .
	cat >prometheus.yml <<-CONFIG
		global:
		  scrape_interval: 1s
		  evaluation_interval: 1s
		rule_files: [alerts.yml, recording.yml]
		scrape_configs:
		  - job_name: memdrift
		    static_configs:
		      - targets: ["${target%/metrics}"]
	CONFIG
	# The rules are recorded each minute, which a test does not wait for.
	sed -i 's/interval: 1m/interval: 1s/' recording.yml
	promtool check config prometheus.yml
	prometheus --config.file=prometheus.yml --storage.tsdb.path="$WORK/tsdb" \
		--web.listen-address="$prometheus_at" >prometheus.log 2>&1 &
	wait_for 60 prometheus_answers
}
