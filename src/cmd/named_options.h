/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_NAMED_OPTIONS_H
#define MEMDRIFT_CMD_NAMED_OPTIONS_H

#include "probe/named.h"

/* --object FILE --symbols LIST, as often as wanted; a list belongs to the file before it. */
struct named_options {
	struct named_objects objects;
	const char *object; /* the last --object */
	bool pending;       /* it has no list yet */
};

/* -1 to go on, or an exit code after a message. */
int named_options__object(struct named_options *options, const char *path);
int named_options__symbols(struct named_options *options, const char *list);
/* Behind the last option. */
int named_options__check(const struct named_options *options);
void named_options__free(struct named_options *options);

/* Says which of the files was met in no process. */
void named_options__warn_unseen(const struct named_options *options);

#endif
