// env: CGO_ENABLED=1
// flags: -tags libsqlite3
// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// Sqlite_cgo works on a database in memory through go-sqlite3 and the system's libsqlite3. What
// SQLite says of its own memory is the truth: bytes and allocations outstanding, and the peak.
//
// With -wait it stands still twice: "ready PID" before the work and "done PID" at the end, with
// the database still open; each time until a line comes on stdin.
package main

/*
#cgo LDFLAGS: -lsqlite3
#include <sqlite3.h>

static sqlite3_int64 status(int what, int peak)
{
	sqlite3_int64 now = 0, highest = 0;

	sqlite3_status64(what, &now, &highest, 0);
	return peak ? highest : now;
}
*/
import "C"

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"runtime"

	_ "github.com/mattn/go-sqlite3"
)

type truth struct {
	Program     string `json:"program"`
	Pid         int    `json:"pid"`
	Rows        int    `json:"rows"`
	Used        int64  `json:"sqlite_used_bytes"`
	Peak        int64  `json:"sqlite_peak_bytes"`
	Outstanding int64  `json:"sqlite_outstanding_allocations"`
	Largest     int64  `json:"sqlite_largest_request_bytes"`
	GoSys       uint64 `json:"go_sys_bytes"`
}

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func work(db *sql.DB, rows int) {
	_, err := db.Exec("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB)")
	must(err)
	tx, err := db.Begin()
	must(err)
	insert, err := tx.Prepare("INSERT INTO t (name, data) VALUES (?, ?)")
	must(err)
	for i := 0; i < rows; i++ {
		_, err = insert.Exec(fmt.Sprintf("row %d", i*7919%rows), make([]byte, i%2000))
		must(err)
	}
	must(insert.Close())
	must(tx.Commit())
	_, err = db.Exec("CREATE INDEX by_name ON t (name)")
	must(err)
	var sum int64
	must(db.QueryRow("SELECT sum(length(data)) FROM t ORDER BY name").Scan(&sum))
	_, err = db.Exec("DELETE FROM t WHERE id % 4 <> 0")
	must(err)
}

func main() {
	rows := flag.Int("rows", 50000, "rows to insert")
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
	db, err := sql.Open("sqlite3", ":memory:")
	must(err)
	db.SetMaxOpenConns(1) // each connection has a database in memory of its own
	work(db, *rows)
	t := truth{
		Program:     "sqlite_cgo",
		Pid:         os.Getpid(),
		Rows:        *rows,
		Used:        int64(C.status(C.SQLITE_STATUS_MEMORY_USED, 0)),
		Peak:        int64(C.status(C.SQLITE_STATUS_MEMORY_USED, 1)),
		Outstanding: int64(C.status(C.SQLITE_STATUS_MALLOC_COUNT, 0)),
		Largest:     int64(C.status(C.SQLITE_STATUS_MALLOC_SIZE, 1)),
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	t.GoSys = stats.Sys
	if path := os.Getenv("TRUTH"); path != "" {
		text, err := json.MarshalIndent(t, "", " ")
		must(err)
		must(os.WriteFile(path, append(text, '\n'), 0o644))
	}
	stop("done")
	runtime.KeepAlive(db)
}
