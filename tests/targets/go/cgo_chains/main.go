// env: CGO_ENABLED=1
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Cgo_chains calls malloc from C by chains of calls that it knows: from Go, from Go that C has called
// back, from goroutines, from threads of C that call Go. Writes what was asked for by each chain to
// $TRUTH, one "CHAIN BYTES" a line, Go's runtime and cgo's own functions left out.
//
// "ready PID", a line, the calls, "done PID", a line.
package main

/*
#cgo CFLAGS: -O2 -fomit-frame-pointer
#cgo LDFLAGS: -lpthread
#include <pthread.h>
#include <stdlib.h>

extern void back_in_go(int bytes);

static void *volatile kept;

static __attribute__((noinline)) void c_take(int bytes)
{
	kept = malloc(bytes);
	free(kept);
}

static __attribute__((noinline)) void c_outer(int bytes)
{
	volatile char frame[300];

	frame[0] = 1;
	c_take(bytes);
	frame[1] = 2;
}

static __attribute__((noinline)) void c_calls_go(int bytes)
{
	volatile char frame[5000];

	frame[0] = 1;
	back_in_go(bytes);
	frame[1] = 2;
}

static void *c_thread(void *argument)
{
	c_calls_go((int)(long)argument);
	return NULL;
}

static __attribute__((noinline)) void c_starts_thread(int bytes)
{
	pthread_t thread;

	if (!pthread_create(&thread, NULL, c_thread, (void *)(long)bytes))
		pthread_join(thread, NULL);
}
*/
import "C"

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"sync"
)

const rounds = 200

//go:noinline
func one(bytes int) { two(bytes) }

//go:noinline
func two(bytes int) { C.c_outer(C.int(bytes)) }

//go:noinline
func three(bytes int) { C.c_calls_go(C.int(bytes)) }

//go:noinline
//export back_in_go
func back_in_go(bytes C.int) { two(int(bytes)) }

//go:noinline
func worker(bytes int, group *sync.WaitGroup) {
	defer group.Done()
	for i := 0; i < rounds; i++ {
		one(bytes)
	}
}

//go:noinline
func deep(levels, bytes int) {
	if levels > 0 {
		deep(levels-1, bytes)
		return
	}
	one(bytes)
}

func callAll() {
	var group sync.WaitGroup

	for i := 0; i < rounds; i++ {
		one(1001)
		three(1002)
		deep(30, 1003)
		C.c_starts_thread(1004)
	}
	for i := 0; i < 4; i++ {
		group.Add(1)
		go worker(1005, &group)
	}
	group.Wait()
}

func main() {
	in := bufio.NewReader(os.Stdin)
	deepest := ""

	runtime.LockOSThread()
	fmt.Println("ready", os.Getpid())
	in.ReadString('\n')
	callAll()
	for i := 0; i < 31; i++ {
		deepest += "main.deep;"
	}
	truth, err := os.Create(os.Getenv("TRUTH"))
	if err != nil {
		panic(err)
	}
	fmt.Fprintf(truth, "main.main;main.callAll;main.one;main.two;c_outer;c_take %d\n", rounds*1001)
	fmt.Fprintf(truth, "main.main;main.callAll;main.three;c_calls_go;main.back_in_go;main.two;"+
		"c_outer;c_take %d\n", rounds*1002)
	fmt.Fprintf(truth, "main.main;main.callAll;%smain.one;main.two;c_outer;c_take %d\n", deepest,
		rounds*1003)
	fmt.Fprintf(truth, "c_thread;c_calls_go;main.back_in_go;main.two;c_outer;c_take %d\n",
		rounds*1004)
	fmt.Fprintf(truth, "main.callAll.func1;main.worker;main.one;main.two;c_outer;c_take %d\n",
		4*rounds*1005)
	if err := truth.Close(); err != nil {
		panic(err)
	}
	fmt.Println("done", os.Getpid())
	in.ReadString('\n')
}
