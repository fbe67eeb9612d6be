// env: CGO_ENABLED=0
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Fastcache_chunks fills two caches, whose memory comes in chunks of 64 MiB by direct mmap that
// no statistic of Go's shows. It says how many there must be by fastcache's own rule, and fails
// when its own /proc/self/smaps shows another number.
//
// With -wait it stands still twice: "ready PID" before the work and "done PID" at the end; each
// time until a line comes on stdin.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"
	"strings"

	"github.com/VictoriaMetrics/fastcache"
)

const (
	mib = 1 << 20
	// Constants of fastcache.go and malloc_mmap.go.
	bucketsCount   = 512
	chunkSize      = 64 * 1024
	chunksPerAlloc = 1024
	// Go's heap on linux/amd64 begins here and goes up; other mappings lie far above.
	goHeapStart, goHeapEnd = 0xc000000000, 0xd000000000
)

type truth struct {
	Program   string `json:"program"`
	Pid       int    `json:"pid"`
	Chunks    uint64 `json:"chunks"`
	Reserved  uint64 `json:"reserved_bytes"`
	Resident  uint64 `json:"resident_bytes"`
	GoSys     uint64 `json:"go_sys_bytes"`
	GoHeapSys uint64 `json:"go_heap_sys_bytes"`
}

// chunksOf is fastcache's rule: each bucket has whole chunks of 64 KiB, taken as it fills.
func chunksOf(maxBytes uint64) uint64 {
	bucketBytes := (maxBytes + bucketsCount - 1) / bucketsCount
	return bucketsCount * ((bucketBytes + chunkSize - 1) / chunkSize)
}

// fill writes twice of what every bucket holds: then each has taken all of its chunks.
func fill(cache *fastcache.Cache, maxBytes uint64) {
	value := make([]byte, 8000)
	key := make([]byte, 8)
	for i := uint64(0); i < 2*maxBytes/uint64(len(value)); i++ {
		binary.LittleEndian.PutUint64(key, i)
		binary.LittleEndian.PutUint64(value, i)
		cache.Set(key, value)
	}
}

// direct sums the private anonymous mappings of whole 64 MiB that are not Go's heap: adjacent
// chunks are one mapping there.
func direct() (reserved, resident uint64) {
	f, err := os.Open("/proc/self/smaps")
	if err != nil {
		log.Fatal(err)
	}
	defer f.Close()
	counts := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var start, end, offset, kb uint64
		var prot, device string
		var inode uint64
		n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s %x %s %d", &start, &end, &prot, &offset, &device, &inode)
		if n == 6 {
			inGoHeap := start >= goHeapStart && start < goHeapEnd
			counts = prot == "rw-p" && inode == 0 && end-start >= 64*mib && !inGoHeap &&
				!strings.HasSuffix(lines.Text(), "]")
			if counts {
				reserved += (end - start) &^ (64*mib - 1)
			}
		} else if n, _ := fmt.Sscanf(lines.Text(), "Rss: %d kB", &kb); n == 1 && counts {
			resident += kb * 1024
		}
	}
	return reserved, resident
}

func main() {
	first := flag.Uint64("first", 600, "size of one cache in MiB")
	second := flag.Uint64("second", 400, "size of the other")
	wait := flag.Bool("wait", false, "stand still at ready and done")
	flag.Parse()

	stdin := bufio.NewReader(os.Stdin)
	stop := func(word string) {
		if *wait {
			fmt.Printf("%s %d\n", word, os.Getpid())
			_, _ = stdin.ReadString('\n')
		}
	}
	stop("ready")
	var caches []*fastcache.Cache
	var chunks uint64
	for _, size := range []uint64{*first * mib, *second * mib} {
		cache := fastcache.New(int(size))
		fill(cache, size)
		caches = append(caches, cache)
		chunks += chunksOf(size)
	}
	t := truth{Program: "fastcache_chunks", Pid: os.Getpid()}
	t.Chunks = (chunks + chunksPerAlloc - 1) / chunksPerAlloc
	t.Reserved, t.Resident = direct()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	t.GoSys, t.GoHeapSys = stats.Sys, stats.HeapSys
	if t.Reserved != t.Chunks*64*mib {
		log.Fatalf("%d chunks by the rule, but %d MiB mapped", t.Chunks, t.Reserved/mib)
	}
	if path := os.Getenv("TRUTH"); path != "" {
		text, err := json.MarshalIndent(t, "", " ")
		if err == nil {
			err = os.WriteFile(path, append(text, '\n'), 0o644)
		}
		if err != nil {
			log.Fatal(err)
		}
	}
	stop("done")
	runtime.KeepAlive(caches)
}
