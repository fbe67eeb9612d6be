// env: CGO_ENABLED=0
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Advice_gc is a Go program whose heap has a known life: a live set, then garbage (-churn), then,
// with -drop, no live set any more. It says "done PID" and reads lines: "free" is
// debug.FreeOSMemory, answered with "ok"; anything else, and the end of input, ends it.
package main

import (
	"bufio"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
)

func fill(bytes, object int) [][]byte {
	var blocks [][]byte
	for held := 0; held < bytes; held += object {
		b := make([]byte, object)
		for i := 0; i < len(b); i += 512 {
			b[i] = 1
		}
		blocks = append(blocks, b)
	}
	return blocks
}

var sink []byte

func main() {
	live := flag.Int("live", 128, "megabytes (2^20) held")
	churn := flag.Int("churn", 0, "megabytes of garbage made")
	object := flag.Int("object", 4096, "bytes of an object")
	drop := flag.Bool("drop", false, "drop what is held and collect it")
	flag.Parse()

	held := fill(*live<<20, *object)
	for made := 0; made < *churn<<20; made += *object {
		sink = make([]byte, *object)
		for i := 0; i < len(sink); i += 512 {
			sink[i] = 1
		}
	}
	if *drop {
		held = nil
		runtime.GC()
	}
	fmt.Printf("done %d\n", os.Getpid())
	input := bufio.NewScanner(os.Stdin)
	for input.Scan() && input.Text() == "free" {
		debug.FreeOSMemory()
		fmt.Println("ok")
	}
	runtime.KeepAlive(held)
}
