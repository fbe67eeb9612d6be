// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What is counted by stack, and allocator calls by stack: taken from the kernel while names can be
 * had. */
#include "cmd/trace_session.h"

bool trace_options__shows(const struct trace_options *options, enum profile_weight weight)
{
	return (options->profile.folded || options->profile.svg) &&
	       options->profile.weight == weight;
}

bool trace_options__shows_calls(const struct trace_options *options)
{
	return trace_options__shows(options, WEIGHT_ALLOC_BYTES) ||
	       trace_options__shows(options, WEIGHT_ALLOC_COUNT);
}

bool trace_options__weighs_calls(const struct trace_options *options)
{
	/* A recording has no second chance to count them. */
	bool all = options->profile.pprof || (options->record && !options->no_stacks);

	return trace_options__shows_calls(options) ||
	       (all && trace_options__counts_mallocs(options));
}

bool trace_options__weighs_mappings(const struct trace_options *options)
{
	return options->profile.pprof || options->record ||
	       trace_options__shows(options, WEIGHT_MMAP_BYTES) ||
	       trace_options__shows(options, WEIGHT_MMAP_COUNT) ||
	       trace_options__shows(options, WEIGHT_UNRELEASED_BYTES) ||
	       trace_options__shows(options, WEIGHT_UNRELEASED_COUNT);
}

struct keeping {
	struct trace_session *session;
	struct process *process; /* only this one's; NULL: those of all that run */
	struct stack_weights *weights;
};

static void keep_weight(void *ctx, const struct stack_key *key, const struct size_count *sums)
{
	const struct keeping *keeping = ctx;
	struct trace_session *session = keeping->session;
	struct process *process = keeping->process;

	if (process ? process->pid != key->pid
		    : !(process = model__find(&session->model, key->pid)))
		return;
	if (key->stack >= 0)
		stack_names__note(session->names, process, key->stack);
	stack_weights__set(keeping->weights, process->pid, process->start_ns, key->stack,
			   sums->count, sums->bytes);
}

void trace_weights__keep(struct trace_session *session, struct process *process)
{
	struct keeping calls = {session, process, &session->alloc_weights};
	struct keeping temporary = {session, process, &session->temporary_weights};
	uint32_t pid = process ? process->pid : 0;

	if (trace_options__weighs_calls(session->options))
		tracer__each_weight(session->tracer, pid, keep_weight, &calls);
	if (session->options->temporary)
		tracer__each_temporary(session->tracer, pid, keep_weight, &temporary);
}
