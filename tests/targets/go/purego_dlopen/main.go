// env: CGO_ENABLED=0
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Purego_dlopen is a Go program built without cgo that calls libc: it imports its functions
// dynamically, stands in for the C half of runtime/cgo in assembly (libc_amd64.s) so that every
// thread is one of libc's, and opens another library by dlopen at run time. It counts its calls.
//
// With -wait it stands still twice: "ready PID" before the work and "done PID" at the end; each
// time until a line comes on stdin.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math/bits"
	"os"
	"runtime"
	"sync"
	"unsafe"
)

//go:cgo_import_dynamic libc_malloc malloc "libc.so.6"
//go:cgo_import_dynamic libc_calloc calloc "libc.so.6"
//go:cgo_import_dynamic libc_realloc realloc "libc.so.6"
//go:cgo_import_dynamic libc_free free "libc.so.6"
//go:cgo_import_dynamic libc_dlopen dlopen "libc.so.6"
//go:cgo_import_dynamic libc_dlsym dlsym "libc.so.6"
//go:cgo_import_dynamic libc_pthread_create pthread_create "libc.so.6"
//go:cgo_import_dynamic libc_pthread_detach pthread_detach "libc.so.6"
//go:cgo_import_dynamic libc_pthread_sigmask pthread_sigmask "libc.so.6"
//go:cgo_import_dynamic libc_setenv setenv "libc.so.6"
//go:cgo_import_dynamic libc_unsetenv unsetenv "libc.so.6"
//go:cgo_import_dynamic _ _ "libc.so.6"

// What runtime/cgo would set: with this and with the pointers that libc_amd64.s defines the runtime
// starts, and asks for threads, as it does with cgo.
//
//go:linkname _iscgo runtime.iscgo
var _iscgo = true

// Defined in libc_amd64.s: the addresses of libc's functions, and of what calls them.
var mallocPC, callocPC, reallocPC, freePC, dlopenPC, dlsymPC, callPC uintptr

//go:linkname cgocall runtime.cgocall
func cgocall(fn, arg unsafe.Pointer) int32

// A call is what callC reads and writes.
type call struct {
	fn, a, b, result uintptr
}

func callC(fn, a, b uintptr) uintptr {
	c := call{fn: fn, a: a, b: b}
	cgocall(*(*unsafe.Pointer)(unsafe.Pointer(&callPC)), unsafe.Pointer(&c))
	return c.result
}

type bucket struct {
	Min   uint64 `json:"min_bytes"`
	Max   uint64 `json:"max_bytes"`
	Count uint64 `json:"count"`
	Bytes uint64 `json:"bytes"`
}

type process struct {
	Pid        int               `json:"pid"`
	Calls      map[string]uint64 `json:"calls"`
	Requested  uint64            `json:"requested_bytes"`
	Impossible uint64            `json:"impossible"`
	Buckets    []bucket          `json:"buckets"`
}

type truth struct {
	Program   string    `json:"program"`
	Processes []process `json:"processes"`
}

type counter struct {
	mutex sync.Mutex
	process
	sizes [64]bucket
}

func (c *counter) request(name string, bytes uint64) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.Calls[name]++
	c.Requested += bytes
	c.sizes[bits.Len64(bytes)].Count++
	c.sizes[bits.Len64(bytes)].Bytes += bytes
}

func (c *counter) free(p uintptr) {
	callC(freePC, p, 0)
	c.mutex.Lock()
	c.Calls["free"]++
	c.mutex.Unlock()
}

func (c *counter) work(rounds int, done *sync.WaitGroup) {
	for i := 0; i < rounds; i++ {
		n := uint64(i*7919%5000 + 1)
		p := callC(mallocPC, uintptr(n), 0)
		c.request("malloc", n)
		q := callC(callocPC, 3, uintptr(n))
		c.request("calloc", 3*n)
		p = callC(reallocPC, p, uintptr(2*n))
		c.request("realloc", 2*n)
		if p == 0 || q == 0 {
			log.Fatal("no memory")
		}
		*(*byte)(*(*unsafe.Pointer)(unsafe.Pointer(&p))) = 1
		c.free(p)
		c.free(q)
	}
	done.Done()
}

// findMath opens a library that nothing was linked with and calls into it.
func findMath() {
	name, symbol := []byte("libm.so.6\x00"), []byte("abs\x00")
	const now = 2
	handle := callC(dlopenPC, uintptr(unsafe.Pointer(&name[0])), now)
	abs := callC(dlsymPC, handle, uintptr(unsafe.Pointer(&symbol[0])))
	if minus := ^uintptr(4); handle == 0 || abs == 0 || uint32(callC(abs, minus, 0)) != 5 {
		log.Fatal("dlopen")
	}
	runtime.KeepAlive(name)
	runtime.KeepAlive(symbol)
}

func (c *counter) write() {
	for k, b := range c.sizes {
		if b.Count == 0 {
			continue
		}
		if k > 0 {
			b.Min, b.Max = 1<<(k-1), 1<<(k-1)*2-1
		}
		c.Buckets = append(c.Buckets, b)
	}
	path := os.Getenv("TRUTH")
	if path == "" {
		return
	}
	text, err := json.Marshal(truth{"purego_dlopen", []process{c.process}})
	if err == nil {
		err = os.WriteFile(path, append(text, '\n'), 0o644)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	rounds := flag.Int("rounds", 1000, "rounds of each of the four goroutines")
	wait := flag.Bool("wait", false, "stand still at ready and done")
	flag.Parse()

	stdin := bufio.NewReader(os.Stdin)
	stop := func(word string) {
		if *wait {
			fmt.Printf("%s %d\n", word, os.Getpid())
			_, _ = stdin.ReadString('\n')
		}
	}
	findMath()
	stop("ready")
	c := &counter{process: process{Pid: os.Getpid(), Calls: map[string]uint64{}}}
	var done sync.WaitGroup
	done.Add(4)
	for i := 0; i < 4; i++ {
		go c.work(*rounds, &done)
	}
	done.Wait()
	c.write()
	stop("done")
}
