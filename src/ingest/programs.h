/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_INGEST_PROGRAMS_H
#define MEMDRIFT_INGEST_PROGRAMS_H

/* The built-in BPF programs, with the types of their global data. */
#include "memdrift/config.h"
#include "memdrift/live.h"

#include "memdrift.skel.h"

#endif
