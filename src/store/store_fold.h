/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STORE_STORE_FOLD_H
#define MEMDRIFT_STORE_STORE_FOLD_H

#include "store/store_source.h"

/* The samples of some subjects in one hour, in order of subject and time. */
struct fold_row {
	int64_t subject;
	struct walk_row row;
};

struct fold_rows {
	struct fold_row *row; /* owned */
	size_t count, room;
};

/* One subject's hour that becomes minutes and an hour. */
struct fold {
	struct store_source source; /* first: the walk's ctx */
	const struct fold_rows *rows;
	size_t at; /* the subject's first row; after fold_subject the next one's */
	int64_t from_ms, to_ms;
	struct walk_row carried; /* in force at from_ms, then at to_ms */
	bool has_carried, carried_done;
	enum store_tier tier;
	struct walk_row last; /* that is in the table */
	bool has_last;
};

/* Within a transaction. 0 or a negative errno. */
int fold_subject(struct fold *fold);

#endif
