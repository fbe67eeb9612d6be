# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# glibc of other Debian releases, unpacked beside the system's. After tests/lib.sh.

# fetch_libc SUITE: sets $libc to its folder and $loader to its loader.
fetch_libc() {
	need_command apt-get dpkg-deb
	libc=$BUILD_DIR/pkg/libc6-$1
	"$TESTS/../tools/fetch-package" "$1" libc6 "$libc" >fetch.log 2>&1 ||
		skip "libc6 of $1 cannot be had: $(tail -n 1 fetch.log)"
	# shellcheck disable=SC2034 # the tests use it
	loader=$(find "$libc" -name 'ld-linux-x86-64.so.2' | head -n 1)
	libc=$libc/$(cd "$libc" && find . -name libc.so.6 | head -n 1 | xargs dirname)
	[ -e "$libc/libc.so.6" ] || skip "no libc.so.6 in libc6 of $1"
}

# build_for SUITE TARGET...: targets of this system need symbols that an older libc has not: these
# are built against its own headers. Sets $programs to where they are. After fetch_libc.
build_for() {
	local suite=$1 name

	shift
	need_command gcc
	mkdir root
	cp -a "$BUILD_DIR/pkg/libc6-$suite/." root
	for name in libc6-dev linux-libc-dev; do
		[ -e "$BUILD_DIR/pkg/$name-$suite/.package" ] ||
			"$TESTS/../tools/fetch-package" "$suite" "$name" \
				"$BUILD_DIR/pkg/$name-$suite" >fetch.log 2>&1 ||
			skip "$name of $suite cannot be had: $(tail -n 1 fetch.log)"
		cp -a "$BUILD_DIR/pkg/$name-$suite/." root
	done
	# Its links are absolute, and would lead to the system's own.
	ln -sf ../lib/x86_64-linux-gnu/ld-linux-x86-64.so.2 root/lib64/
	for name; do
		gcc --sysroot="$PWD/root" -O2 -fno-builtin -std=gnu11 -rdynamic -o "$name" \
			"$TESTS/targets/$name.c" -Lroot/lib/x86_64-linux-gnu \
			-Lroot/usr/lib/x86_64-linux-gnu -Wl,--allow-shlib-undefined \
			-l:libpthread.so.0 -l:libdl.so.2 >build.log 2>&1 ||
			skip "cannot build for $suite: $(head -n 1 build.log)"
	done
	# shellcheck disable=SC2034 # the tests use it
	programs=$PWD
}

# link_for_libc SOURCE OUT: builds a target of tests/targets against the libc that was fetched, so
# that it runs on that one: what is linked against a newer one asks for newer versions of symbols.
link_for_libc() {
	local threads=$libc/libpthread.so.0

	need_command gcc
	gcc -O2 -fno-builtin -std=gnu11 -c -o "$2.o" "$TESTS/targets/$1"
	# From 2.34 on libc has them itself, and the other one is empty.
	[ -e "$threads" ] || threads=
	gcc -nodefaultlibs -o "$2" "$2.o" "$libc/libc.so.6" ${threads:+"$threads"} -lgcc \
		-Wl,--allow-shlib-undefined
}
