// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "store/store_internal.h"

static int check_file(struct store *store)
{
	int moved = 0;

	/* SQLite would go on in the file that nobody can open any more. */
	if (sqlite3_file_control(store->db, "main", SQLITE_FCNTL_HAS_MOVED, &moved) == SQLITE_OK &&
	    moved)
		return store__refuse(store, -ESTALE,
				     "%s was removed or replaced; it has to be opened anew",
				     store->path);
	return 0;
}

/* --max-db bounds the WAL, too: it cannot be started anew while somebody reads in it. */
static int check_wal(struct store *store)
{
	int pages = INT_MAX;

	/* The rest is for one transaction. */
	if (store->wal_pages <= store->wal_pages_max / 4 * 3)
		return 0;
	sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, &pages, NULL);
	store->wal_pages = pages;
	if (store->wal_pages <= store->wal_pages_max / 4 * 3)
		return 0;
	return store__refuse(store, -ENOSPC,
			     "cannot write %s: a program that has been reading it for long keeps "
			     "%s-wal from being emptied",
			     store->path, store->path);
}

/* What may have been rolled back is read again. */
static void forget(struct store *store)
{
	memset(store->identities, 0, sizeof(store->identities));
	store->tiers[TIER_SAMPLES].rows = store->rows_before;
	store__load_state(store);
}

static void roll_back(struct store *store)
{
	char error[STORE_ERROR_MAX];

	memcpy(error, store->error, sizeof(error));
	/* No error when SQLite itself has done so. */
	if (!sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
	if (!store->read_only)
		forget(store);
	memcpy(store->error, error, sizeof(error));
}

int store__begin(struct store *store)
{
	int err;

	if (store->read_only)
		return store__refuse(store, -EROFS, "%s was opened to be read", store->path);
	if (store->begun)
		return store__refuse(store, -EINVAL, "%s: a pass is already begun", store->path);
	err = check_file(store);
	err = err ? err : check_wal(store);
	err = err ? err : store__run(store, store__statement(store, SQL_BEGIN), "write");
	store->begun = !err;
	store->failed = 0;
	store->after_ms = store->pass_end_ms;
	store->rows_before = store->tiers[TIER_SAMPLES].rows;
	return err;
}

int store__commit(struct store *store)
{
	int err = store->begun ? store->failed : -EINVAL;

	store->begun = false;
	if (!err)
		err = store__run(store, store__statement(store, SQL_COMMIT), "write");
	if (err)
		roll_back(store);
	/* A WAL that a full disk has ended gives back what it has twice. */
	if (err == -ENOSPC)
		sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL);
	return err;
}

int store__enter(struct store *store, bool write, bool *own)
{
	*own = false;
	if (store->begun)
		return store->failed;
	if (!sqlite3_get_autocommit(store->db))
		return 0;
	*own = true;
	if (write)
		return store__begin(store);
	return store__run(store, store__statement(store, SQL_BEGIN_READ), "read");
}

int store__leave(struct store *store, bool own, int err)
{
	if (!own)
		return err;
	if (store->begun) {
		if (err && !store->failed)
			store->failed = err;
		return store__commit(store);
	}
	/* A reader's snapshot ends. */
	if (!sqlite3_get_autocommit(store->db))
		sqlite3_exec(store->db, "COMMIT", NULL, NULL, NULL);
	return err;
}
