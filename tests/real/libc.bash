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
