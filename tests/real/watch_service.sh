#!/bin/bash
# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# limit: 240
# vm: no
# The systemd unit: what systemd says of it, and that what it leaves to memdrift suffices. No systemd
# need run: the unit's user, capabilities, system calls and hidden directories are had without it.

# shellcheck disable=SC2016 # jq's variables, not the shell's
# shellcheck source=tests/lib.sh
. "$(dirname "$0")/../lib.sh"
# shellcheck source=tests/real/common.bash
. "$(dirname "$0")/common.bash"
# shellcheck source=tests/real/watch.bash
. "$(dirname "$0")/watch.bash"

# In tenths, as systemd counts: what is below 5.0 is "OK".
EXPOSURE_MAX=25

# The unit as it is installed, in $unit, which starts the memdrift under test.
install_unit() {
	unit=$WORK/memdrift.service
	sed "s|^ExecStart=[^ ]*|ExecStart=$MEMDRIFT|" "$SERVICE/memdrift.service" >"$unit"
}

systemd_accepts_it() {
	need_command systemd-analyze
	install_unit
	systemd-analyze verify --man=no "$unit" >messages 2>&1 || {
		cat messages
		fail "systemd-analyze verify"
	}
	# A key that is misspelled is a message, but no error.
	expect_equal "$(cat messages)" "" "what systemd-analyze verify says"
	systemd-analyze security --offline=true --threshold="$EXPOSURE_MAX" --no-pager "$unit" >exposure || {
		cat exposure
		fail "the unit is more exposed than $EXPOSURE_MAX tenths"
	}
	grep 'Overall exposure' exposure
	expect_match exposure 'Overall exposure.* OK' "the level is OK"
}

installs() {
	make -s -C "$TESTS/.." BUILD="$BUILD_DIR" DESTDIR="$WORK/root" PREFIX=/opt/memdrift \
		-o "$BUILD_DIR/memdrift" -o all install >make.log 2>&1 || {
		cat make.log
		fail "make install"
	}
	expect_match root/usr/lib/systemd/system/memdrift.service \
		'^ExecStart=/opt/memdrift/bin/memdrift watch ' "the unit starts what was installed"
	[ -x root/opt/memdrift/bin/memdrift ] || fail "no binary"
	cmp root/opt/memdrift/share/memdrift/alerts.yml "$SERVICE/alerts.yml"
}

# capabilities [WITHOUT]: the unit's, as setpriv takes them, but one.
capabilities() {
	sed -n 's/^CapabilityBoundingSet=//p' "$SERVICE/memdrift.service" | tr ' ' '\n' |
		grep -vx "CAP_${1:-}" | sed 's/^CAP_/+/' | tr 'A-Z\n' 'a-z,' | sed 's/^/-all,/; s/,$//'
}

# confine WITHOUT: sets $confined, before a command: as the service runs, but without one capability
# ("" has all), in a mount namespace where $WORK/hidden is empty as /home would be.
confine() {
	local caps

	caps=$(capabilities "$1")
	confined=(unshare --mount --propagation private
		sh -c 'mount -t tmpfs hidden "$0" && exec "$@"' "$WORK/hidden"
		setpriv --reuid 65533 --regid 65533 --clear-groups
		--inh-caps "$caps" --ambient-caps "$caps" --bounding-set "$caps" --no-new-privs
		python3 "$WORK/confined.py" "$WORK/memdrift.service")
}

# Somebody's program with a heap in a directory that only its owner may enter, and which the service
# does not see: a busy one, from a file that is deleted, as an update does it. Sets $target.
start_target() {
	need_bpf
	need_setpriv
	need_command python3 unshare systemd-analyze
	need_target leaky
	install_unit
	cp "$REAL/confined.py" .
	cp "$MEMDRIFT" memdrift
	chmod 755 . .. memdrift
	mkdir -p hidden/private
	cp "$TARGETS/leaky" hidden/private/leaky
	chown -R nobody hidden
	chmod 700 hidden hidden/private
	mkfifo steps
	exec 7<>steps
	TRUTH=/dev/null "${as_nobody[@]}" "$WORK/hidden/private/leaky" <steps >said 2>&1 &
	target=$!
	wait_for 20 grep -q ready said
	rm hidden/private/leaky
	echo >&7
}

# explains WITHOUT, traces WITHOUT: into explain.json and trace.json.
explains() {
	confine "$1"
	"${confined[@]}" ./memdrift explain -p "$target" --json >explain.json
}

traces() {
	confine "$1"
	"${confined[@]}" ./memdrift trace -p "$target" -d 500ms --live --faults --json >trace.json
}

expect_explained() {
	expect_json explain.json '.glibc.arenas == 1 and
		([.ledger[] | select(.component == "brk-heap") | .resident_bytes] | add) > 0' "$1"
}

all_of_it_works_confined() {
	start_target
	explains ""
	expect_explained "explain, confined"
	traces ""
	expect_json trace.json '.losses.total == 0 and
		(.processes[0].allocator.calls.malloc > 0)' "trace --live, confined"
	# And nothing else does: the filter and the mounts are there.
	confine ""
	"${confined[@]}" cat "/proc/$target/environ" >/dev/null
	! "${confined[@]}" ls hidden/private || fail "the directory is not hidden"
	! "${confined[@]}" unshare --user true || fail "system calls are not filtered"
	! "${confined[@]}" mount -t tmpfs x /mnt || fail "it may mount"
}

each_capability_is_needed() {
	start_target
	! traces BPF || fail "BPF is not needed"
	! traces PERFMON || fail "PERFMON is not needed"
	! traces SYS_PTRACE || fail "SYS_PTRACE is not needed"
	explains SYS_PTRACE
	expect_json explain.json '.glibc == null' "heaps are read without SYS_PTRACE"
	! explains DAC_READ_SEARCH || fail "DAC_READ_SEARCH is not needed"
	traces CHECKPOINT_RESTORE
	expect_json trace.json '.losses.objects_unread > 0' "CHECKPOINT_RESTORE is not needed"
}

watch_is_healthy() {
	curl -sf "http://127.0.0.1:$port/-/healthy" && curl -sf "http://127.0.0.1:$port/metrics" >metrics
	grep -q '^memdrift_passes_total [1-9]' metrics
}

# What a service manager at $NOTIFY_SOCKET hears, a datagram a line, in heard.
start_manager() {
	export NOTIFY_SOCKET=@memdrift-test-$$
	python3 -u -c 'import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind("\0" + sys.argv[1][1:])
print("bound")
while True:
    print(s.recv(4096).decode().replace("\n", " "))' "$NOTIFY_SOCKET" >heard &
	wait_for 20 grep -q bound heard
}

has_heard() {
	tr '\n' ' ' <heard | grep -q "$1"
}

watch_works_confined() {
	local port watch

	start_target
	need_command curl
	start_manager
	port=$(free_port)
	install -d -o 65533 state
	confine ""
	"${confined[@]}" env WATCHDOG_USEC=200000 ./memdrift watch --db state/watch.db \
		--listen "127.0.0.1:$port" --interval 0.2s >incidents 2>messages &
	watch=$!
	wait_for 30 watch_is_healthy
	wait_for 30 has_heard 'READY=1.*WATCHDOG=1.*WATCHDOG=1'
	kill -HUP "$watch"
	wait_for 30 has_heard 'RELOADING=1 MONOTONIC_USEC=[0-9]*.*READY=1'
	kill -TERM "$watch"
	expect_exit 0 wait "$watch"
	wait_for 30 has_heard 'STOPPING=1'
	[ -s state/watch.db ] || fail "no database"
	expect_equal "$(grep -i 'permitted\|denied' messages)" "" "what was refused"
}

test_case "systemd accepts the unit and calls its exposure OK" systemd_accepts_it
test_case "make install installs the unit, and what it starts" installs
test_case "what the unit leaves to memdrift suffices" all_of_it_works_confined
test_case "without any one of the unit's capabilities something fails" each_capability_is_needed
test_case "watch runs under what the unit leaves to it" watch_works_confined
