// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Page faults by stack, and how many the kernel itself has counted. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "census/proc_stat.h"
#include "cmd/trace_session.h"

bool trace_options__samples_faults(const struct trace_options *options)
{
	return options->faults || options->profile.weight == WEIGHT_FAULT_BYTES;
}

/* Whether the fault was of the program that the process runs, or ran last. */
static bool is_current(const struct process *process, const struct fault_key *key)
{
	return !process->faults.exec_known || process->faults.exec_id == key->exec_id;
}

/* Of one that ran before the trace the first fault tells. */
static void set_program(struct process *process, uint32_t exec_id)
{
	if (process->faults.exec_known)
		return;
	process->faults.exec_id = exec_id;
	process->faults.exec_known = true;
}

static bool is_before_exec(const struct process *process)
{
	return process->begins_with_exec && !process->execs;
}

/* Until its exec the command is a copy of memdrift, and what its exec touches is its begin. */
static bool is_before_command(const struct process *process, const struct fault_key *key)
{
	if (!process->begins_with_exec)
		return false;
	return is_before_exec(process) || key->exec_id < process->faults.first_exec_id ||
	       (key->exec_id == process->faults.first_exec_id && key->stack == FAULT_OF_EXEC);
}

/* Shells in shells; who never calls exec is rarely further from who did. */
#define ANCESTORS_MAX 16

static bool knows_code(struct trace_session *session, const struct process *process)
{
	/* That its end is not known yet does not mean that it has maps. */
	if (!stack_names__knows(session->names, process))
		stack_names__learn(session->names, process);
	return stack_names__knows(session->names, process);
}

/*
 * A child that has not called exec, or did before its maps were read, has its parent's code: it is
 * named by that, as long as the parent runs the same program. Names of another program would be
 * wrong ones.
 */
static void note_stack(struct trace_session *session, const struct process *process,
		       const struct fault_key *key)
{
	if (key->stack < 0)
		return;
	for (int i = 0; process && i < ANCESTORS_MAX; i++) {
		bool current = is_current(process, key);

		if (current && knows_code(session, process)) {
			stack_names__note(session->names, process, key->stack);
			return;
		}
		/* Its parent's program is another one. */
		if (current && process->execs)
			return;
		process = model__find(&session->model, process->parent_pid);
	}
}

struct fault_reading {
	struct trace_session *session;
	struct process *process;     /* only its own; NULL: those of all that run */
	struct stack_weights counts; /* keys that differ in their program add up */
	struct fault_key *keys;      /* of one that has ended */
	size_t key_count, key_room;
};

static void remember_key(struct fault_reading *reading, const struct fault_key *key)
{
	size_t room = reading->key_room ? 2 * reading->key_room : 64;
	struct fault_key *bigger;

	if (reading->key_count == reading->key_room) {
		bigger = reallocarray(reading->keys, room, sizeof(*bigger));
		if (!bigger)
			return;
		reading->keys = bigger;
		reading->key_room = room;
	}
	reading->keys[reading->key_count++] = *key;
}

static void read_fault(void *ctx, const struct fault_key *key, uint64_t count)
{
	struct fault_reading *reading = ctx;
	struct trace_session *session = reading->session;
	struct process *process = reading->process;

	if (process)
		remember_key(reading, key);
	else
		process = model__find(&session->model, key->pid);
	if (!process || (uint32_t)(process->start_ns / BOOT_TICK_NS) != key->start_ticks ||
	    is_before_command(process, key))
		return;
	set_program(process, key->exec_id);
	note_stack(session, process, key);
	stack_weights__add(&reading->counts, process->pid, process->start_ns, key->stack, count, 0);
}

static void read_faults(struct trace_session *session, struct process *process)
{
	struct fault_reading reading = {.session = session, .process = process};
	const struct stack_weight *weight;

	tracer__each_fault(session->tracer, process ? process->pid : 0,
			   process ? process->start_ns : 0, read_fault, &reading);
	for (weight = reading.counts.table; weight; weight = weight->hh.next)
		stack_weights__set(&session->fault_weights, weight->key.pid, weight->key.start_ns,
				   weight->key.stack, weight->count, 0);
	session->fault_weights.folded += reading.counts.folded;
	/* No fault comes after the last thread's end: their room is for others. */
	for (size_t i = 0; i < reading.key_count; i++)
		tracer__forget_fault(session->tracer, &reading.keys[i]);
	free(reading.keys);
	stack_weights__free(&reading.counts);
}

/* As /proc has it; false when it is gone. */
static bool read_counted(struct process *process)
{
	struct proc_stat stat;

	if (proc_stat__read(process->pid, &stat) || stat.start_ticks != process->start_ticks)
		return false;
	process->faults.now = stat.faults;
	return true;
}

void trace_faults__read(struct trace_session *session)
{
	struct process *process, *next;

	if (!trace_options__samples_faults(session->options))
		return;
	read_faults(session, NULL);
	HASH_ITER (hh, session->model.running, process, next)
		read_counted(process);
}

void trace_faults__born(struct process *process, const struct process *parent)
{
	process->faults.before = 0;
	if (parent && parent->faults.exec_known)
		set_program(process, parent->faults.exec_id);
}

struct leaving {
	struct trace_session *session;
	const struct process *process;
	uint32_t exec_id; /* of the program that comes */
};

static void note_left(void *ctx, const struct fault_key *key, uint64_t count)
{
	const struct leaving *leaving = ctx;

	if (key->exec_id < leaving->exec_id && is_current(leaving->process, key))
		stack_names__note(leaving->session->names, leaving->process, key->stack);
}

void trace_faults__leave(struct trace_session *session, const struct rec_process *exec)
{
	const struct process *process = model__find(&session->model, exec->hdr.pid);
	struct leaving leaving = {session, process, exec->exec_id};

	if (!trace_options__samples_faults(session->options) || !process ||
	    process->start_ns != exec->hdr.start_ns || is_before_exec(process) ||
	    !stack_names__knows(session->names, process))
		return;
	stack_names__freeze(session->names, process);
	tracer__each_fault(session->tracer, process->pid, process->start_ns, note_left, &leaving);
}

void trace_faults__exec(struct trace_session *session, struct process *process,
			const struct rec_process *exec, bool was_known)
{
	bool first = process->begins_with_exec && process->execs == 1;

	process->faults.exec_id = exec->exec_id;
	process->faults.exec_known = true;
	if (first)
		process->faults.first_exec_id = exec->exec_id;
	if (first || !was_known)
		process->faults.before = exec->faults;
	/* Short-lived ones have no maps any more when their stacks are read. */
	if (trace_options__samples_faults(session->options))
		stack_names__learn(session->names, process);
}

void trace_faults__mapped(struct trace_session *session, const struct process *process)
{
	/* For the same reason. */
	if (trace_options__samples_faults(session->options))
		stack_names__learn(session->names, process);
}

void trace_faults__ended(struct trace_session *session, struct process *process,
			 const struct rec_process *exit)
{
	if (!trace_options__samples_faults(session->options))
		return;
	process->faults.now = exit->faults;
	/* Threads that end at the same time: the zombie has them all, as long as it is there. */
	if (exit->faults == FAULTS_UNKNOWN)
		read_counted(process);
	read_faults(session, process);
}

bool trace_faults__huge_pages(void)
{
	char text[128] = "";
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return strstr(text, "[always]");
}
