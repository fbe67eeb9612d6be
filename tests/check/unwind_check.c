// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/*
 * unwind_check PID COUNT COMPARE
 *
 * Of COUNT stacks of allocator calls: how each ended, and what bpf_get_stack() makes of the same
 * ones by frame pointers. Then COMPARE times: stops the thread at the call, has libdw walk its
 * stack, and compares all return addresses. What is checked are memdrift's own BPF programs, tables
 * and images.
 *
 * One JSON object on stdout; on stderr the words "attached", "counted" and "compared" when it is so
 * far.
 */
#include <bpf/libbpf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "census/proc_stat.h"
#include "ingest/programs.h"
#include "ingest/tracer.h"
#include "probe/allocator.h"
#include "probe/attach.h"
#include "stack/kept_stack.h"
#include "unwind/unwinder.h"

enum { IDLE, COUNT, COUNTING, STOP, STOPPING, STOPPED }; /* as in unwind_check.bpf.c */

/* More objects with an allocator than any program maps. */
#define OBJECTS_MAX 16
/* Without a call for so long, what there is has to do. */
#define PATIENCE_NS 5000000000ull
#define EXAMPLES    5

struct frames {
	uint64_t at[STACK_DEPTH];
	size_t count;
	bool failed;
};

struct check {
	uint32_t pid;
	struct tracer *tracer;
	struct memdrift *skel;
	struct allocator_cache *cache;
	struct probe_link *links[OBJECTS_MAX];
	size_t link_count;
	Dwfl *dwfl;
	json_t *examples;
	uint64_t compared, identical, gave_up, lost;
};

static void ignore_record(void *ctx, const struct rec_header *record, size_t size)
{
	struct check *check = ctx;

	if (record->type == REC_MMAP)
		unwinder__ask(tracer__unwinder(check->tracer), record->pid);
}

static void serve(struct check *check)
{
	tracer__poll(check->tracer, 0, 65536, ignore_record, check);
	unwinder__serve(tracer__unwinder(check->tracer));
	usleep(200);
}

static int attach_object(void *ctx, const struct allocator_mapping *mapping)
{
	struct attach_site sites[ALLOCATOR_FUNCTIONS_MAX];
	const struct allocator_object *object = mapping->object;
	struct check *check = ctx;
	size_t n = 0;
	char path[40];
	int err;

	if (check->link_count == OBJECTS_MAX)
		return -ENOSPC;
	for (size_t i = 0; i < object->function_count; i++) {
		const struct allocator_function *function = &object->functions[i];

		if (function->ready && function->layout != ARG_FREE)
			sites[n++] = (struct attach_site){.offset = function->site.offset,
							  .cookie = function->site.sp_delta};
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", mapping->fd);
	err = attach__uprobes(check->skel->progs.check_call, ATTACH_HERE, (pid_t)check->pid, path,
			      sites, n, &check->links[check->link_count]);
	if (!err)
		check->link_count++;
	return err;
}

static int open_check(struct check *check)
{
	struct tracer_options options = {
		.ring_bytes = 1 << 20,
		.counted_max = 1,
		.stacks = true,
		.config = {.target_mode = TARGET_LISTED,
			   .own_pid = (uint32_t)getpid(),
			   .stack_min_len = UINT64_MAX,
			   .wakeup_bytes = 1 << 19,
			   .count_by = COUNT_BY_STACK},
	};
	struct proc_stat stat;
	int err = tracer__open(&options, &check->tracer);

	if (err)
		return err;
	check->skel = tracer__programs(check->tracer);
	check->cache = allocator_cache__new(NULL);
	check->examples = json_array();
	err = proc_stat__read(check->pid, &stat);
	if (!err)
		err = tracer__attach(check->tracer);
	if (!err)
		err = tracer__follow(check->tracer, check->pid, stat.start_ticks * 10000000);
	if (!err)
		err = unwinder__look(tracer__unwinder(check->tracer), check->pid);
	check->skel->bss->check_pid = check->pid;
	return err ? err
		   : allocator_cache__each_mapped(check->cache, (pid_t)check->pid, attach_object,
						  check, NULL);
}

static void close_check(struct check *check)
{
	while (check->link_count)
		probe_link__close(check->links[--check->link_count]);
	if (check->dwfl)
		dwfl_end(check->dwfl);
	allocator_cache__free(check->cache);
	tracer__close(check->tracer);
}

static uint32_t load_state(const struct check *check)
{
	return __atomic_load_n(&check->skel->bss->check_state, __ATOMIC_ACQUIRE);
}

/* False when nothing came. */
static bool wait_for(struct check *check, uint32_t state)
{
	uint64_t give_up_ns = monotonic_ns() + PATIENCE_NS;

	while (load_state(check) != state) {
		if (monotonic_ns() > give_up_ns)
			return false;
		serve(check);
	}
	return true;
}

static json_t *count_ends(struct check *check, uint64_t stacks)
{
	static const char *const ends[] = {
#define END_NAME(name, text) #name,
		STACK_ENDS(END_NAME)
#undef END_NAME
	};
	uint64_t give_up_ns = monotonic_ns() + PATIENCE_NS, seen = 0, roots = 0;
	struct memdrift__bss *bss = check->skel->bss;
	json_t *by_end = json_object();

	__atomic_store_n(&bss->check_state, COUNT, __ATOMIC_RELEASE);
	while (seen < stacks && monotonic_ns() < give_up_ns) {
		serve(check);
		seen = __atomic_load_n(&bss->check_seen, __ATOMIC_RELAXED);
	}
	while (__sync_val_compare_and_swap(&bss->check_state, COUNT, IDLE) == COUNTING)
		usleep(100);
	for (int i = 0; i < STACK_ENDS_COUNT; i++) {
		if (bss->check_ends[i])
			json_object_set_new(by_end, ends[i],
					    json_integer((json_int_t)bss->check_ends[i]));
		roots += STACK_END_IS_ROOT(i) ? bss->check_ends[i] : 0;
	}
	return json_pack(
		"{s:I, s:I, s:I, s:I, s:f, s:f, s:o}", "stacks", (json_int_t)bss->check_seen,
		"lost", (json_int_t)bss->check_lost, "roots", (json_int_t)roots,
		"frame_pointer_roots", (json_int_t)bss->check_pointer_roots, "depth",
		(double)bss->check_frames / (double)bss->check_seen, "frame_pointer_depth",
		(double)bss->check_pointer_frames / (double)bss->check_seen, "ends", by_end);
}

static bool is_stopped(uint32_t pid, uint32_t tid)
{
	char path[64], line[512] = "", *end;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%u/task/%u/stat", pid, tid);
	file = fopen(path, "re");
	if (!file)
		return false;
	/* The name may hold anything: the state follows the last parenthesis. */
	end = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	fclose(file);
	return end && end[1] == ' ' && end[2] == 'T';
}

static int keep_frame(Dwfl_Frame *frame, void *ctx)
{
	struct frames *frames = ctx;
	Dwarf_Addr pc;
	bool exact;

	if (!dwfl_frame_pc(frame, &pc, &exact))
		return DWARF_CB_ABORT;
	if (frames->count == STACK_DEPTH)
		return DWARF_CB_ABORT;
	frames->at[frames->count++] = pc;
	return DWARF_CB_OK;
}

static int report_modules(struct check *check)
{
	static const Dwfl_Callbacks callbacks = {
		.find_elf = dwfl_linux_proc_find_elf,
		.find_debuginfo = dwfl_standard_find_debuginfo,
	};
	bool first = !check->dwfl;

	if (first)
		check->dwfl = dwfl_begin(&callbacks);
	else
		dwfl_report_begin(check->dwfl);
	if (!check->dwfl || dwfl_linux_proc_report(check->dwfl, (pid_t)check->pid) ||
	    dwfl_report_end(check->dwfl, NULL, NULL))
		return -EIO;
	return first && dwfl_linux_proc_attach(check->dwfl, (pid_t)check->pid, false) ? -EIO : 0;
}

/* True when both are the same from the first return address on. */
static bool same_frames(const struct kept_stack *own, const struct frames *theirs)
{
	return own->depth == theirs->count &&
	       !memcmp(own->frames + 1, theirs->at + 1, (own->depth - 1) * sizeof(*own->frames));
}

static json_t *list_frames(const uint64_t *frames, size_t count)
{
	json_t *list = json_array();
	char text[24];

	for (size_t i = 0; i < count; i++) {
		snprintf(text, sizeof(text), "0x%" PRIx64, frames[i]);
		json_array_append_new(list, json_string(text));
	}
	return list;
}

static void compare_stopped(struct check *check)
{
	struct frames theirs = {0};
	struct kept_stack own;

	if (check->skel->bss->check_stack < 0 ||
	    tracer__read_stack(check->tracer, check->skel->bss->check_stack, &own)) {
		check->lost++;
		return;
	}
	if (report_modules(check)) {
		check->gave_up++;
		return;
	}
	theirs.failed = dwfl_getthread_frames(check->dwfl, (pid_t)check->skel->bss->check_tid,
					      keep_frame, &theirs) != 0;
	check->compared++;
	if (same_frames(&own, &theirs)) {
		check->identical++;
		return;
	}
	if (json_array_size(check->examples) < EXAMPLES)
		json_array_append_new(check->examples,
				      json_pack("{s:o, s:o, s:i, s:s}", "own",
						list_frames(own.frames, own.depth), "libdw",
						list_frames(theirs.at, theirs.count), "end",
						(int)own.end, "libdw_error",
						theirs.failed ? dwfl_errmsg(-1) : ""));
}

static json_t *compare_walks(struct check *check, uint64_t stacks)
{
	for (uint64_t i = 0; i < stacks; i++) {
		uint32_t tid;

		__atomic_store_n(&check->skel->bss->check_state, STOP, __ATOMIC_RELEASE);
		if (!wait_for(check, STOPPED))
			break;
		tid = check->skel->bss->check_tid;
		for (int tries = 0; tries < 50000 && !is_stopped(check->pid, tid); tries++)
			usleep(100);
		compare_stopped(check);
		kill((pid_t)check->pid, SIGCONT);
	}
	__atomic_store_n(&check->skel->bss->check_state, IDLE, __ATOMIC_RELEASE);
	kill((pid_t)check->pid, SIGCONT);
	return json_pack("{s:I, s:I, s:I, s:I, s:O}", "compared", (json_int_t)check->compared,
			 "identical", (json_int_t)check->identical, "lost", (json_int_t)check->lost,
			 "gave_up", (json_int_t)check->gave_up, "examples", check->examples);
}

static void say(const char *word)
{
	fprintf(stderr, "%s\n", word);
}

static json_t *run_check(struct check *check, uint64_t count, uint64_t compare)
{
	json_t *ends, *walks;

	say("attached");
	ends = count_ends(check, count);
	say("counted");
	walks = compare_walks(check, compare);
	say("compared");
	return json_pack("{s:o, s:o}", "ends", ends, "walks", walks);
}

int main(int argc, char **argv)
{
	struct check check = {0};
	json_t *result = NULL;
	int err;

	if (argc != 4 || atoi(argv[1]) <= 0 || atol(argv[2]) < 0 || atol(argv[3]) < 0) {
		say("usage: unwind_check PID COUNT COMPARE");
		return 2;
	}
	check.pid = (uint32_t)atoi(argv[1]);
	log_bridge_libbpf();
	err = open_check(&check);
	if (err)
		log_error("cannot check process %u: %s", check.pid, strerror(-err));
	else
		result = run_check(&check, (uint64_t)atol(argv[2]), (uint64_t)atol(argv[3]));
	if (result)
		json_dumpf(result, stdout, JSON_COMPACT);
	close_check(&check);
	return result ? 0 : 1;
}
