/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STORE_STORE_TIDY_H
#define MEMDRIFT_STORE_STORE_TIDY_H

#include "store/store_internal.h"

/* Steps of store__tidy, a short transaction each: 1 when there is more to do, 0, or a negative
 * errno. */

/* Folds the hours of so many subjects that are over. */
int store__fold_some(struct store *store, int count);
/* Puts the recent rows of some subjects in order. */
int store__spread_some(struct store *store);
/* Goes on with the round over subjects that removes what is too old, if there is one. */
int store__round_some(struct store *store, int count);
/* Deletes the oldest incident that is over, with its evidence. -ENOENT: there is none. */
int store__drop_incident(struct store *store);

#endif
