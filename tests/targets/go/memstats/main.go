// env: CGO_ENABLED=0
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Memstats fills a heap of objects of many sizes, frees half of them at random, and says what the
// runtime says of it: one line of JSON ("before"); then it allocates some more, which the runtime
// has not counted yet, says that it stands still ("ready"), and after a line came on stdin what the
// runtime says now ("after"). Then it does so again until stdin ends.
//
// With -churn goroutines go on allocating.
package main

import (
	"flag"
	"math/rand"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"syscall"
	"unsafe"
)

var (
	stats runtime.MemStats
	line  [64]byte
	text  [1024]byte
	objs  [][]byte
	sink  [16][]byte
	ready = []byte("{\"when\":\"ready\"}\n")
	more  [2000][]byte
)

func field(to []byte, name string, value uint64) []byte {
	to = append(append(append(to, ",\""...), name...), "\":"...)
	return strconv.AppendUint(to, value, 10)
}

// say writes without allocating.
func say(when string) {
	runtime.ReadMemStats(&stats)
	to := append(append(text[:0], "{\"when\":\""...), when...)
	to = append(to, '"')
	to = field(to, "pid", uint64(os.Getpid()))
	to = field(to, "heap_inuse", stats.HeapInuse)
	to = field(to, "heap_idle", stats.HeapIdle)
	to = field(to, "heap_released", stats.HeapReleased)
	to = field(to, "heap_alloc", stats.HeapAlloc)
	to = field(to, "stacks_inuse", stats.StackInuse)
	to = field(to, "sys", stats.Sys)
	to = field(to, "next_gc", stats.NextGC)
	to = field(to, "num_gc", uint64(stats.NumGC))
	to = append(to, "}\n"...)
	if _, err := syscall.Write(1, to); err != nil {
		os.Exit(3)
	}
}

func fill(mib int, random *rand.Rand) {
	for bytes := 0; bytes < mib<<20; {
		n := 8 << random.Intn(8)
		if random.Intn(2000) == 0 {
			n = 40000 + random.Intn(200000)
		}
		object := make([]byte, n+random.Intn(n))
		for at := 0; at < len(object); at += 4096 {
			object[at] = 1
		}
		objs = append(objs, object)
		bytes += len(object)
	}
	for i := range objs {
		if random.Intn(2) == 0 {
			objs[i] = nil
		}
	}
}

//go:noinline
func deep(n int, stop chan bool) byte {
	var frame [512]byte
	if n == 0 {
		<-stop
		return frame[0]
	}
	return deep(n-1, stop) + frame[n%512]
}

func churn(i int, random *rand.Rand) {
	for {
		sink[i] = make([]byte, 16<<random.Intn(12))
	}
}

func main() {
	mib := flag.Int("mib", 64, "size of the heap")
	percent := flag.Int("gogc", 100, "set GOGC")
	limit := flag.Int64("limit", 0, "set GOMEMLIMIT, in bytes")
	stacks := flag.Int("goroutines", 50, "goroutines with deep stacks")
	busy := flag.Int("churn", 0, "goroutines that allocate all the time")
	release := flag.Bool("release", false, "give back what can be")
	flag.Parse()
	debug.SetGCPercent(*percent)
	if *limit > 0 {
		debug.SetMemoryLimit(*limit)
	}
	fill(*mib, rand.New(rand.NewSource(1)))
	stop := make(chan bool)
	for i := 0; i < *stacks; i++ {
		go deep(20, stop)
	}
	runtime.GC()
	if *release {
		debug.FreeOSMemory()
	}
	for i := 0; i < *busy; i++ {
		go churn(i, rand.New(rand.NewSource(int64(i))))
	}
	for {
		say("before")
		// Parts of the spans that are allocated from: counted when those are full.
		for i := range more {
			more[i] = make([]byte, 16+i%512)
		}
		if _, err := syscall.Write(1, ready); err != nil {
			os.Exit(3)
		}
		if n, err := syscall.Read(0, line[:]); n <= 0 || err != nil {
			break
		}
		say("after")
	}
	runtime.KeepAlive(objs)
	runtime.KeepAlive(unsafe.Pointer(&sink))
}
