/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_WATCH_OPTIONS_H
#define MEMDRIFT_CMD_WATCH_OPTIONS_H

#include "watch/watch.h"

/* -1 to go on, else the exit code, after a message (or the help). Texts are argv's. */
int watch_options__parse(int argc, char **argv, struct watch_options *options);

#endif
