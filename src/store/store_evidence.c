// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "store/store_tidy.h"

/* Folded stacks and profiles are some MB at most; so is what a damaged size may have us allocate.
 */
#define EVIDENCE_MAX_BYTES (64u << 20)
#define NAME_MAX_BYTES     255
/* Of --max-db: all evidence, and one file of it (which has to fit the WAL). */
#define EVIDENCE_SHARE 4
#define FILE_SHARE     32

/* A file's name, not a way out of the directory that it will be written to. */
static bool is_name(const char *name)
{
	return *name && strlen(name) <= NAME_MAX_BYTES && !strchr(name, '/') &&
	       strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static int read_one(struct store *store, enum store_sql sql, int64_t *value)
{
	sqlite3_stmt *get = store__statement(store, sql);
	int got = get ? store__step(store, get, "read") : -EUCLEAN;

	if (got <= 0)
		return got;
	*value = sqlite3_column_int64(get, 0);
	sqlite3_reset(get);
	return 1;
}

static int drop_oldest(struct store *store, int64_t keep)
{
	sqlite3_stmt *drop;
	int64_t oldest;
	int got = read_one(store, SQL_EVIDENCE_OLDEST, &oldest);

	if (got <= 0 || oldest == keep)
		return got < 0 ? got : -EFBIG;
	drop = store__statement(store, SQL_EVIDENCE_DELETE);
	if (!drop)
		return -EUCLEAN;
	sqlite3_bind_int64(drop, 1, oldest);
	return store__run(store, drop, "write");
}

/* That of older incidents goes. */
static int make_room(struct store *store, int64_t incident, size_t size)
{
	int64_t total = 0;
	int err = 0;

	if (size > store->max_bytes / FILE_SHARE)
		return store__refuse(store, -EFBIG,
				     "a file of evidence is too large for %s: %zu bytes, deflated, "
				     "of %llu (see --max-db)",
				     store->path, size,
				     (unsigned long long)store->max_bytes / FILE_SHARE);
	while (!err) {
		int got = read_one(store, SQL_EVIDENCE_TOTAL, &total);

		if (got < 0)
			return got;
		if ((uint64_t)total + size <= store->max_bytes / EVIDENCE_SHARE)
			return 0;
		err = drop_oldest(store, incident);
	}
	return err;
}

static int put_deflated(struct store *store, int64_t incident, const char *name, size_t size,
			const void *deflated, size_t deflated_size)
{
	sqlite3_stmt *put;
	bool own;
	int err = store__enter(store, true, &own);

	if (err)
		return err;
	err = make_room(store, incident, deflated_size);
	put = err ? NULL : store__statement(store, SQL_EVIDENCE_PUT);
	if (!err && !put)
		err = -EUCLEAN;
	if (!err) {
		sqlite3_bind_int64(put, 1, incident);
		sqlite3_bind_text(put, 2, name, -1, SQLITE_STATIC);
		sqlite3_bind_int64(put, 3, (int64_t)size);
		sqlite3_bind_blob64(put, 4, deflated, deflated_size, SQLITE_STATIC);
		err = store__run(store, put, "write");
		sqlite3_clear_bindings(put);
	}
	return store__leave(store, own, err);
}

int store__put_evidence(struct store *store, int64_t incident, const char *name, const void *bytes,
			size_t size)
{
	uLongf room = compressBound(size);
	Bytef *deflated;
	int err;

	if (!is_name(name) || size > EVIDENCE_MAX_BYTES)
		return store__refuse(store, is_name(name) ? -EFBIG : -EINVAL,
				     "cannot keep a file of evidence: its %s",
				     is_name(name) ? "size is over 64 MB" : "name is none");
	deflated = malloc(room);
	if (!deflated)
		return store__refuse(store, -ENOMEM, "out of memory");
	if (compress2(deflated, &room, size ? bytes : (const void *)"", size,
		      Z_DEFAULT_COMPRESSION) != Z_OK)
		err = store__refuse(store, -ENOMEM, "out of memory");
	else
		err = put_deflated(store, incident, name, size, deflated, room);
	free(deflated);
	return err;
}

/* The deflated bytes are at most a thousandth of what they become (zlib.net/zlib_tech.html). */
static int inflate_file(struct store *store, sqlite3_stmt *get, void **bytes, size_t *size)
{
	int64_t wanted = sqlite3_column_int64(get, 0);
	const void *deflated = sqlite3_column_blob(get, 1);
	int deflated_size = sqlite3_column_bytes(get, 1);
	uLongf got = (uLongf)wanted;

	if (wanted < 0 || wanted > EVIDENCE_MAX_BYTES || !deflated || wanted / 1100 > deflated_size)
		return store__refuse(store, -EUCLEAN, "%s has damaged evidence", store->path);
	/* One more: an empty file is no NULL. */
	*bytes = malloc((size_t)wanted + 1);
	if (!*bytes)
		return store__refuse(store, -ENOMEM, "out of memory");
	if (uncompress(*bytes, &got, deflated, (uLong)deflated_size) != Z_OK ||
	    got != (uLongf)wanted) {
		free(*bytes);
		*bytes = NULL;
		return store__refuse(store, -EUCLEAN, "%s has damaged evidence", store->path);
	}
	*size = got;
	return 0;
}

int store__get_evidence(struct store *store, int64_t incident, const char *name, void **bytes,
			size_t *size)
{
	sqlite3_stmt *get = store__statement(store, SQL_EVIDENCE_GET);
	int got;

	*bytes = NULL;
	*size = 0;
	if (!get)
		return -EUCLEAN;
	sqlite3_bind_int64(get, 1, incident);
	sqlite3_bind_text(get, 2, name, -1, SQLITE_STATIC);
	got = store__step(store, get, "read");
	if (got <= 0)
		return got ? got : -ENOENT;
	got = inflate_file(store, get, bytes, size);
	sqlite3_reset(get);
	return got;
}

int store__each_evidence(struct store *store, int64_t incident, store_evidence_fn fn, void *ctx)
{
	char name[NAME_MAX_BYTES + 1];
	sqlite3_stmt *list = NULL;
	int got = 0, err = 0;

	/* Not one of the kept ones: fn may walk another incident's. */
	if (sqlite3_prepare_v2(store->db, store__sql_text(SQL_EVIDENCE_LIST), -1, &list, NULL) !=
	    SQLITE_OK)
		return store__failure(store, "read");
	sqlite3_bind_int64(list, 1, incident);
	while (!err && (got = store__step(store, list, "read")) > 0) {
		column_copy(list, 0, name, sizeof(name));
		/* Of a file that is none of ours. */
		if (is_name(name))
			err = fn(ctx, name, (size_t)sqlite3_column_int64(list, 1));
	}
	sqlite3_finalize(list);
	return err ? err : got;
}
