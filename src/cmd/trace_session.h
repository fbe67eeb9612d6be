/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_TRACE_SESSION_H
#define MEMDRIFT_CMD_TRACE_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/types.h>

#include "base/clock.h"
#include "census/census.h"
#include "cmd/recording_file.h"
#include "cmd/trace_options.h"
#include "memdrift/live.h"
#include "ingest/tracer.h"
#include "model/model.h"
#include "probe/bursts.h"
#include "probe/coverage.h"
#include "stack/names.h"
#include "stack/weights.h"

/* What bystanders pay is looked at this often, and short-lived memory. */
#define GUARD_NS 100000000ull

/* A command that memdrift started. */
struct trace_command_run {
	pid_t pid;    /* 0: none */
	int go_fd;    /* writing a byte lets it run */
	int error_fd; /* an int arrives when it could not be run, else it closes */
	bool ended;
	int wait_status;
};

/* What the loop keeps of a process besides the model. */
struct follower {
	UT_hash_handle hh;
	uint32_t pid;
	uint64_t start_ns;
	uint64_t begun_ns;   /* when its program started, or was first seen */
	bool scan_due;       /* its maps may hold an allocator that has no probes yet */
	uint64_t scan_at_ns; /* not before */
	uint64_t scanned_ns; /* the last time */
	bool searched;       /* its program's code was looked at */
	bool covered;        /* an allocator of its program was found and probed */
	bool born;           /* in the trace: its first call is known */
	bool said;           /* that it went to bursts */
};

/* All of one run of `memdrift trace`. The stages are in src/ingest, src/model, src/analysis. */
struct trace_session {
	const struct trace_options *options;
	/* Opened before anything is traced. */
	FILE *output; /* NULL: stdout */
	struct profile_files profile;
	struct recording_file recording;
	struct rlimit files; /* as the command shall have them */
	void (*sigpipe)(int);
	struct tracer *tracer;
	struct allocator_cache *allocators;
	struct insn_costs costs;
	struct call_cost call_cost;
	struct coverage *coverage; /* NULL: neither allocator nor arena probes */
	struct bursts *bursts;     /* NULL: no allocator probes */
	struct census *census;
	struct stack_names *names;
	struct model model;
	struct follower *followers;
	struct known_program *programs;  /* see trace_programs.c */
	struct live_spaces *live_spaces; /* NULL without --live */
	struct live_clock live_clock;    /* at the last reading of the live set */
	struct stack_weights mmap_weights, alloc_weights, temporary_weights, fault_weights;
	struct trace_command_run command;
	struct class_table classes; /* of --buckets, unless log2 */
	bool counts_mallocs;
	bool follows_live; /* --live, and return probes do no harm here */
	uint64_t started_ns, ended_ns;
	uint64_t next_tick_ns, next_guard_ns;
	uint64_t records_lost_seen; /* that the model already knows of */
	uint64_t bystander_seen;
	bool bystanders_warned;
	bool detached_said; /* of probes for all */
	const char *ended_by;
};

double trace_session__now_s(const struct trace_session *session);

/* Loads, calibrates, finds the targets and attaches: an exit code, or -1 when the trace runs. */
int trace_session__start(struct trace_session *session, const struct trace_options *options);
/* Until the duration is over, the targets have ended or a signal came. 0 or a negative errno. */
int trace_session__run(struct trace_session *session);
/* The last readings; detaches the allocator probes. */
void trace_session__stop(struct trace_session *session);
void trace_session__free(struct trace_session *session);

/* trace_targets.c */

/* Finds what the options name and follows it. 0, or an exit code after a message. */
int trace_targets__follow(struct trace_session *session);
/* Follows those that joined the control group since. */
void trace_targets__refresh(struct trace_session *session);
/* Records were lost: whom the kernel follows and the model does not know is found. */
void trace_targets__find_lost(struct trace_session *session);
/* True when nothing is left that was asked for. */
bool trace_targets__ended(struct trace_session *session);
/* Starts the command, which waits until trace_command__go. 0 or an exit code after a message. */
int trace_command__spawn(struct trace_session *session);
/* Lets it run: an exit code after a message when it could not be run, else 0. */
int trace_command__go(struct trace_session *session);
/* Probes what the command and its children are going to load. */
void trace_command__prepare(struct trace_session *session);
void trace_command__reap(struct trace_session *session);

/* trace_events.c */

/* One record: hands it to the model and acts on births, new programs and ends. */
void trace_event(void *session, const struct rec_header *record, size_t size);
/* Its name and executable as /proc has them now. */
void trace_process__refresh(struct process *process);
/* A process that the model just got to know. */
/* What malloc holds of the targets, at the start and at the end: unknown for what takes too long.
 */
void trace_heaps__read(struct trace_session *session, bool at_start);

void trace_process__joined(struct trace_session *session, struct process *process, bool is_target);

/* trace_scan.c */

/* What the loop keeps of a process; made when new. NULL: out of memory. */
struct follower *trace_follower(struct trace_session *session, const struct process *process);
void trace_follower__drop(struct trace_session *session, struct follower *follower);
/* Searches what the process has mapped for allocators, and probes them. */
void trace_scan(struct trace_session *session, struct process *process, struct follower *follower);
/* The same soon: at once with the next look at the ring's end, or when it has lived for a while. */
void trace_scan__ask(struct trace_session *session, struct process *process, bool at_once);
void trace_scan__due(struct trace_session *session);
void trace_scan__inherit(struct trace_session *session, struct process *parent,
			 struct process *child);
void trace_scan__exec(struct trace_session *session, struct process *process, uint64_t time_ns,
		      bool by_thread);
void trace_scan__ended(struct trace_session *session, struct process *process);

/* trace_programs.c */

/*
 * A program was loaded: probes what it is going to load, as the command's own program was prepared,
 * so that it is covered however short it lives. True when that is certain; *late: some probes were
 * only placed now.
 */
bool trace_program__prepare(struct trace_session *session, struct process *process, bool *late);
/* The command's, by its path, before it runs. */
void trace_program__prepare_command(struct trace_session *session, const char *program);
void trace_programs__free(struct trace_session *session);

/* trace_weights.c */

/* Takes over the calls by stack of one process, or of all that run (NULL). */
void trace_weights__keep(struct trace_session *session, struct process *process);

/* trace_faults.c: all but the last do nothing for who did not ask for page faults. */

/* What was sampled and counted so far of those that run. */
void trace_faults__read(struct trace_session *session);
/* The process was forked in the trace. */
void trace_faults__born(struct process *process, const struct process *parent);
/* Before the model knows of an exec: the last that can be said of the program's stacks. */
void trace_faults__leave(struct trace_session *session, const struct rec_process *exec);
void trace_faults__exec(struct trace_session *session, struct process *process,
			const struct rec_process *exec, bool was_known);
/* The process has mapped code from a file. */
void trace_faults__mapped(struct trace_session *session, const struct process *process);
/* Before its names go. */
void trace_faults__ended(struct trace_session *session, struct process *process,
			 const struct rec_process *exit);
/* Whether any large memory of the host is in huge pages. */
bool trace_faults__huge_pages(void);

/* trace_live.c */

/* 0 or -ENOMEM. */
int trace_live__start(struct trace_session *session);
void trace_live__free(struct trace_session *session);
/* Gives the process the view of its address space, once its counts are known. */
void trace_live__follow(struct trace_session *session, struct process *process);
/* Whether the last reading of an ended process is still to come. */
bool trace_live__awaits(const struct trace_session *session, uint32_t pid, uint64_t start_ns);
/* Reads the live set, if there is one. ages: with the median ages. */
void trace_live__read(struct trace_session *session, bool ages);

/* trace_classes.c: for struct trace_result */

enum rules_match trace_classes__match(const struct class_table *classes,
				      const struct process *process);
const char *trace_classes__allocator(const struct process *process, unsigned int index);

/* trace_sampling.c */

/* The end of an interval: counters, RSS, residency, losses, healing. for_report: with what only a
 * report asks for. */
void trace_tick(struct trace_session *session, bool for_report);
/* Takes over the calls by size class of a process. */
void trace_read_classes(struct trace_session *session, struct process *process);
/*
 * Resident memory by part, of each process whose turn it is: more often than once an interval, so
 * that something is known of those that live shorter.
 */
void trace_read_residency(struct trace_session *session);
/* Watches what others pay for the probes, and says which targets went to bursts. */
void trace_guard(struct trace_session *session);

/*
 * Once its counts are final: what they say of the whole, if it ever was without probes. NULL: the
 * view of it at the end of the trace is taken.
 */
void trace_keep_estimate(struct trace_session *session, struct process *process,
			 const struct bursts_view *view);

/* trace_dump.c */

/*
 * For tests: every piece of every address space as the events left it, "PID START-END rwx" a
 * line, to be compared with /proc/PID/maps by somebody else than memdrift.
 */
void trace_dump_spaces(const struct trace_session *session, const char *path);

/* trace_report.c */

/* The report as of now, for --print. 0 or a negative errno. */
int trace_report__print(struct trace_session *session);
/* What the probes cost so far: all but hits, bystander_hits and covered. */
void trace_overhead__fill(struct trace_session *session, struct trace_overhead *overhead);
/* Writes the report and folded stacks as the options say: an exit code. */
int trace_report__write(struct trace_session *session);

#endif
