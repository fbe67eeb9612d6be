// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "store/store_sql.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "store/store_internal.h"

static const char *const texts[SQL_MAX] = {
#define STORE_SQL_TEXT(name, text) [SQL_##name] = text,
	STORE_SQL(STORE_SQL_TEXT)
#undef STORE_SQL_TEXT
};

const char *store__sql_text(enum store_sql sql)
{
	return texts[sql];
}

static int system_error(sqlite3 *db, int otherwise)
{
	int err = sqlite3_system_errno(db);

	return err ? -err : otherwise;
}

static int errno_of(sqlite3 *db, int code)
{
	switch (code & 0xff) {
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_CANTOPEN:
		return system_error(db, -ENOENT);
	case SQLITE_IOERR:
		return system_error(db, -EIO);
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_TOOBIG:
		return -E2BIG;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	default:
		/* No statement of ours is wrong: the file is (no such table, malformed, ...). */
		return -EUCLEAN;
	}
}

/* What the reader can do about it, or which of two causes it was. */
static const char *hint(const struct store *store, int err)
{
	switch (err) {
	case -EBUSY:
		return "; another program holds a lock on it";
	case -ENOSPC:
		return store->max_bytes && !store->read_only ? " (or --max-db is reached)" : "";
	case -EUCLEAN:
		return "; move it away and `memdrift watch` begins a new one";
	default:
		return "";
	}
}

int store__failure(struct store *store, const char *what)
{
	int code = store->db ? sqlite3_extended_errcode(store->db) : SQLITE_NOMEM;
	int err = errno_of(store->db, code);
	const char *why = store->db ? sqlite3_errmsg(store->db) : "out of memory";
	char system[256] = "";

	if (err != -EUCLEAN && store->db && sqlite3_system_errno(store->db))
		snprintf(system, sizeof(system), " (%s)",
			 strerror(sqlite3_system_errno(store->db)));
	/* What was written with it is not kept without it. */
	if (store->begun && !store->failed)
		store->failed = err;
	return store__refuse(store, err, "cannot %s %s: %s%s%s", what, store->path, why, system,
			     hint(store, err));
}

int store__refuse(struct store *store, int err, const char *format, ...)
{
	char text[STORE_ERROR_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	text_printable(store->error, sizeof(store->error), text);
	return err;
}

sqlite3_stmt *store__statement(struct store *store, enum store_sql sql)
{
	sqlite3_stmt **statement = &store->statements[sql];

	if (!*statement && sqlite3_prepare_v3(store->db, texts[sql], -1, SQLITE_PREPARE_PERSISTENT,
					      statement, NULL) != SQLITE_OK) {
		store__failure(store, "use");
		return NULL;
	}
	sqlite3_reset(*statement);
	sqlite3_clear_bindings(*statement);
	return *statement;
}

int store__step(struct store *store, sqlite3_stmt *statement, const char *what)
{
	int err = 0;
	int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;

	if (code == SQLITE_ROW)
		return 1;
	if (!statement)
		return store__failure(store, what);
	if (code != SQLITE_DONE)
		err = store__failure(store, what);
	sqlite3_reset(statement);
	return err;
}

int store__run(struct store *store, sqlite3_stmt *statement, const char *what)
{
	int got = store__step(store, statement, what);

	if (got > 0)
		sqlite3_reset(statement);
	return got < 0 ? got : 0;
}

int store__execute(struct store *store, const char *sql, const char *what)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : store__failure(store, what);
}

int64_t unix_ms(double t_unix)
{
	if (!(t_unix > 0))
		return 0;
	return t_unix * 1000 < (double)TIME_MAX_MS ? llround(t_unix * 1000) : TIME_MAX_MS;
}

int64_t sample_id(int64_t t_ms)
{
	if (t_ms < 0)
		return 0;
	return t_ms <= TIME_MAX_MS ? t_ms << SAMPLE_ID_BITS : INT64_MAX;
}

void bind_time(sqlite3_stmt *statement, int column, double t_unix)
{
	if (isnan(t_unix))
		sqlite3_bind_null(statement, column);
	else
		sqlite3_bind_int64(statement, column, unix_ms(t_unix));
}

double column_time(sqlite3_stmt *statement, int column)
{
	int64_t ms = sqlite3_column_int64(statement, column);

	if (sqlite3_column_type(statement, column) == SQLITE_NULL || ms < 0 || ms > TIME_MAX_MS)
		return NAN;
	return ms / 1000.;
}

void bind_value(sqlite3_stmt *statement, int column, int64_t value)
{
	if (value < 0)
		sqlite3_bind_null(statement, column);
	else
		sqlite3_bind_int64(statement, column, value);
}

int64_t column_value(sqlite3_stmt *statement, int column)
{
	int64_t value = sqlite3_column_int64(statement, column);

	if (sqlite3_column_type(statement, column) != SQLITE_INTEGER || value < 0)
		return SERIES_UNKNOWN;
	return value;
}

void bind_name(sqlite3_stmt *statement, int column, const struct subject_name *name)
{
	sqlite3_bind_text(statement, column, name->unit, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, column + 1, name->cgroup, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, column + 2, name->exe, -1, SQLITE_STATIC);
	sqlite3_bind_text(statement, column + 3, name->comm, -1, SQLITE_STATIC);
	sqlite3_bind_int64(statement, column + 4, name->slot);
}

void column_copy(sqlite3_stmt *statement, int column, char *text, size_t size)
{
	const unsigned char *value = sqlite3_column_text(statement, column);

	snprintf(text, size, "%s", value ? (const char *)value : "");
}

void column_name(sqlite3_stmt *statement, int column, struct subject_name *name)
{
	column_copy(statement, column, name->unit, sizeof(name->unit));
	column_copy(statement, column + 1, name->cgroup, sizeof(name->cgroup));
	column_copy(statement, column + 2, name->exe, sizeof(name->exe));
	column_copy(statement, column + 3, name->comm, sizeof(name->comm));
	name->slot = sqlite3_column_int64(statement, column + 4);
}
