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

static bool begins_with_one_of(const char *text, const char *const *starts, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!strncmp(text, starts[i], strlen(starts[i])))
			return true;
	}
	return false;
}

#define BEGINS_WITH(text, starts) \
	begins_with_one_of(text, starts, sizeof(starts) / sizeof(*(starts)))

/* Frames at the leaf that name nobody: a C library's and an allocator's own functions. */
static bool is_of_libc(const struct frame_name *frame)
{
	static const char *const objects[] = {"libc.so",     "libc-2",      "ld-linux",
					      "ld-musl",     "libpthread",  "libjemalloc",
					      "libtcmalloc", "libmimalloc", "libsnmalloc"};

	return BEGINS_WITH(frame->object, objects);
}

/* Likewise Go's runtime, its system calls, and what leads from Go to C. */
static bool is_of_go_runtime(const struct frame_name *frame)
{
	static const char *const functions[] = {"runtime.",
						"runtime/internal/",
						"internal/runtime/",
						"internal/cpu.",
						"x_cgo_",
						"_cgo_",
						"crosscall",
						"syscall.",
						"golang.org/x/sys/unix."};

	return frame->function && BEGINS_WITH(frame->function, functions);
}

/* Wrappers of a system call and what leads to them from Go, which say less than who calls them. */
static bool is_wrapper(const struct frame_name *frame)
{
	static const char *const functions[] = {"mmap",
						"__mmap",
						"__libc_mmap",
						"mremap",
						"sbrk",
						"brk",
						"x_cgo_mmap",
						"_cgo_",
						"crosscall",
						"syscall.",
						"runtime.mmap",
						"runtime.sysMmap",
						"runtime.callCgoMmap",
						"runtime.asmcgocall",
						"runtime.cgocall",
						"runtime/internal/",
						"internal/runtime/",
						"golang.org/x/sys/unix."};

	return frame->function && BEGINS_WITH(frame->function, functions);
}

/*
 * A line that has to be cut begins with the function that was called from outside of libc and of
 * Go's runtime ("calloc", "runtime.newobject") and goes on with who called it. When nobody else is
 * on the stack it begins behind the wrappers.
 */
static void choose_frames(const struct frame_name *frames, size_t n, size_t *first, size_t *second)
{
	size_t libc = 0, others, entry;

	while (libc < n && is_of_libc(&frames[libc]))
		libc++;
	for (others = libc; others < n && is_of_go_runtime(&frames[others]);)
		others++;
	if (others == n || !strcmp(frames[others].text, FRAME_TRUNCATED)) {
		for (entry = 0; entry + 1 < others && is_wrapper(&frames[entry]);)
			entry++;
		*first = entry;
		*second = entry + 1;
		return;
	}
	*second = others;
	entry = libc && !is_wrapper(&frames[libc - 1]) ? libc : others;
	*first = entry && !is_wrapper(&frames[entry - 1]) ? entry - 1 : others;
	if (*first == others)
		*second = others + 1;
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
	size_t used = 0, width = 0, first, second;

	snprintf(buf, size, "unknown");
	choose_frames(frames, n, &first, &second);
	for (size_t i = first; i < n; i = i == first ? second : i + 1) {
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
