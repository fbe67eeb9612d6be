// env: CGO_ENABLED=0
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Class_window allocates between two readings of runtime.MemStats, with the garbage collector off,
// and writes to $TRUTH what Go itself counted between them: all allocations (Mallocs, which has
// those of the tiny allocator in it), and those of each size class.
//
// It stands still twice: "ready PID" after the first reading and "done PID" after the second, each
// time until a line comes on stdin. From the first reading to the second line nothing of its own
// is allocated but what is said here. What it writes afterwards is no longer in the window.
//
// A part of the requests is made by new goroutines, each deeper in its stack than the last, so
// that the stack's growth falls into the allocator as well. Requests of 0 bytes are counted apart,
// because MemStats leaves them out.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
)

// Sizes without pointers: tiny ones, borders of classes, and whole pages above 32 KiB.
var sizes = []int{1, 5, 8, 15, 16, 17, 24, 25, 33, 96, 97, 112, 113, 512, 513, 640, 1000, 1024,
	1025, 2000, 4097, 9000, 18432, 32768, 32769, 100000}

// Sizes with pointers: below, at and above 512 bytes, where Go 1.22 and later add a header.
type (
	node   struct{ next *node }
	small  [64]*node
	middle [65]*node
	large  [80]*node
	table  [1024]*node
)

type sizeCount struct {
	Size    uint32 `json:"size"`
	Mallocs uint64 `json:"mallocs"`
}

type truth struct {
	Pid     int         `json:"pid"`
	Version string      `json:"version"`
	Mallocs uint64      `json:"mallocs"`
	Zero    uint64      `json:"zero"`
	Hundred uint64      `json:"hundred"`
	GCs     uint32      `json:"gcs"`
	BySize  []sizeCount `json:"by_size"`
}

var (
	bytesOf  [64][]byte
	before   runtime.MemStats
	after    runtime.MemStats
	word     [64]byte
	line     [16]byte
	nothing  int
	sink     *node
	smalls   *small
	middles  *middle
	larges   *large
	tables   *table
	finished sync.WaitGroup
)

// No buffer of anybody's: nothing is allocated.
func stopAt(what string) {
	n := copy(word[:], what)
	n += len(strconv.AppendInt(word[n:n], int64(os.Getpid()), 10))
	word[n] = '\n'
	if _, err := syscall.Write(1, word[:n+1]); err != nil {
		os.Exit(3)
	}
	if _, err := syscall.Read(0, line[:]); err != nil {
		os.Exit(3)
	}
}

func allocateSizes(rounds int) {
	for i := 0; i < rounds; i++ {
		for j, size := range sizes {
			bytesOf[j] = make([]byte, size)
		}
		sink = new(node)
		smalls = new(small)
		middles = new(middle)
		larges = new(large)
		tables = new(table)
	}
}

func allocateHundreds(n int) {
	for i := 0; i < n; i++ {
		bytesOf[i%len(bytesOf)] = make([]byte, 100)
	}
}

func allocateNothing(n int) {
	for i := 0; i < n; i++ {
		bytesOf[i%len(bytesOf)] = make([]byte, nothing)
	}
}

// One request at each depth, with a frame that is not a divisor of the stack's size.
//
//go:noinline
func descend(depth int, out *[]byte) byte {
	var frame [40]byte

	*out = make([]byte, 48)
	if depth == 0 {
		return frame[depth]
	}
	return descend(depth-1, out) + frame[depth%40]
}

func grow(goroutines int) {
	for i := 0; i < goroutines; i++ {
		finished.Add(1)
		go func(depth int) {
			var own []byte

			descend(depth, &own)
			finished.Done()
		}(i % 150)
	}
	finished.Wait()
}

func window(rounds int) {
	allocateSizes(rounds)
	allocateHundreds(100 * rounds)
	allocateNothing(10 * rounds)
	grow(10 * rounds)
}

func main() {
	rounds := flag.Int("rounds", 50, "how much")
	flag.Parse()
	debug.SetGCPercent(-1)
	// Threads and goroutines that stay for reuse are made by a first window.
	window(2)
	runtime.ReadMemStats(&after)

	runtime.ReadMemStats(&before)
	stopAt("ready ")
	window(*rounds)
	runtime.ReadMemStats(&after)
	stopAt("done ")

	t := truth{
		Pid:     os.Getpid(),
		Version: runtime.Version(),
		Mallocs: after.Mallocs - before.Mallocs,
		Zero:    uint64(10 * *rounds),
		Hundred: uint64(100 * *rounds),
		GCs:     after.NumGC - before.NumGC,
	}
	for i := range after.BySize {
		t.BySize = append(t.BySize, sizeCount{after.BySize[i].Size,
			after.BySize[i].Mallocs - before.BySize[i].Mallocs})
	}
	text, err := json.Marshal(t)
	if err == nil {
		err = os.WriteFile(os.Getenv("TRUTH"), text, 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}
