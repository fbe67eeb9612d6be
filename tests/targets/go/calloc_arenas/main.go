// env: CGO_ENABLED=1
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Calloc_arenas is the case of a Go program whose memory is glibc's: goroutines on threads of
// their own each take memory by C.calloc and free most of it again. Go's statistics show a few
// megabytes, the process holds a gigabyte.
//
// With -wait it stands still twice: "ready PID" before the work, "peak PID" while everything is
// held, "done PID" at the end; each time until a line comes on stdin.
package main

/*
#define _GNU_SOURCE
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct heap_truth {
	unsigned long arenas; // the main arena included
	struct mallinfo2 info;
};

static struct heap_truth read_heap(void)
{
	struct heap_truth truth = {.info = mallinfo2()};
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (!f || malloc_info(0, f) || fclose(f))
		abort();
	for (char *p = text; (p = strstr(p, "<heap nr=")); p++)
		truth.arenas++;
	free(text);
	return truth;
}
*/
import "C"

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/rand"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
)

type moment struct {
	Arenas      uint64 `json:"arenas"`
	InUse       uint64 `json:"mallinfo2_uordblks"`
	Free        uint64 `json:"mallinfo2_fordblks"`
	System      uint64 `json:"mallinfo2_arena"`
	Mmapped     uint64 `json:"mallinfo2_hblkhd"`
	Callocs     uint64 `json:"callocs"`
	Frees       uint64 `json:"frees"`
	Requested   uint64 `json:"requested_bytes"`
	Live        uint64 `json:"live_bytes"`
	GoSys       uint64 `json:"go_sys_bytes"`
	GoHeapSys   uint64 `json:"go_heap_sys_bytes"`
	GoHeapInuse uint64 `json:"go_heap_inuse_bytes"`
	Rss         uint64 `json:"rss_bytes"`
}

type truth struct {
	Program string  `json:"program"`
	Pid     int     `json:"pid"`
	Threads int     `json:"threads"`
	Peak    *moment `json:"peak"`
	End     *moment `json:"end"`
}

type block struct {
	p     unsafe.Pointer
	bytes uint64
}

// A worker keeps its thread to the end: a thread that ends gives its arena to the next.
type worker struct {
	callocs, frees, requested, live uint64
}

func (w *worker) fill(random *rand.Rand, want uint64) []block {
	var blocks []block
	for w.live < want {
		bytes := uint64(1 + random.Intn(85000))
		n := uint64(1 + random.Intn(4))
		bytes -= bytes % n
		if bytes == 0 {
			bytes = n
		}
		p := C.calloc(C.size_t(n), C.size_t(bytes/n))
		if p == nil {
			log.Fatal("calloc")
		}
		C.memset(p, 0x5a, C.size_t(bytes))
		w.callocs++
		w.requested += bytes
		w.live += bytes
		blocks = append(blocks, block{p, bytes})
	}
	return blocks
}

func (w *worker) thinOut(random *rand.Rand, blocks []block, keep int) {
	for _, b := range blocks {
		if random.Intn(keep) == 0 {
			continue
		}
		C.free(b.p)
		w.frees++
		w.live -= b.bytes
	}
}

func rssBytes() uint64 {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		log.Fatal(err)
	}
	for _, line := range strings.Split(string(text), "\n") {
		var kb uint64
		if n, _ := fmt.Sscanf(line, "VmRSS: %d kB", &kb); n == 1 {
			return kb * 1024
		}
	}
	return 0
}

func measure(workers []worker) *moment {
	heap := C.read_heap()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	m := &moment{
		Arenas:      uint64(heap.arenas),
		InUse:       uint64(heap.info.uordblks),
		Free:        uint64(heap.info.fordblks),
		System:      uint64(heap.info.arena),
		Mmapped:     uint64(heap.info.hblkhd),
		GoSys:       stats.Sys,
		GoHeapSys:   stats.HeapSys,
		GoHeapInuse: stats.HeapInuse,
		Rss:         rssBytes(),
	}
	for i := range workers {
		m.Callocs += workers[i].callocs
		m.Frees += workers[i].frees
		m.Requested += workers[i].requested
		m.Live += workers[i].live
	}
	return m
}

func (t *truth) write() {
	path := os.Getenv("TRUTH")
	if path == "" {
		return
	}
	text, err := json.MarshalIndent(t, "", " ")
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	threads := flag.Int("threads", 16, "goroutines, each on a thread of its own")
	mb := flag.Int("mb", 64, "megabytes (10^6) that each holds at the peak")
	keep := flag.Int("keep", 16, "keep one block in this many")
	seed := flag.Int64("seed", 1, "of the sizes")
	hold := flag.Duration("hold", 0, "stand still this long at the peak and at the end")
	wait := flag.Bool("wait", false, "stand still at ready, peak and done until a line comes")
	flag.Parse()

	stdin := bufio.NewReader(os.Stdin)
	stop := func(word string) {
		if *wait {
			fmt.Printf("%s %d\n", word, os.Getpid())
			_, _ = stdin.ReadString('\n')
		}
		if word != "ready" {
			time.Sleep(*hold)
		}
	}
	// The threads start after the stop: glibc gives a thread its arena as early as that.
	t := &truth{Program: "calloc_arenas", Pid: os.Getpid(), Threads: *threads}
	stop("ready")
	workers := make([]worker, *threads)
	var filled, thinned sync.WaitGroup
	thin := make(chan struct{})
	filled.Add(*threads)
	thinned.Add(*threads)
	for i := range workers {
		go func(i int) {
			runtime.LockOSThread()
			random := rand.New(rand.NewSource(*seed*1000 + int64(i)))
			blocks := workers[i].fill(random, uint64(*mb)*1000*1000)
			filled.Done()
			<-thin
			workers[i].thinOut(random, blocks, *keep)
			thinned.Done()
			select {}
		}(i)
	}
	filled.Wait()
	t.Peak = measure(workers)
	t.write()
	stop("peak")
	close(thin)
	thinned.Wait()
	t.End = measure(workers)
	t.write()
	stop("done")
}
