// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_internal.h"

/* A reader never waits for the writer nor it for one (WAL); this is for the moments in which the
 * WAL is started anew. */
#define BUSY_MS 1000
/* Below it the WAL has no room for a pass over a few thousand processes. */
#define MAX_BYTES_LEAST (4ull << 20)
/* 1 MiB: what a pass and a step of tidying touch; watch's memory is bounded. */
#define CACHE_KIB 1024
/* 8 MB: a page that changes often is written back once for all of it. */
#define CHECKPOINT_PAGES   2048
#define HOURS_FULL_DEFAULT 6
#define DAYS_MIN_DEFAULT   2

static int on_wal(void *ctx, sqlite3 *db, const char *name, int pages)
{
	struct store *store = ctx;

	store->wal_pages = pages;
	/* Passive: what a reader still needs stays; the next commit tries again. */
	if (pages >= CHECKPOINT_PAGES || pages >= store->wal_pages_max / 2)
		sqlite3_wal_checkpoint_v2(db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
	return SQLITE_OK;
}

/* The database may be anybody's: nothing in its schema runs, and no page is trusted. */
static int harden(struct store *store)
{
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, NULL);
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	/* One that we refuse stays as it is, its WAL with it. */
	sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
	sqlite3_busy_timeout(store->db, BUSY_MS);
	return store__execute(store,
			      "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0;"
			      "PRAGMA temp_store=MEMORY",
			      "open");
}

static int bound_size(struct store *store)
{
	uint64_t wal = store->max_bytes / 4;
	char pragma[256];

	if (wal > STORE_WAL_MAX_BYTES)
		wal = STORE_WAL_MAX_BYTES;
	store->wal_pages_max = wal / STORE_PAGE_BYTES;
	store->pages_max = (store->max_bytes - wal) / STORE_PAGE_BYTES;
	/*
	 * NORMAL: synced at checkpoints only. A kill loses nothing that was committed, a loss of
	 * power what came after the last checkpoint; neither corrupts (sqlite.org/wal.html).
	 */
	snprintf(pragma, sizeof(pragma),
		 "PRAGMA synchronous=NORMAL; PRAGMA cache_size=-%d;"
		 "PRAGMA journal_size_limit=%llu; PRAGMA max_page_count=%lld",
		 CACHE_KIB, (unsigned long long)wal, (long long)store->pages_max);
	/* In the place of the hook that SQLite checkpoints by itself with. */
	sqlite3_wal_hook(store->db, on_wal, store);
	return store__execute(store, pragma, "set up");
}

/*
 * One writer at a time, over its whole life. In a file of its own: closing a descriptor of the
 * database would drop the locks that SQLite holds on it (fcntl(2)).
 */
static int take_lock(struct store *store)
{
	char *path;
	int err = 0;

	if (asprintf(&path, "%s-lock", store->path) < 0)
		return store__refuse(store, -ENOMEM, "out of memory");
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (store->lock_fd < 0) {
		err = store__refuse(store, -errno, "cannot write %s: %s", path, strerror(errno));
	} else if (flock(store->lock_fd, LOCK_EX | LOCK_NB)) {
		err = errno == EWOULDBLOCK
			      ? store__refuse(store, -EBUSY,
					      "%s is in use by another `memdrift watch`",
					      store->path)
			      : store__refuse(store, -errno, "cannot lock %s: %s", path,
					      strerror(errno));
	}
	free(path);
	return err;
}

static int open_file(struct store *store, int flags)
{
	/* No SQLITE_OPEN_URI: a path is a path. */
	if (sqlite3_open_v2(store->path, &store->db, flags | SQLITE_OPEN_NOMUTEX, NULL) !=
	    SQLITE_OK)
		return store__failure(store, "open");
	return harden(store);
}

/* On a medium that cannot be written, a database that was closed in good order can be read as one
 * that never changes. */
static int open_unchanging(struct store *store)
{
	char *uri, *wal = NULL;
	int err = -EROFS;

	sqlite3_close(store->db);
	store->db = NULL;
	if (asprintf(&wal, "%s-wal", store->path) < 0)
		return store__refuse(store, -ENOMEM, "out of memory");
	uri = access(wal, F_OK) ? sqlite3_mprintf("file:%s?immutable=1", store->path) : NULL;
	/* These end a URI's path or begin an escape. */
	if (uri && !strpbrk(store->path, "?#%") &&
	    sqlite3_open_v2(uri, &store->db,
			    SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI,
			    NULL) == SQLITE_OK)
		err = harden(store);
	if (err)
		store__refuse(store, err,
			      "cannot read %s: its directory cannot be written; copy it, with the "
			      "files of the same name and -wal and -shm, to one that can",
			      store->path);
	sqlite3_free(uri);
	free(wal);
	return err;
}

static int open_to_read(struct store *store)
{
	int err = open_file(store, SQLITE_OPEN_READONLY);

	err = err ? err : store__check_schema(store);
	if (err == -EROFS || (err == -ENOENT && !access(store->path, R_OK))) {
		err = open_unchanging(store);
		err = err ? err : store__check_schema(store);
	}
	return err;
}

static int open_to_write(struct store *store)
{
	int err = take_lock(store);

	err = err ? err : open_file(store, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
	err = err ? err : store__check_schema(store);
	err = err ? err : bound_size(store);
	if (!err)
		sqlite3_db_config(store->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0, NULL);
	return err;
}

int store__open(struct store **out, const struct store_options *options,
		char error[STORE_ERROR_MAX])
{
	struct store *store = calloc(1, sizeof(*store));
	int err;

	*out = NULL;
	snprintf(error, STORE_ERROR_MAX, "out of memory");
	if (!store)
		return -ENOMEM;
	store->lock_fd = -1;
	store->path = strdup(options->path);
	store->read_only = options->read_only;
	store->max_bytes = options->max_bytes ? options->max_bytes : STORE_MAX_BYTES_DEFAULT;
	store->samples_kept_ms =
		(options->hours_full > 0 ? options->hours_full : HOURS_FULL_DEFAULT) * HOUR_MS;
	store->minutes_kept_ms =
		(options->days_minutes > 0 ? options->days_minutes : DAYS_MIN_DEFAULT) * 24 *
		HOUR_MS;
	if (!store->path)
		err = -ENOMEM;
	else if (store->max_bytes < MAX_BYTES_LEAST)
		err = store__refuse(store, -EINVAL, "a history needs at least 4 MB");
	else
		err = options->read_only ? open_to_read(store) : open_to_write(store);
	err = err ? err : store__load_state(store);
	err = err ? err : store__count_samples(store);
	if (!err && !store->read_only)
		err = store__begin_session(store);
	if (err) {
		if (*store->error)
			memcpy(error, store->error, STORE_ERROR_MAX);
		store__close(store);
		return err;
	}
	*error = 0;
	*out = store;
	return 0;
}

void store__close(struct store *store)
{
	if (!store)
		return;
	for (int i = 0; i < SQL_MAX; i++)
		sqlite3_finalize(store->statements[i]);
	sqlite3_close(store->db);
	if (store->lock_fd >= 0)
		close(store->lock_fd);
	free(store->path);
	free(store);
}

const char *store__error(const struct store *store)
{
	return store->error;
}

int store__size(struct store *store, struct store_size *out)
{
	struct stat file, wal;
	char *path;
	sqlite3_stmt *count = store__statement(store, SQL_INCIDENT_COUNT);
	int got = count ? store__step(store, count, "read") : -EUCLEAN;

	*out = (struct store_size){0};
	if (got < 0)
		return got;
	out->incidents = sqlite3_column_int64(count, 0);
	sqlite3_reset(count);
	out->samples = store->tiers[TIER_SAMPLES].rows;
	out->minutes = store->tiers[TIER_MINUTES].rows;
	out->hours = store->tiers[TIER_HOURS].rows;
	for (int tier = 0; tier < TIER_MAX; tier++)
		out->dropped += store->tiers[tier].dropped;
	if (asprintf(&path, "%s-wal", store->path) < 0)
		return -ENOMEM;
	if (!stat(store->path, &file))
		out->bytes += file.st_size;
	if (!stat(path, &wal))
		out->bytes += wal.st_size;
	free(path);
	return 0;
}
