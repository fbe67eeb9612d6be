// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <string.h>

#include "store/store_internal.h"

static const char *const tier_names[TIER_MAX] = {
#define STORE_TIER_NAME(name, table) [TIER_##name] = #table,
	STORE_TIERS(STORE_TIER_NAME)
#undef STORE_TIER_NAME
};

static int load_tier(struct store *store, enum store_tier tier)
{
	struct tier_state *state = &store->tiers[tier];
	sqlite3_stmt *get = store__statement(store, SQL_TIER_GET);
	int got;

	if (!get)
		return -EUCLEAN;
	sqlite3_bind_text(get, 1, tier_names[tier], -1, SQLITE_STATIC);
	got = store__step(store, get, "read");
	if (got <= 0)
		return got;
	state->from_ms = sqlite3_column_int64(get, 0);
	if (tier != TIER_SAMPLES)
		state->rows = sqlite3_column_int64(get, 1);
	state->dropped = sqlite3_column_int64(get, 2);
	sqlite3_reset(get);
	/* Boundaries between tiers lie between hours, whatever the file says. */
	if (state->from_ms < 0 || state->from_ms > TIME_MAX_MS || state->from_ms % MINUTE_MS ||
	    (tier != TIER_SAMPLES && state->from_ms % HOUR_MS))
		return store__refuse(store, -EUCLEAN,
				     "%s is damaged: it says that its %s begin at "
				     "a time that cannot be",
				     store->path, tier_names[tier]);
	return 0;
}

int store__write_tier(struct store *store, enum store_tier tier)
{
	const struct tier_state *state = &store->tiers[tier];
	sqlite3_stmt *put = store__statement(store, SQL_TIER_PUT);

	if (!put)
		return -EUCLEAN;
	sqlite3_bind_text(put, 1, tier_names[tier], -1, SQLITE_STATIC);
	sqlite3_bind_int64(put, 2, state->from_ms);
	sqlite3_bind_int64(put, 3, state->rows);
	sqlite3_bind_int64(put, 4, state->dropped);
	return store__run(store, put, "write");
}

static int load_passes(struct store *store)
{
	sqlite3_stmt *last = store__statement(store, SQL_PASS_LAST);
	int got = last ? store__step(store, last, "read") : -EUCLEAN;

	/* The next pass begins a new run: between the two anything may have happened. */
	store->pass_begin_ms = store->pass_end_ms = store->pass_gap_ms = 0;
	if (got <= 0)
		return got;
	store->pass_end_ms = sqlite3_column_int64(last, 1);
	sqlite3_reset(last);
	if (store->pass_end_ms < 0 || store->pass_end_ms > TIME_MAX_MS)
		return store__refuse(store, -EUCLEAN,
				     "%s is damaged: its last pass was at a time that cannot be",
				     store->path);
	return 0;
}

static int load_sample_id(struct store *store)
{
	sqlite3_stmt *last = store__statement(store, SQL_SAMPLE_LAST);
	int got = last ? store__step(store, last, "read") : -EUCLEAN;

	if (got <= 0)
		return got;
	store->sample_id = sqlite3_column_int64(last, 0);
	sqlite3_reset(last);
	return 0;
}

int store__load_state(struct store *store)
{
	int err = load_passes(store);

	err = err ? err : load_sample_id(store);
	for (int tier = 0; !err && tier < TIER_MAX; tier++)
		err = load_tier(store, tier);
	return err;
}

int store__count_samples(struct store *store)
{
	sqlite3_stmt *count = store__statement(store, SQL_SAMPLE_COUNT);
	int got = count ? store__step(store, count, "read") : -EUCLEAN;

	if (got <= 0)
		return got;
	store->tiers[TIER_SAMPLES].rows = sqlite3_column_int64(count, 0);
	sqlite3_reset(count);
	return 0;
}

int store__begin_session(struct store *store)
{
	sqlite3_stmt *close = store__statement(store, SQL_LIVES_CLOSE);

	if (!close)
		return -EUCLEAN;
	sqlite3_bind_int64(close, 1, store->pass_end_ms + 1);
	return store__run(store, close, "write");
}

int store__put_state(struct store *store, int64_t subject, const char *key, const void *bytes,
		     size_t size)
{
	sqlite3_stmt *put = store__statement(store, SQL_STATE_PUT);

	if (!put)
		return -EUCLEAN;
	sqlite3_bind_int64(put, 1, subject);
	sqlite3_bind_text(put, 2, key, -1, SQLITE_STATIC);
	sqlite3_bind_blob64(put, 3, size ? bytes : "", size, SQLITE_STATIC);
	return store__run(store, put, "write");
}

int store__get_state(struct store *store, int64_t subject, const char *key, void *bytes,
		     size_t size)
{
	sqlite3_stmt *get = store__statement(store, SQL_STATE_GET);
	const void *value;
	int got;

	if (!get)
		return -EUCLEAN;
	sqlite3_bind_int64(get, 1, subject);
	sqlite3_bind_text(get, 2, key, -1, SQLITE_STATIC);
	got = store__step(store, get, "read");
	if (got <= 0)
		return got ? got : -ENOENT;
	value = sqlite3_column_blob(get, 0);
	got = (size_t)sqlite3_column_bytes(get, 0) == size ? 0 : -EINVAL;
	if (!got && size)
		memcpy(bytes, value, size);
	sqlite3_reset(get);
	return got;
}
