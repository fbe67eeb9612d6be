// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdio.h>

#include "store/store_internal.h"

/* "mdft", in the header of every database of ours. */
#define APPLICATION_ID 0x6d646674

/* Of one version: a new component is a new step. */
#define COMPONENT_COLUMNS                                                                 \
	"rss_bytes INTEGER, anon_bytes INTEGER, file_bytes INTEGER, shmem_bytes INTEGER," \
	" swap_bytes INTEGER, threads INTEGER, brk_bytes INTEGER,"                        \
	" arena_resident_bytes INTEGER, arena_committed_bytes INTEGER, arenas INTEGER,"   \
	" malloc_in_use_bytes INTEGER, malloc_free_bytes INTEGER, go_heap_bytes INTEGER," \
	" go_alloc_bytes INTEGER, go_idle_bytes INTEGER, direct_mapping_bytes INTEGER,"   \
	" thread_stack_bytes INTEGER"

/*
 * Times are ms of Unix time, sizes bytes, NULL is unknown. samples, minutes and hours hold a row
 * where something changed: it is in force until the next one, while a pass (passes) found a life
 * (lives) of the subject. The components from brk_bytes on hold for their own row only.
 */
static const char step_1[] =
	"CREATE TABLE subjects(id INTEGER PRIMARY KEY,"
	" unit TEXT NOT NULL, cgroup TEXT NOT NULL, exe TEXT NOT NULL, comm TEXT NOT NULL,"
	" slot INTEGER NOT NULL, limit_bytes INTEGER, arena_limit INTEGER, cpus REAL,"
	/* The first hour that is not in minutes and hours yet. */
	" fold_ms INTEGER NOT NULL, UNIQUE(unit,exe,slot));"
	"CREATE INDEX subjects_fold ON subjects(fold_ms);"
	"CREATE TABLE lives(subject INTEGER, begin_ms INTEGER, end_ms INTEGER,"
	" pid INTEGER NOT NULL, start_time INTEGER NOT NULL,"
	" PRIMARY KEY(subject,begin_ms)) WITHOUT ROWID;"
	"CREATE INDEX lives_open ON lives(subject) WHERE end_ms IS NULL;"
	/* count passes, evenly from begin to end. */
	"CREATE TABLE passes(begin_ms INTEGER PRIMARY KEY, end_ms INTEGER NOT NULL,"
	" count INTEGER NOT NULL);"
	/* In order of time, so that a pass touches the last page only: id is t_ms << 20 and a
	   count. */
	"CREATE TABLE samples(id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, " COMPONENT_COLUMNS
	");"
	/* By hour and by day: what is written together lies together, and goes together. The first
	 * row of each is there whether something changed or not. */
	"CREATE TABLE minutes(hour_ms INTEGER, subject INTEGER, t_ms INTEGER, " COMPONENT_COLUMNS
	", PRIMARY KEY(hour_ms,subject,t_ms)) WITHOUT ROWID;"
	"CREATE TABLE hours(day_ms INTEGER, subject INTEGER, t_ms INTEGER, " COMPONENT_COLUMNS
	", rss_min INTEGER, rss_max INTEGER, PRIMARY KEY(day_ms,subject,t_ms)) WITHOUT ROWID;"
	/* What is in force at subjects.fold_ms. */
	"CREATE TABLE carried(subject INTEGER PRIMARY KEY, rss_bytes INTEGER, anon_bytes INTEGER,"
	" file_bytes INTEGER, shmem_bytes INTEGER, swap_bytes INTEGER, threads INTEGER);"
	"CREATE TABLE tiers(tier TEXT PRIMARY KEY, from_ms INTEGER NOT NULL,"
	" rows INTEGER NOT NULL, dropped INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE incidents(id INTEGER PRIMARY KEY, kind TEXT NOT NULL,"
	" subject INTEGER NOT NULL, unit TEXT NOT NULL, cgroup TEXT NOT NULL, exe TEXT NOT NULL,"
	" comm TEXT NOT NULL, slot INTEGER NOT NULL, pid INTEGER, start_time INTEGER,"
	" begin_ms INTEGER NOT NULL, onset_ms INTEGER, end_ms INTEGER, rss_bytes INTEGER,"
	" limit_bytes INTEGER, drift INTEGER NOT NULL, verdict TEXT NOT NULL, component TEXT,"
	" plateau INTEGER NOT NULL, judged_ms INTEGER, judged_onset_ms INTEGER,"
	" slope_bytes_per_h REAL, slope_low REAL, slope_high REAL, level_bytes REAL,"
	" grown_bytes REAL, confidence REAL, reaches_limit_ms INTEGER, ends_at_bytes REAL,"
	" ends_ms INTEGER, why TEXT NOT NULL, todo TEXT NOT NULL);"
	"CREATE INDEX incidents_subject ON incidents(subject,begin_ms);"
	"CREATE TABLE evidence(incident INTEGER, name TEXT, size INTEGER NOT NULL,"
	" bytes BLOB NOT NULL, PRIMARY KEY(incident,name));"
	"CREATE TABLE state(subject INTEGER, key TEXT, value BLOB NOT NULL,"
	" PRIMARY KEY(subject,key)) WITHOUT ROWID;";

/* The step at i leads from version i to i + 1; one that was released is never changed. */
static const char *const steps[] = {step_1};
#define STORE_VERSION ((int)(sizeof(steps) / sizeof(*steps)))

static int read_number(struct store *store, const char *sql, int64_t *number)
{
	sqlite3_stmt *statement = NULL;
	int err = 0;

	*number = 0;
	if (sqlite3_prepare_v2(store->db, sql, -1, &statement, NULL) != SQLITE_OK ||
	    sqlite3_step(statement) != SQLITE_ROW)
		err = store__failure(store, "read");
	else
		*number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	return err;
}

static int check_kind(struct store *store, int64_t id, int64_t version)
{
	if (id != APPLICATION_ID)
		return store__refuse(store, -EUCLEAN,
				     "%s is not a history of memdrift but another database; it was "
				     "left as it is",
				     store->path);
	if (version > STORE_VERSION)
		return store__refuse(store, -EPROTONOSUPPORT,
				     "%s is of a newer memdrift (version %lld, this one knows %d); "
				     "it was left as it is",
				     store->path, (long long)version, STORE_VERSION);
	if (version < 0)
		return store__refuse(store, -EUCLEAN, "%s has no valid version", store->path);
	if (store->read_only && version < STORE_VERSION)
		return store__refuse(store, -EPROTONOSUPPORT,
				     "%s is of version %lld: `memdrift watch` brings it to %d",
				     store->path, (long long)version, STORE_VERSION);
	return 0;
}

static int take_step(struct store *store, int64_t version)
{
	char pragma[80];
	int err = store__execute(store, steps[version], "migrate");

	snprintf(pragma, sizeof(pragma), "PRAGMA application_id=%d; PRAGMA user_version=%d",
		 APPLICATION_ID, (int)version + 1);
	return err ? err : store__execute(store, pragma, "migrate");
}

/* Each step with its version is in one transaction; two writers that begin at once take turns. */
static int migrate(struct store *store)
{
	int64_t version = 0;

	do {
		int err = store__execute(store, "BEGIN IMMEDIATE", "lock");

		if (err)
			return err;
		err = read_number(store, "PRAGMA user_version", &version);
		if (!err && version < STORE_VERSION)
			err = take_step(store, version);
		err = err ? err : store__execute(store, "COMMIT", "migrate");
		if (err) {
			sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
			return err;
		}
	} while (++version < STORE_VERSION);
	return 0;
}

int store__check_schema(struct store *store)
{
	int64_t id = 0, version = 0, pages = 0;
	int err = read_number(store, "PRAGMA page_count", &pages);

	err = err ? err : read_number(store, "PRAGMA application_id", &id);
	err = err ? err : read_number(store, "PRAGMA user_version", &version);
	if (err)
		return err;
	if (pages || store->read_only) {
		err = check_kind(store, id, version);
		if (err)
			return err;
	}
	if (store->read_only)
		return 0;
	/* Of a new file only; what has pages keeps what it has. */
	err = store__execute(store, "PRAGMA auto_vacuum=INCREMENTAL", "set up");
	if (!err && version < STORE_VERSION)
		err = migrate(store);
	/* After the first transaction: so the header says whose file it is at any time. */
	return err ? err : store__execute(store, "PRAGMA journal_mode=WAL", "set up");
}
