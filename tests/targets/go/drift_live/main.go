// env: CGO_ENABLED=0
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Drift_live is the part of the live corpus of `watch` that has a Go heap: go-drift_live MODE. An
// hour lasts a second. "heap" keeps what it allocates. "fragmentation" keeps one object of each
// page of the heap, of one size class after another, so that the heap in use grows and what is
// allocated in it does not. "steady" does as much, and keeps nothing. Says "ready PID" and runs
// until its input ends.
package main

import (
	"fmt"
	"log"
	"os"
	"runtime"
	"strconv"
	"time"
)

const (
	stepsHour = 10
	stepBytes = 52 << 10 // 0.5 MiB an hour
	pageBytes = 8192
	// A size class has so much before the next one's turn.
	classBytes = 6 << 20
)

var (
	sessions [][]byte
	last     []byte
	// Size classes of Go that have many objects a page (runtime/sizeclasses.go).
	classes = []int{64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448, 480, 512, 576,
		640, 704, 768, 896, 1024, 80, 112, 144, 176, 208, 240}
)

//go:noinline
func keepSession(bytes int) {
	sessions = append(sessions, make([]byte, bytes))
}

//go:noinline
func serveRequest(bytes int) {
	last = make([]byte, bytes)
}

func growHeap() {
	for done := 0; done < stepBytes; done += 1024 {
		keepSession(1024)
		serveRequest(1024)
	}
}

//go:noinline
func fragmentHeap(class, bytes int) {
	perPage := pageBytes / class
	for i := 0; i < bytes/class; i++ {
		object := make([]byte, class)
		if i%perPage == 0 {
			sessions = append(sessions, object)
		} else {
			last = object
		}
	}
}

func fragment(step int) {
	class := classes[step*stepBytes/classBytes%len(classes)]
	fragmentHeap(class, stepBytes)
}

func steady() {
	for done := 0; done < stepBytes; done += 1024 {
		serveRequest(1024)
	}
}

// hour lasts a second, or $SECONDS_PER_HOUR.
func hour() time.Duration {
	if seconds, err := strconv.ParseFloat(os.Getenv("SECONDS_PER_HOUR"), 64); err == nil {
		return time.Duration(seconds * float64(time.Second))
	}
	return time.Second
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("go-drift_live MODE")
	}
	sessions = make([][]byte, 0, 1<<20)
	base := make([]byte, 24<<20)
	for i := 0; i < len(base); i += 4096 {
		base[i] = 1
	}
	fmt.Println("ready", os.Getpid())
	ended := make(chan bool)
	go func() {
		var byte [1]byte
		for {
			if n, err := os.Stdin.Read(byte[:]); n <= 0 || err != nil {
				ended <- true
			}
		}
	}()
	tick := time.NewTicker(hour() / stepsHour)
	for step := 0; ; step++ {
		select {
		case <-ended:
			runtime.KeepAlive(base)
			return
		case <-tick.C:
		}
		// In an hour there are many collections, in a program that does anything.
		if step%stepsHour == 0 {
			runtime.GC()
		}
		switch os.Args[1] {
		case "heap":
			growHeap()
		case "fragmentation":
			fragment(step)
		case "steady":
			steady()
		default:
			log.Fatalf("%s: no such mode", os.Args[1])
		}
	}
}
