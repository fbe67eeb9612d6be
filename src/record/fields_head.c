// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>
#include <string.h>

#include "record/fields.h"

static void fields_host(struct codec *codec, struct trace_result *result)
{
	codec__chars(codec, "kernel", result->host.kernel, sizeof(result->host.kernel));
	CODEC_U32(codec, &result->host, cpus_online);
	CODEC_U32(codec, &result->host, page_bytes);
	/* Thirty years: in nanoseconds it still is a whole number of 63 bits. */
	codec__real_in(codec, "duration_s", &result->duration_s, 0, 1e9, false);
	CODEC_U64(codec, result, ended_ns);
	CODEC_U64(codec, result, started_unix_ns);
	/* Times the size of a page it stays in 64 bits. */
	codec__u64(codec, "fault_period", &result->fault_period, UINT32_MAX);
	CODEC_BOOL(codec, result, huge_pages);
}

static void find_loss(struct codec *codec, struct trace_result *result, const char *name,
		      uint64_t count)
{
	for (int i = 0; i < LOSS_MAX; i++) {
		if (!strcmp(loss__name((enum loss)i), name)) {
			result->losses[i] = count;
			return;
		}
	}
	if (count)
		codec__refuse(codec, "losses",
			      "a counter that this version does not have: use the memdrift that "
			      "wrote it");
}

/* By name: versions differ in what they count. */
static void fields_losses(struct codec *codec, struct trace_result *result)
{
	size_t n = codec__count(codec, "losses", LOSS_MAX, 1024, 2);

	for (size_t i = 0; i < n && !codec->err; i++) {
		char name[64] = "";
		uint64_t count = 0;

		if (codec->writes) {
			snprintf(name, sizeof(name), "%s", loss__name((enum loss)i));
			count = result->losses[i];
		}
		codec__chars(codec, "loss", name, sizeof(name));
		codec__u64(codec, "losses", &count, UINT64_MAX);
		if (!codec->writes && !codec->err)
			find_loss(codec, result, name, count);
	}
}

static void fields_rows(struct codec *codec, struct trace_result *result)
{
	CODEC_BOOL(codec, result, mallocs_counted);
	for (int i = 0; i < CALL_ROWS; i++) {
		char *name = (char *)result->rows[i].name;

		codec__string(codec, "row", &name, RECORD_ROW_NAME_MAX);
		codec__enum(codec, "row", result->rows[i].kind, ROW_FREE);
		result->rows[i].name = name;
	}
}

static void fields_overhead(struct codec *codec, struct trace_overhead *overhead)
{
	CODEC_REAL(codec, overhead, hit_ns);
	CODEC_U64(codec, overhead, hits);
	CODEC_REAL(codec, overhead, stack_ns);
	CODEC_REAL(codec, overhead, frame_ns);
	CODEC_U64(codec, overhead, stacks);
	CODEC_U64(codec, overhead, frames);
	CODEC_U64(codec, overhead, bystander_hits);
	CODEC_REAL(codec, overhead, covered);
	CODEC_REAL(codec, overhead, cost_share);
	CODEC_REAL(codec, overhead, budget);
	CODEC_REAL(codec, overhead, detached_at_s);
	CODEC_U64(codec, overhead, bursts);
	CODEC_U32(codec, overhead, detached);
	CODEC_REAL(codec, overhead, attach_ns);
	CODEC_REAL(codec, overhead, detach_ns);
}

static size_t count_args(char *const *argv)
{
	size_t n = 0;

	while (argv && argv[n])
		n++;
	return n;
}

static void fields_command(struct codec *codec, struct trace_command *command)
{
	char **argv = (char **)command->argv;
	size_t n;

	if (!codec__present(codec, "command", argv))
		return;
	CODEC_BOOL(codec, command, ended);
	codec__i32(codec, "wait_status", &command->wait_status, INT32_MIN, INT32_MAX);
	n = codec__count(codec, "arguments", count_args(argv), RECORD_ARGS_MAX, 1);
	if (!codec->writes)
		command->argv = argv = codec__alloc(codec, "arguments", n + 1, sizeof(*argv));
	for (size_t i = 0; i < n && !codec->err; i++) {
		codec__string(codec, "argument", &argv[i], RECORD_ARG_MAX);
		/* A missing one would end the list, and what comes after it be lost. */
		if (!codec->err && !argv[i])
			codec__refuse(codec, "argument", "it lacks");
	}
}

static void fields_large(struct codec *codec, struct record_head *head)
{
	head->large_count =
		codec__count(codec, "large sizes", head->large_count, RECORD_LARGE_MAX, 1);
	if (!codec->writes)
		head->large =
			codec__alloc(codec, "large sizes", head->large_count, sizeof(*head->large));
	for (size_t i = 0; i < head->large_count && !codec->err; i++)
		codec__u64(codec, "large size", &head->large[i], UINT64_MAX);
}

void fields__head(struct codec *codec, struct record_head *head, struct trace_result *result)
{
	char *ended_by = (char *)result->ended_by;

	codec__string(codec, "version", &head->version, 64);
	CODEC_U64(codec, head, started_ns);
	CODEC_REAL(codec, head, interval_s);
	codec__u32(codec, "intervals", &head->intervals, RECORD_INTERVALS_MAX);
	codec__u32(codec, "size_rules", &head->size_rules, SIZE_RULES_GO);
	codec__u32(codec, "tables", &head->tables, (1u << RECORD_WEIGHTS_MAX) - 1);
	for (int i = 0; i < RECORD_WEIGHTS_MAX; i++)
		codec__u64(codec, "folded", &head->folded[i], UINT64_MAX);
	CODEC_BOOL(codec, head, rows_by_process);
	fields_large(codec, head);
	fields_host(codec, result);
	codec__string(codec, "ended_by", &ended_by, 256);
	result->ended_by = ended_by;
	fields_losses(codec, result);
	fields_rows(codec, result);
	fields_overhead(codec, &result->overhead);
	fields_command(codec, &result->command);
}

void record_head__free(struct record_head *head, struct trace_result *result)
{
	char **argv = (char **)result->command.argv;

	for (size_t i = 0; argv && argv[i]; i++)
		free(argv[i]);
	free(argv);
	for (int i = 0; i < CALL_ROWS; i++)
		free((char *)result->rows[i].name);
	free((char *)result->ended_by);
	free(head->version);
	free(head->large);
}

int weight_record__compare(const struct weight_record *a, const struct weight_record *b)
{
	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	if (a->key.pid != b->key.pid)
		return a->key.pid < b->key.pid ? -1 : 1;
	if (a->key.start_ns != b->key.start_ns)
		return a->key.start_ns < b->key.start_ns ? -1 : 1;
	return (a->key.stack > b->key.stack) - (a->key.stack < b->key.stack);
}

void fields__weight(struct codec *codec, struct weight_record *weight)
{
	codec__enum(codec, "table", weight->table, RECORD_WEIGHTS_MAX - 1);
	CODEC_U32(codec, &weight->key, pid);
	CODEC_U64(codec, &weight->key, start_ns);
	codec__i32(codec, "stack", &weight->key.stack, INT32_MIN, INT32_MAX);
	CODEC_U64(codec, weight, count);
	CODEC_U64(codec, weight, bytes);
}

void fields__fact(struct codec *codec, struct fact *fact)
{
	codec__enum(codec, "kind", fact->key.kind, FACT_PEEK);
	CODEC_U32(codec, &fact->key, pid);
	CODEC_U64(codec, &fact->key, start_ns);
	codec__u64(codec, "address", &fact->key.address, SPACE_ADDRESS_MAX);
	codec__u64(codec, "end", &fact->key.end, SPACE_ADDRESS_MAX);
	switch (fact->key.kind) {
	case FACT_GO_HEAP:
		codec__i32(codec, "go_heap", &fact->answer, -4096, GO_HEAP_EITHER);
		break;
	case FACT_RESIDENT:
		codec__i32(codec, "known", &fact->answer, FACT_UNKNOWN, 0);
		/* No more than there is, so that the sums of a process stay below 2^63. */
		codec__u64(codec, "resident", &fact->words[0],
			   fact->key.end > fact->key.address ? fact->key.end - fact->key.address
							     : 0);
		CODEC_REAL(codec, fact, age_s);
		break;
	default:
		codec__i32(codec, "known", &fact->answer, FACT_UNKNOWN, 0);
		for (int i = 0; i < FACT_WORDS && !fact->answer; i++)
			CODEC_U64(codec, fact, words[i]);
	}
}
