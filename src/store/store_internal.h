/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STORE_STORE_INTERNAL_H
#define MEMDRIFT_STORE_STORE_INTERNAL_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "store/store.h"
#include "store/store_sql.h"

#define MINUTE_MS 60000ll
#define HOUR_MS   3600000ll
#define DAY_MS    (24 * HOUR_MS)
/* Of a sample's id; what is below counts those of the same ms. */
#define SAMPLE_ID_BITS 20
#define NEVER_MS       INT64_MAX /* subjects.fold_ms: nothing is left to be folded */
/* Year 2248; a time that is read from a file lies below, so that sums of a few, and ids of
 * samples, do not overflow. */
#define TIME_MAX_MS ((1ll << 43) - 1)

/* The first component that only a census tells, and that holds at its own time only. */
#define COMPONENT_CENSUS COMPONENT_BRK

#define STORE_PAGE_BYTES 4096
/* A quarter of --max-db is for the WAL, at most this: what one transaction may be. */
#define STORE_WAL_MAX_BYTES (32ull << 20)

/* Tables of samples from fine to coarse; X(name, table). Their rows are counted as they come and
 * go, a count(*) would read all of them; it is made once of samples, so that a pass need not write
 * what it has become. */
#define STORE_TIERS(X)      \
	X(SAMPLES, samples) \
	X(MINUTES, minutes) \
	X(HOURS, hours)
#define STORE_TIER_ENUM(name, table) TIER_##name,
enum store_tier { STORE_TIERS(STORE_TIER_ENUM) TIER_MAX };
#undef STORE_TIER_ENUM

struct tier_state {
	int64_t from_ms; /* what is older was removed */
	int64_t rows;
	int64_t dropped; /* of them removed before their time */
};

/* The process that a subject's last sample was of, so that most samples need no look-up. */
struct identity {
	int64_t subject; /* 0: none */
	uint64_t start_time;
	uint32_t pid;
};
/* 48 KB: twice as many as processes that are commonly followed; a miss is a look-up. */
#define IDENTITIES 2048

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[SQL_MAX];
	char *path;
	bool read_only;
	int lock_fd;
	bool begun; /* between store__begin and store__commit */
	int failed; /* the first error since store__begin */
	uint64_t max_bytes;
	int64_t pages_max; /* of the database itself */
	int64_t wal_pages; /* in the WAL after the latest commit */
	int64_t wal_pages_max;
	int64_t samples_kept_ms, minutes_kept_ms;
	struct tier_state tiers[TIER_MAX];
	int64_t sample_id; /* the last one's */
	/* The run of passes that goes on; begin 0: none. */
	int64_t pass_begin_ms, pass_end_ms, pass_gap_ms;
	int64_t after_ms;    /* pass_end_ms at store__begin: samples lie after it */
	int64_t rows_before; /* samples at store__begin */
	struct identity identities[IDENTITIES];
	/* Of what is too old, or, squeezed, for what there is no room: */
	bool expiring, squeezed;
	int64_t expired_to_ms; /* the hour that the last removal was for */
	int64_t ended_at;      /* the subject that ended ones were looked at up to; -1: all were */
	char error[STORE_ERROR_MAX];
};

/* Sets store->error to "cannot WHAT PATH: why" of SQLite's last error; its negative errno. */
int store__failure(struct store *store, const char *what);
/* The same from an errno; returns it. */
int store__refuse(struct store *store, int err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Ready with nothing bound; NULL after setting the error. */
sqlite3_stmt *store__statement(struct store *store, enum store_sql sql);
/* Runs one that gives no rows, and makes it ready again. */
int store__run(struct store *store, sqlite3_stmt *statement, const char *what);
/* Next row: 1, end: 0 or a negative errno, after which the statement is ready again. */
int store__step(struct store *store, sqlite3_stmt *statement, const char *what);
int store__execute(struct store *store, const char *sql, const char *what);

/* A transaction within store__begin or, when there is none, of its own. */
int store__enter(struct store *store, bool write, bool *own);
int store__leave(struct store *store, bool own, int err);

/* What store__open does once SQLite has opened the file. */
int store__check_schema(struct store *store);
int store__load_state(struct store *store);
int store__count_samples(struct store *store);
/* Ends lives that a writer before us left open. */
int store__begin_session(struct store *store);

static inline int64_t earlier_ms(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static inline int64_t later_ms(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int64_t unix_ms(double t_unix);
/* The first one that a sample of this time can have. */
int64_t sample_id(int64_t t_ms);
/* NULL of NAN. */
void bind_time(sqlite3_stmt *statement, int column, double t_unix);
double column_time(sqlite3_stmt *statement, int column);
void bind_value(sqlite3_stmt *statement, int column, int64_t value);
/* SERIES_UNKNOWN of NULL and of what is no value. */
int64_t column_value(sqlite3_stmt *statement, int column);
void bind_name(sqlite3_stmt *statement, int column, const struct subject_name *name);
void column_name(sqlite3_stmt *statement, int column, struct subject_name *name);
void column_copy(sqlite3_stmt *statement, int column, char *text, size_t size);

const char *store__sql_text(enum store_sql sql);
int store__write_tier(struct store *store, enum store_tier tier);

#endif
