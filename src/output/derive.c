// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/derive.h"

#include <math.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "base/text.h"
#include "output/bar.h"

uint64_t bucket__min_bytes(unsigned int bucket)
{
	return bucket ? 1ULL << (bucket - 1) : 0;
}

uint64_t bucket__max_bytes(unsigned int bucket)
{
	return bucket ? (bucket__min_bytes(bucket) - 1) * 2 + 1 : 0;
}

uint64_t process__requests(const struct process *process)
{
	uint64_t sum = 0;

	for (int i = 0; i < SIZE_BUCKETS; i++)
		sum += process->alloc.buckets[i].count;
	return sum;
}

uint64_t process_result__calls(const struct trace_result *result,
			       const struct process_result *process, enum row_kind kind)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < CALL_ROWS; i++) {
		if (row_set__has(&process->probed_rows, i) && result->rows[i].kind == kind)
			sum += process->process->alloc.calls[i];
	}
	return sum;
}

double trace_seconds(const struct model *model, uint64_t time_ns)
{
	return time_ns > model->started_ns ? (double)(time_ns - model->started_ns) / 1e9 : 0;
}

double process__covered_s(const struct process *process, double duration_s)
{
	double to = process->covered_to_s < 0 ? duration_s : process->covered_to_s;

	if (!process->counted || to <= process->covered_from_s)
		return 0;
	return to - process->covered_from_s;
}

bool process__live_known(const struct process *process)
{
	const struct live_view *view = process->live;

	return view && view->readings && !view->incomplete && view->stopped_s < 0 &&
	       process->counted;
}

static int compare_weights(const void *a, const void *b)
{
	const struct stack_weight *const *x = a, *const *y = b;

	if ((*x)->count != (*y)->count)
		return (*x)->count < (*y)->count ? 1 : -1;
	return ((*x)->key.stack > (*y)->key.stack) - ((*x)->key.stack < (*y)->key.stack);
}

size_t process__weights(const struct process *process, const struct stack_weights *weights,
			const struct stack_weight ***list)
{
	size_t n = 0;

	*list = calloc(weights->count + 1, sizeof(**list));
	for (struct stack_weight *weight = weights->table; *list && weight;
	     weight = weight->hh.next)
		if (weight->key.pid == process->pid && weight->key.start_ns == process->start_ns)
			(*list)[n++] = weight;
	if (n)
		qsort(*list, n, sizeof(**list), compare_weights);
	return n;
}

uint64_t process__unknown_frees(const struct process *process)
{
	uint64_t inherited = process->live ? process->live->inherited_frees : 0;

	return process->alloc.unknown_frees > inherited ? process->alloc.unknown_frees - inherited
							: 0;
}

double process__freed_bytes(const struct process *process)
{
	const struct live_view *view = process->live;

	if (!process__live_known(process) || view->sampled ||
	    process->execs > (process->begins_with_exec ? 1u : 0u))
		return NAN;
	return (double)process__requested_bytes(process) - (double)process->alloc.failed_bytes -
	       (view->total.bytes - view->inherited.bytes);
}

bool process__has_rss(const struct process *process)
{
	return process->rss_last.rss_bytes || process->rss_max.rss_bytes;
}

const char *process__comm(const struct process *process, char buf[COMM_TEXT_MAX])
{
	char comm[sizeof(process->comm) + 1];

	memcpy(comm, process->comm, sizeof(process->comm));
	comm[sizeof(process->comm)] = '\0';
	return text_printable(buf, COMM_TEXT_MAX, comm[0] ? comm : "?");
}

const char *arena_source__name(enum arena_source source)
{
	switch (source) {
	case ARENA_FROM_USDT:
		return "usdt";
	case ARENA_FROM_SYMBOL:
		return "symbol";
	default:
		return "mapping";
	}
}

const char *wait_status_text(int status, char buf[END_TEXT_MAX])
{
	if (WIFSIGNALED(status))
		snprintf(buf, END_TEXT_MAX, "was killed by signal %d (%s)%s", WTERMSIG(status),
			 strsignal(WTERMSIG(status)), WCOREDUMP(status) ? ", core dumped" : "");
	else
		snprintf(buf, END_TEXT_MAX, "exited with status %d", WEXITSTATUS(status));
	return buf;
}

const char *process__end_text(const struct process *process, char buf[END_TEXT_MAX])
{
	buf[0] = '\0';
	if (process->oom_killed)
		snprintf(buf, END_TEXT_MAX, "was killed by the OOM killer");
	else if (process->end == PROCESS_EXITING)
		snprintf(buf, END_TEXT_MAX, "called exit_group and had not ended yet");
	else if (process->end == PROCESS_EXITED)
		wait_status_text(process->exit_status, buf);
	return buf;
}

/*
 * Frames at the leaf that every mapping passes and that name nobody: system call wrappers. A line
 * that has to be cut starts after them.
 */
static bool is_plumbing(const struct frame_name *frame)
{
	static const char *const starts[] = {"syscall.",
					     "golang.org/x/sys/unix.",
					     "runtime/internal/syscall.",
					     "internal/runtime/syscall.",
					     "__mmap",
					     "__libc_mmap",
					     "runtime.mmap",
					     "runtime.sysMmap",
					     "runtime.callCgoMmap"};
	static const char *const names[] = {"mmap", "mmap64", "mremap", "brk", "sbrk"};

	if (!frame->function)
		return false;
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		if (!strncmp(frame->function, starts[i], strlen(starts[i])))
			return true;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		if (!strcmp(frame->function, names[i]))
			return true;
	}
	return false;
}

/* Go's names start with the package's path: "github.com/x/fastcache.getChunk" is cut before it. */
static const char *without_path(const char *name)
{
	size_t end = strcspn(name, "([{<; ");
	const char *slash = memrchr(name, '/', end);

	return slash && slash[1] ? slash + 1 : name;
}

const char *stack_line(const struct trace_result *result, const struct process *process,
		       int32_t stack, char *buf, size_t size, size_t columns)
{
	struct frame_name frames[STACK_ENTRIES_MAX];
	size_t n = stack_namer__name(&result->namer, process->pid, process->start_ns, stack, frames,
				     STACK_ENTRIES_MAX);
	size_t used = 0, width = 0, first = 0;

	snprintf(buf, size, "unknown");
	while (first + 1 < n && is_plumbing(&frames[first]))
		first++;
	for (size_t i = first; i < n; i++) {
		char frame[64];
		size_t more;
		int wrote;

		/* One symbol of C++ or Rust must not fill the line: cut. */
		text_printable(frame, sizeof(frame), without_path(frames[i].text));
		more = text_columns(frame) + (i > first ? 3 : 0);
		/* Room for the ellipsis is kept while frames remain. */
		if (i > first && width + more + (i + 1 < n ? 4 : 0) > columns) {
			snprintf(buf + used, size - used, " < …");
			break;
		}
		wrote = snprintf(buf + used, size - used, "%s%s", i > first ? " < " : "", frame);
		if (wrote < 0 || (size_t)wrote >= size - used)
			break;
		used += (size_t)wrote;
		width += more;
	}
	return buf;
}
