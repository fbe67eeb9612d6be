# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
# shellcheck shell=bash
#
# Go of other Debian releases, unpacked beside the system's. After tests/lib.sh.

# link_goroot GO SRC DIR: the parts of the packages are links to where they would be installed.
link_goroot() {
	local part

	rm -rf "$3"
	for part in bin pkg/tool go.env VERSION; do
		mkdir -p "$(dirname "$3/$part")"
		cp -a "$1"/usr/lib/go-*/"$part" "$3/$part" 2>/dev/null || [ "$part" = go.env ]
	done
	cp -a "$1"/usr/share/go-*/pkg/include "$3/pkg/"
	for part in src lib; do
		ln -s "$2"/usr/share/go-*/"$part" "$3/$part"
	done
	cp "$1/.package" "$3/.package"
}

# fetch_go SUITE [PACKAGE]: sets $go to a Go of Debian's, and $goroot to what its GOROOT must be.
# That stays where it is from run to run, so that what was compiled with it is found again.
fetch_go() {
	local part package=${2:-golang} unpacked=$BUILD_DIR/pkg

	need_command apt-get dpkg-deb
	for part in go src; do
		"$TESTS/../tools/fetch-package" "$1" "$package-$part" \
			"$unpacked/$package-$part-$1" "golang-[0-9.]+-$part" >fetch.log 2>&1 ||
			skip "$package-$part of $1 cannot be had: $(tail -n 1 fetch.log)"
	done
	goroot=$unpacked/$package-root-$1
	cmp -s "$unpacked/$package-go-$1/.package" "$goroot/.package" ||
		link_goroot "$unpacked/$package-go-$1" "$unpacked/$package-src-$1" "$goroot"
	# shellcheck disable=SC2034 # the tests use it
	go=$goroot/bin/go
}
