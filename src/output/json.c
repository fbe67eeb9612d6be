// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/json.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "base/text.h"
#include "memdrift/config.h"

/* Twelve digits tell a nanosecond in a quarter of an hour; the seventeen of a double are noise. */
#define JSON_FLAGS (JSON_REAL_PRECISION(12) | JSON_ENCODE_ANY)

json_t *json_number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

json_t *json_text(const char *raw)
{
	char *printable;
	json_t *text;

	if (!raw)
		return json_null();
	printable = text_printable_dup(raw);
	if (!printable)
		return NULL;
	text = json_string(printable);
	free(printable);
	return text;
}

json_t *json_count(uint64_t value)
{
	return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

json_t *json_count_if(bool known, uint64_t value)
{
	return known ? json_count(value) : json_null();
}

json_t *json_number_if(bool known, double value)
{
	return known ? json_number(value) : json_null();
}

json_t *json_address(uint64_t address)
{
	return json_sprintf("0x%" PRIx64, address);
}

json_t *json_stack(const struct trace_result *result, const struct process *process, int32_t stack)
{
	struct frame_name frames[STACK_ENTRIES_MAX];
	size_t n = stack_namer__name(&result->namer, process->pid, process->start_ns, stack, frames,
				     STACK_ENTRIES_MAX);
	json_t *array;

	if (!n)
		return json_null();
	array = json_array();
	for (size_t i = 0; i < n; i++) {
		if (json_array_append_new(array, json_text(frames[i].text))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *json_losses(const struct trace_result *result)
{
	json_t *losses = json_pack("{s:o}", "total", json_count(trace_result__losses(result)));

	for (int i = 0; i < LOSS_MAX; i++)
		json_object_set_new(losses, loss__name(i), json_count(result->losses[i]));
	return losses;
}

static json_t *json_overhead(const struct trace_result *result)
{
	const struct trace_overhead *overhead = &result->overhead;
	bool probed = result->mallocs_counted;

	return json_pack(
		"{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}",
		"hit_ns", json_number_if(probed, overhead->hit_ns), "hits",
		json_count_if(probed, overhead->hits), "stack_ns",
		json_number_if(probed, overhead->stack_ns), "frame_ns",
		json_number_if(probed, overhead->frame_ns), "stacks",
		json_count_if(probed, overhead->stacks), "frames",
		json_count_if(probed, overhead->frames), "covered",
		json_number_if(probed, overhead->covered), "bystander_hits",
		json_count_if(probed, overhead->bystander_hits), "cost_share",
		json_number_if(probed, overhead->cost_share), "budget",
		json_number(overhead->budget), "detached_at_s",
		json_number_if(overhead->detached_at_s >= 0, overhead->detached_at_s), "bursts",
		json_count_if(probed, overhead->bursts), "estimated", overhead->detached > 0,
		"attach_ns", json_number_if(probed, overhead->attach_ns), "detach_ns",
		json_number_if(probed, overhead->detach_ns));
}

static json_t *json_command(const struct trace_command *command)
{
	bool exited = command->ended && WIFEXITED(command->wait_status);
	bool killed = command->ended && WIFSIGNALED(command->wait_status);
	json_t *argv;

	if (!command->argv)
		return json_null();
	argv = json_array();
	for (char *const *arg = command->argv; *arg; arg++)
		json_array_append_new(argv, json_text(*arg));
	return json_pack("{s:o, s:o, s:o}", "argv", argv, "exit_code",
			 json_count_if(exited, (uint64_t)WEXITSTATUS(command->wait_status)),
			 "signal", json_count_if(killed, (uint64_t)WTERMSIG(command->wait_status)));
}

static json_t *json_host(const struct trace_result *result)
{
	return json_pack("{s:o, s:o, s:o}", "kernel", json_text(result->host.kernel), "cpus_online",
			 json_count(result->host.cpus_online), "page_bytes",
			 json_count(result->host.page_bytes));
}

/* Writes and frees a value; NULL is one that could not be made. */
static int dump(FILE *out, json_t *value)
{
	int err;

	if (!value)
		return -ENOMEM;
	errno = 0;
	err = json_dumpf(value, out, JSON_FLAGS) ? (errno ? -errno : -EIO) : 0;
	json_decref(value);
	return err;
}

/*
 * One process after the other is built, written and freed: a host has tens of thousands, and the
 * whole tree of values would take more memory than the trace itself.
 */
static int dump_processes(FILE *out, const struct trace_result *result)
{
	int err = 0;

	fputs(",\n\"processes\": [", out);
	for (size_t i = 0; i < result->process_count && !err; i++) {
		fputs(i ? ",\n" : "\n", out);
		err = dump(out, json_process(result, &result->processes[i]));
	}
	fputs("]}\n", out);
	return err;
}

int trace_json__write(FILE *out, const struct trace_result *result)
{
	const struct {
		const char *name;
		json_t *value;
	} members[] = {
		{"schema", json_string("memdrift.trace/1")},
		{"version", json_text(result->version ? result->version : MEMDRIFT_VERSION)},
		{"duration_s", json_number(result->duration_s)},
		{"ended_by", json_text(result->ended_by)},
		{"interval_s", json_number(result->model->interval_s)},
		{"host", json_host(result)},
		{"losses", json_losses(result)},
		{"overhead", json_overhead(result)},
		{"command", json_command(&result->command)},
	};
	int err = 0;

	for (size_t i = 0; i < sizeof(members) / sizeof(*members); i++) {
		if (err) {
			json_decref(members[i].value);
			continue;
		}
		fprintf(out, "%s\"%s\": ", i ? ",\n" : "{", members[i].name);
		err = dump(out, members[i].value);
	}
	if (!err)
		err = dump_processes(out, result);
	if (!err && fflush(out))
		err = -errno;
	if (!err && ferror(out))
		err = -EIO;
	return err;
}
