/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_RECORD_RECORDING_H
#define MEMDRIFT_RECORD_RECORDING_H

#include "output/result.h"
#include "record/fact_log.h"
#include "record/file.h"

/*
 * The result of a trace in a file: written at its end, and read again where nothing of the traced
 * machine is at hand. See record/format.h for the file and its bounds.
 */
struct recording_source {
	const struct trace_result *result; /* built, with the facts below */
	struct fact_log *facts;            /* that were asked for it */
	const uint64_t *large;             /* sizes of large mappings that it was built with */
	size_t large_count;
};

/*
 * Asks what other sizes of large mappings would ask, so that a report can list those too. Call it
 * after the result was built. 0 or -ENOMEM.
 */
int recording__ask(const struct recording_source *source, const struct large_facts *facts);

/* 0, or a negative errno with a message that says what failed. The stream is flushed. */
int recording__write(FILE *out, const struct recording_source *source,
		     char error[RECORD_ERROR_MAX]);

struct recording;

/*
 * 0; or a negative errno with a message: which file, where in it, what was found and expected, what
 * to do. `name` is made printable for it. The recording is freed with recording__free().
 */
int recording__read(struct recording **recording, FILE *in, const char *name,
		    char error[RECORD_ERROR_MAX]);
void recording__free(struct recording *recording);

/*
 * The upper part of a result, as the trace's command filled it; rules_match and allocator_name are
 * the caller's to set. Valid as long as the recording. It is then built with
 * recording__facts() and the sizes of recording__large() or others.
 */
void recording__result(struct recording *recording, struct trace_result *result);
/*
 * Lists only the outstanding allocations that pass: see live_view__filter. 0, or -ENODATA when the
 * recording lacks what that takes.
 */
int recording__filter(struct recording *recording, const struct live_filter *filter);
struct large_facts recording__facts(struct recording *recording);
const uint64_t *recording__large(const struct recording *recording, size_t *count);
#endif
