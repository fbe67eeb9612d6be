// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "watch/watch_impl.h"

/* An interval's errors are one loss, however many rows it has, and one message an hour is enough.
 */
#define TELL_EVERY_S 3600

void watch__store_error(struct watch *watch, int err, const char *what)
{
	if (!err)
		return;
	watch->cost.losses[WATCH_LOSS_store_errors] += !watch->store_failed;
	watch->store_failed = true;
	if (watch->last_pass_unix - watch->told_unix < TELL_EVERY_S)
		return;
	watch->told_unix = watch->last_pass_unix;
	log_error("cannot %s: %s", what,
		  watch->store ? store__error(watch->store) : strerror(-err));
}

bool watch__begin(struct watch *watch)
{
	int err;

	if (watch->in_transaction)
		return true;
	err = watch->store ? store__begin(watch->store) : -ENODEV;
	watch__store_error(watch, err, "write to the database");
	watch->in_transaction = !err;
	return !err;
}

void watch__commit(struct watch *watch)
{
	if (!watch->in_transaction)
		return;
	watch->in_transaction = false;
	watch__store_error(watch, store__commit(watch->store), "write to the database");
}

/* /var/lib/memdrift is there when the service manager has made it. Parents are not made: a path
 * that was mistyped shall not become a directory. */
static int make_directory(const char *db)
{
	char path[PATH_MAX];
	char *slash;

	snprintf(path, sizeof(path), "%s", db);
	slash = strrchr(path, '/');
	if (!slash || slash == path)
		return 0;
	*slash = '\0';
	if (!mkdir(path, 0750) || errno == EEXIST)
		return 0;
	log_error("cannot make the directory %s: %s", path, strerror(errno));
	return -errno;
}

int watch__open_store(struct watch *watch)
{
	struct store_options options = {.path = watch->options->db,
					.max_bytes = watch->options->max_db_bytes};
	char error[STORE_ERROR_MAX] = "";
	int err = make_directory(options.path);

	if (err)
		return err;
	err = store__open(&watch->store, &options, error);
	if (err) {
		watch->store = NULL;
		log_error("%s", *error ? error : strerror(-err));
	}
	return err;
}

void watch__load_state(struct watch *watch, struct followed *followed)
{
	struct subject_state *state = &followed->state;

	if (!watch->store ||
	    store__get_state(watch->store, followed->subject, SUBJECT_STATE_KEY, state,
			     sizeof(*state)) ||
	    state->version != SUBJECT_STATE_VERSION || state->verdict >= DRIFT_VERDICT_MAX)
		*state = (struct subject_state){.version = SUBJECT_STATE_VERSION,
						.verdict = DRIFT_INSUFFICIENT_DATA,
						.slope_bytes_per_h = NAN,
						.onset_unix = NAN,
						.reaches_limit_unix = NAN};
}

void watch__save_state(struct watch *watch, const struct followed *followed)
{
	if (!watch__begin(watch))
		return;
	watch__store_error(watch,
			   store__put_state(watch->store, followed->subject, SUBJECT_STATE_KEY,
					    &followed->state, sizeof(followed->state)),
			   "keep what is known of a process");
}
