/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_INCIDENT_JSON_H
#define MEMDRIFT_WATCH_INCIDENT_JSON_H

#include <stddef.h>
#include <stdio.h>

#include "store/incident.h"

/*
 * An incident as one line of JSON, schema "memdrift.incident/1". Its state is "oom" for a process
 * that was killed for memory, else "raised", or "cleared" once it has an end. Bytes and Unix times
 * become integers and ISO 8601 in UTC; what is not known is null; names are printable
 * (base/text.h), so the line holds no control characters whatever a process calls itself.
 */

/* "raised", "cleared" or "oom". */
const char *incident__state(const struct incident *incident);

/* Without a line break; the caller frees it. evidence: names of the files that are kept. NULL only
 * when memory is out. */
char *incident_json__line(const struct incident *incident, const char *const *evidence,
			  size_t evidence_count);

/* The line with its break, flushed. 0 or a negative errno. */
int incident_json__write(FILE *out, const char *line);

#endif
