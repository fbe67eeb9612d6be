// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "store/store_tidy.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"

/* Steps go on for so long, and one more begins. */
#define TIDY_NS 5000000ull
/* Pages that are given back to the file system in a step. */
#define VACUUM_PAGES 64
/* Hours are kept for 400 days: a year's cycle can be seen. */
#define HOURS_KEPT_MS (400ll * 24 * HOUR_MS)
/* What --max-db leaves in any case. */
#define SAMPLES_LEAST_MS (10 * MINUTE_MS)
#define MINUTES_LEAST_MS (2 * HOUR_MS)
#define HOURS_LEAST_MS   (7 * 24 * HOUR_MS)

static int read_pragma(struct store *store, enum store_sql sql, int64_t *value)
{
	sqlite3_stmt *get = store__statement(store, sql);
	int got = get ? store__step(store, get, "read") : -EUCLEAN;

	if (got <= 0)
		return got < 0 ? got : -EUCLEAN;
	*value = sqlite3_column_int64(get, 0);
	sqlite3_reset(get);
	return 0;
}

static int64_t down(int64_t t_ms, int64_t unit_ms)
{
	return t_ms > 0 ? t_ms - t_ms % unit_ms : 0;
}

static void raise_from(struct store *store, enum store_tier tier, int64_t from_ms)
{
	if (from_ms > store->tiers[tier].from_ms)
		store->tiers[tier].from_ms = from_ms;
}

static int write_tiers(struct store *store)
{
	bool own;
	int err = store__enter(store, true, &own);

	for (int tier = 0; !err && tier < TIER_MAX; tier++)
		err = store__write_tier(store, tier);
	return store__leave(store, own, err);
}

/* The hour has changed: what is now older than it is to be kept goes. */
static int begin_expiry(struct store *store, int64_t now_ms)
{
	bool day = down(now_ms, DAY_MS) > store->expired_to_ms;
	int err;

	raise_from(store, TIER_SAMPLES, down(now_ms - store->samples_kept_ms, HOUR_MS));
	raise_from(store, TIER_MINUTES, down(now_ms - store->minutes_kept_ms, HOUR_MS));
	raise_from(store, TIER_HOURS, down(now_ms - HOURS_KEPT_MS, HOUR_MS));
	store->expiring = true;
	store->squeezed = false;
	err = write_tiers(store);
	if (err)
		return err;
	store->expired_to_ms = down(now_ms, HOUR_MS);
	if (day)
		store->ended_at = 0;
	return 1;
}

/* A quarter of what there is of the finest tier that has more than the least. 0: none has. */
static int64_t shorten(struct store *store, int64_t now_ms, enum store_tier tier, int64_t kept_ms,
		       int64_t least_ms)
{
	int64_t unit = tier == TIER_SAMPLES ? MINUTE_MS : HOUR_MS;
	int64_t from = store->tiers[tier].from_ms;
	int64_t span;

	if (from < now_ms - kept_ms)
		from = now_ms - kept_ms;
	span = now_ms - from;
	if (span - span / 4 < least_ms)
		return 0;
	return down(from + span / 4, unit) + unit;
}

static int begin_squeeze(struct store *store, int64_t now_ms)
{
	const struct {
		enum store_tier tier;
		int64_t kept_ms, least_ms;
	} order[] = {
		{TIER_SAMPLES, store->samples_kept_ms, SAMPLES_LEAST_MS},
		{TIER_MINUTES, store->minutes_kept_ms, MINUTES_LEAST_MS},
		{TIER_HOURS, HOURS_KEPT_MS, HOURS_LEAST_MS},
	};

	int err;

	for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
		int64_t from =
			shorten(store, now_ms, order[i].tier, order[i].kept_ms, order[i].least_ms);

		if (!from || !store->tiers[order[i].tier].rows)
			continue;
		raise_from(store, order[i].tier, from);
		store->squeezed = store->expiring = true;
		store->ended_at = 0;
		err = write_tiers(store);
		return err ? err : 1;
	}
	return store__drop_incident(store);
}

static int give_back(struct store *store)
{
	char pragma[96];
	int err;

	/* The bound is again what it should be once the file fits it. */
	snprintf(pragma, sizeof(pragma),
		 "PRAGMA incremental_vacuum(%d); PRAGMA max_page_count=%lld", VACUUM_PAGES,
		 (long long)store->pages_max);
	err = store__execute(store, pragma, "write");
	return err ? err : 1;
}

/* The next thing that is to be done; 0: nothing is. */
static int tidy_step(struct store *store, int64_t now_ms)
{
	int64_t pages, unused;
	int err = read_pragma(store, SQL_PAGE_COUNT, &pages);

	err = err ? err : read_pragma(store, SQL_FREELIST_COUNT, &unused);
	if (err)
		return err;
	if (store->expiring) {
		err = store__expire_some(store);
		store->expiring = err > 0;
		if (err)
			return err;
	}
	/* Before it is full: the rest is room for a pass while rows are removed. */
	if (pages - unused > store->pages_max / 10 * 9) {
		err = begin_squeeze(store, now_ms);
		if (err)
			return err;
	}
	err = store__fold_some(store);
	err = err ? err : store__end_some(store);
	if (err)
		return err;
	if (down(now_ms, HOUR_MS) > store->expired_to_ms)
		return begin_expiry(store, now_ms);
	/* Some are left for what comes; none when --max-db was made smaller. */
	if (unused > pages / 8 + VACUUM_PAGES || (unused && pages > store->pages_max))
		return give_back(store);
	return 0;
}

int store__tidy(struct store *store, double now_unix, bool *more)
{
	uint64_t end_ns = monotonic_ns() + TIDY_NS;
	int got;

	*more = false;
	if (store->read_only || store->begun)
		return store__refuse(store, -EINVAL, "%s: cannot be tidied now", store->path);
	do {
		got = tidy_step(store, unix_ms(now_unix));
	} while (got > 0 && monotonic_ns() < end_ns);
	*more = got > 0;
	return got < 0 ? got : 0;
}
