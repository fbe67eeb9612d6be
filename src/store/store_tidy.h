/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STORE_STORE_TIDY_H
#define MEMDRIFT_STORE_STORE_TIDY_H

#include "store/store_internal.h"

/* Steps of store__tidy, a short transaction each: 1 when there may be more to do, 0, or a negative
 * errno. */

/* Folds the oldest hour that is over, of some subjects. */
int store__fold_some(struct store *store);
/* Removes some rows of what lies before the tiers' from_ms. */
int store__expire_some(struct store *store);
/* Removes some subjects whose last life ended before the first hour that there is. */
int store__end_some(struct store *store);
/* Deletes the oldest incident, one that is over if there is any, with its evidence. 0: none. */
int store__drop_incident(struct store *store);

#endif
