// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"
#include "cmd/trace_session.h"

static void dump_space(FILE *out, const struct process *process)
{
	const struct mapping *mapping;

	space__for_each (mapping, process->space)
		fprintf(out, "%u %" PRIx64 "-%" PRIx64 " %c%c%c\n", process->pid, mapping->start,
			mapping->end, mapping->prot & PROT_READ ? 'r' : '-',
			mapping->prot & PROT_WRITE ? 'w' : '-',
			mapping->prot & PROT_EXEC ? 'x' : '-');
}

void trace_dump_spaces(const struct trace_session *session, const char *path)
{
	FILE *out = fopen(path, "we");

	if (!out) {
		log_error("cannot write %s: %s", path, strerror(errno));
		return;
	}
	for (const struct process *process = session->model.running; process;
	     process = process->hh.next)
		dump_space(out, process);
	for (const struct process *process = session->model.ended; process;
	     process = process->next_ended)
		dump_space(out, process);
	if (fclose(out))
		log_error("cannot write %s: %s", path, strerror(errno));
}
