// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <string.h>

#include "store/store_internal.h"

/* A gap between two passes that is this much longer than the one before ends the run of them. */
#define GAP_FACTOR 2.5

static int add_subject(struct store *store, const struct subject_name *name, int64_t *id)
{
	sqlite3_stmt *add = store__statement(store, SQL_SUBJECT_ADD);
	int err;

	if (!add)
		return -EUCLEAN;
	bind_name(add, 1, name);
	sqlite3_bind_int64(add, 6, NEVER_MS);
	err = store__run(store, add, "write");
	*id = sqlite3_last_insert_rowid(store->db);
	return err;
}

static int update_subject(struct store *store, const struct subject_name *name, int64_t id)
{
	sqlite3_stmt *update = store__statement(store, SQL_SUBJECT_UPDATE);

	if (!update)
		return -EUCLEAN;
	sqlite3_bind_text(update, 1, name->cgroup, -1, SQLITE_STATIC);
	sqlite3_bind_text(update, 2, name->comm, -1, SQLITE_STATIC);
	sqlite3_bind_int64(update, 3, id);
	return store__run(store, update, "write");
}

static bool same_text(sqlite3_stmt *statement, int column, const char *text)
{
	const unsigned char *value = sqlite3_column_text(statement, column);

	return value && !strcmp((const char *)value, text);
}

int store__subject(struct store *store, const struct subject_name *name, int64_t *id)
{
	sqlite3_stmt *find = store__statement(store, SQL_SUBJECT_FIND);
	bool same = false;
	int got;

	if (!find)
		return -EUCLEAN;
	sqlite3_bind_text(find, 1, name->unit, -1, SQLITE_STATIC);
	sqlite3_bind_text(find, 2, name->exe, -1, SQLITE_STATIC);
	sqlite3_bind_int64(find, 3, name->slot);
	got = store__step(store, find, "read");
	if (got < 0)
		return got;
	if (!got)
		return add_subject(store, name, id);
	*id = sqlite3_column_int64(find, 0);
	same = same_text(find, 1, name->cgroup) && same_text(find, 2, name->comm);
	sqlite3_reset(find);
	return same ? 0 : update_subject(store, name, *id);
}

int store__set_limits(struct store *store, int64_t subject, int64_t limit_bytes,
		      int64_t arena_limit, double cpus)
{
	sqlite3_stmt *set = store__statement(store, SQL_SUBJECT_LIMITS);

	if (!set)
		return -EUCLEAN;
	bind_value(set, 1, limit_bytes);
	bind_value(set, 2, arena_limit);
	if (cpus > 0)
		sqlite3_bind_double(set, 3, cpus);
	sqlite3_bind_int64(set, 4, subject);
	return store__run(store, set, "write");
}

bool sample__differs(const struct sample *kept, const struct sample *now)
{
	if (kept->pid != now->pid || kept->start_time != now->start_time ||
	    kept->value[COMPONENT_THREADS] != now->value[COMPONENT_THREADS])
		return true;
	for (int i = 0; i < COMPONENT_MAX; i++) {
		int64_t was = kept->value[i], is = now->value[i];

		if (i >= COMPONENT_CENSUS) {
			if (is >= 0)
				return true;
		} else if ((was < 0) != (is < 0) || was - is >= SAMPLE_DIFFERS_BYTES ||
			   is - was >= SAMPLE_DIFFERS_BYTES) {
			return true;
		}
	}
	return false;
}

static int close_life(struct store *store, int64_t subject, int64_t t_ms)
{
	sqlite3_stmt *close = store__statement(store, SQL_LIFE_CLOSE);

	if (!close)
		return -EUCLEAN;
	sqlite3_bind_int64(close, 1, subject);
	sqlite3_bind_int64(close, 2, t_ms);
	return store__run(store, close, "write");
}

static int open_life(struct store *store, int64_t subject, const struct sample *sample,
		     int64_t t_ms)
{
	sqlite3_stmt *open = store__statement(store, SQL_LIFE_OPEN);
	sqlite3_stmt *wake = store__statement(store, SQL_SUBJECT_WAKE);
	int err;

	if (!open || !wake)
		return -EUCLEAN;
	sqlite3_bind_int64(wake, 1, t_ms - t_ms % HOUR_MS);
	sqlite3_bind_int64(wake, 2, subject);
	err = store__run(store, wake, "write");
	sqlite3_bind_int64(open, 1, subject);
	sqlite3_bind_int64(open, 2, t_ms);
	sqlite3_bind_int64(open, 3, sample->pid);
	sqlite3_bind_int64(open, 4, (int64_t)sample->start_time);
	return err ? err : store__run(store, open, "write");
}

/* The life that the sample belongs to is open after this. */
static int enter_life(struct store *store, int64_t subject, const struct sample *sample,
		      int64_t t_ms)
{
	struct identity *identity = &store->identities[(uint64_t)subject % IDENTITIES];
	sqlite3_stmt *last;
	int got, err = 0;

	if (identity->subject == subject && identity->pid == sample->pid &&
	    identity->start_time == sample->start_time)
		return 0;
	last = store__statement(store, SQL_LIFE_LAST);
	if (!last)
		return -EUCLEAN;
	sqlite3_bind_int64(last, 1, subject);
	got = store__step(store, last, "read");
	if (got < 0)
		return got;
	if (got && sqlite3_column_type(last, 1) == SQLITE_NULL &&
	    sqlite3_column_int64(last, 2) == sample->pid &&
	    (uint64_t)sqlite3_column_int64(last, 3) == sample->start_time) {
		sqlite3_reset(last);
	} else {
		sqlite3_reset(last);
		err = close_life(store, subject, t_ms);
		err = err ? err : open_life(store, subject, sample, t_ms);
	}
	if (!err)
		*identity = (struct identity){subject, sample->start_time, sample->pid};
	return err;
}

int store__add_sample(struct store *store, int64_t subject, const struct sample *sample)
{
	int64_t t_ms = unix_ms(sample->t_s);
	sqlite3_stmt *add;
	int64_t id;
	int err;

	if (t_ms <= (store->begun ? store->after_ms : store->pass_end_ms))
		return store__refuse(store, -EINVAL,
				     "cannot add to %s: it has later samples; was the clock set "
				     "back?",
				     store->path);
	err = enter_life(store, subject, sample, t_ms);
	add = err ? NULL : store__statement(store, SQL_SAMPLE_ADD);
	if (!add)
		return err ? err : -EUCLEAN;
	id = sample_id(t_ms);
	if (id <= store->sample_id)
		id = store->sample_id + 1;
	sqlite3_bind_int64(add, 1, id);
	sqlite3_bind_int64(add, 2, subject);
	for (int i = 0; i < COMPONENT_MAX; i++)
		bind_value(add, 3 + i, sample->value[i]);
	err = store__run(store, add, "write");
	if (err)
		return err;
	store->sample_id = id;
	store->tiers[TIER_SAMPLES].rows++;
	return 0;
}

int store__gone(struct store *store, int64_t subject, double t_unix)
{
	struct identity *identity = &store->identities[(uint64_t)subject % IDENTITIES];

	if (identity->subject == subject)
		identity->subject = 0;
	return close_life(store, subject, unix_ms(t_unix));
}

int store__add_pass(struct store *store, double t_unix)
{
	int64_t t_ms = unix_ms(t_unix), gap = t_ms - store->pass_end_ms;
	bool extend = store->pass_begin_ms &&
		      (!store->pass_gap_ms || gap <= GAP_FACTOR * store->pass_gap_ms);
	sqlite3_stmt *add = store__statement(store, extend ? SQL_PASS_EXTEND : SQL_PASS_ADD);
	int err;

	if (!add)
		return -EUCLEAN;
	if (gap <= 0)
		return store__refuse(store, -EINVAL,
				     "cannot add to %s: it has a later pass; was the clock set "
				     "back?",
				     store->path);
	sqlite3_bind_int64(add, 1, extend ? store->pass_begin_ms : t_ms);
	if (extend)
		sqlite3_bind_int64(add, 2, t_ms);
	err = store__run(store, add, "write");
	if (err)
		return err;
	if (store->pass_begin_ms)
		store->pass_gap_ms = gap;
	if (!extend)
		store->pass_begin_ms = t_ms;
	store->pass_end_ms = t_ms;
	return 0;
}
