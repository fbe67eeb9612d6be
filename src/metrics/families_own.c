// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "metrics/families.h"

#include <math.h>

#include "metrics/exposition.h"

#define LABELS_MAX 96
#define NS_PER_S   1e9

static void write_count(FILE *out, const char *name, const char *type, const char *help,
			uint64_t value)
{
	exposition__begin(out, name, type, help);
	exposition__count(out, name, NULL, value);
}

static void write_ns(FILE *out, const char *name, const char *help, uint64_t ns)
{
	exposition__begin(out, name, "counter", help);
	exposition__ns(out, name, NULL, ns);
}

static void write_number(FILE *out, const char *name, const char *help, double value)
{
	exposition__begin(out, name, "gauge", help);
	if (isfinite(value))
		exposition__number(out, name, NULL, value);
}

static void write_labelled(FILE *out, const char *name, const char *key, const char *label,
			   uint64_t value)
{
	char labels[LABELS_MAX];

	snprintf(labels, sizeof(labels), "%s=\"%s\"", key, label);
	exposition__count(out, name, labels, value);
}

static bool is_drift(enum drift_verdict verdict)
{
	return verdict < DRIFT_NONE;
}

/* All that may ever come are there from the start: increase() does not see a first value. */
static void write_raised(const struct metrics *metrics, FILE *out)
{
	static const char *const kinds[METRICS_KINDS] = {
		[INCIDENT_DRIFT] = "drift", [INCIDENT_OOM] = "oom"};
	const char *name = "memdrift_incidents_total";
	char labels[LABELS_MAX];

	exposition__begin(out, name, "counter", "Incidents that were raised since watch started.");
	for (int kind = 0; kind < METRICS_KINDS; kind++) {
		for (enum drift_verdict v = 0; v < DRIFT_VERDICT_MAX; v++) {
			uint64_t count = metrics->incidents[kind][v];

			if (kind == INCIDENT_DRIFT && !is_drift(v) && !count)
				continue;
			snprintf(labels, sizeof(labels), "kind=\"%s\",verdict=\"%s\"", kinds[kind],
				 drift_verdict__text(v));
			exposition__count(out, name, labels, count);
		}
	}
}

void metrics__write_incidents(const struct metrics *metrics, FILE *out)
{
	write_raised(metrics, out);
	exposition__begin(out, "memdrift_open_incidents", "gauge", "Incidents that are open now.");
	for (enum drift_verdict v = 0; v < DRIFT_VERDICT_MAX; v++)
		if (is_drift(v) || metrics->open_incidents[v])
			write_labelled(out, "memdrift_open_incidents", "verdict",
				       drift_verdict__text(v), metrics->open_incidents[v]);
}

static void write_cost(const struct own_cost *cost, FILE *out)
{
	write_ns(out, "process_cpu_seconds_total", "CPU time of memdrift itself.", cost->cpu_ns);
	write_ns(out, "memdrift_children_cpu_seconds_total",
		 "CPU time of its censuses and bursts of tracing.", cost->children_cpu_ns);
	write_count(out, "process_resident_memory_bytes", "gauge",
		    "Resident memory of memdrift itself.", cost->rss_bytes);
	write_count(out, "memdrift_bpf_map_bytes", "gauge",
		    "Memory of the BPF maps that memdrift holds.", cost->bpf_map_bytes);
	write_count(out, "memdrift_passes_total", "counter", "Passes over all processes.",
		    cost->passes);
	write_ns(out, "memdrift_pass_cpu_seconds_total", "CPU time of the passes.", cost->pass_ns);
	write_count(out, "memdrift_looks_total", "counter", "Judgements of a process's history.",
		    cost->looks);
	write_ns(out, "memdrift_look_cpu_seconds_total", "CPU time of the judgements.",
		 cost->look_ns);
	write_number(out, "memdrift_look_overdue_seconds",
		     "How long the judgement that waits longest is overdue: its budget is spent.",
		     cost->look_overdue_s);
	write_count(out, "memdrift_censuses_total", "counter", "Readings of a process's heaps.",
		    cost->censuses);
	write_ns(out, "memdrift_census_cpu_seconds_total", "CPU time of those readings.",
		 cost->census_ns);
	write_count(out, "memdrift_bursts_total", "counter", "Bursts of tracing for evidence.",
		    cost->bursts);
	write_number(out, "memdrift_syscall_tax_seconds",
		     "What each system call of the host pays while mapping probes are attached.",
		     cost->hit_tax_ns / NS_PER_S);
}

static void write_losses(const struct own_cost *cost, FILE *out)
{
	const char *name = "memdrift_losses_total";

	exposition__begin(out, name, "counter", "What memdrift missed, by reason.");
#define WRITE_LOSS(reason, text) \
	write_labelled(out, name, "reason", #reason, cost->losses[WATCH_LOSS_##reason]);
	WATCH_LOSSES(WRITE_LOSS)
#undef WRITE_LOSS
}

static void write_database(const struct store_size *store, FILE *out)
{
	const char *name = "memdrift_database_rows";

	write_count(out, "memdrift_database_bytes", "gauge",
		    "Size of the database and its write-ahead log.", store->bytes);
	exposition__begin(out, name, "gauge", "Rows of the history, by resolution.");
	write_labelled(out, name, "resolution", "samples", store->samples);
	write_labelled(out, name, "resolution", "minutes", store->minutes);
	write_labelled(out, name, "resolution", "hours", store->hours);
	write_count(out, "memdrift_database_incidents", "gauge", "Incidents in the database.",
		    store->incidents);
	write_count(out, "memdrift_database_dropped_rows_total", "counter",
		    "Rows that the bound on the database removed before their time.",
		    store->dropped);
}

static void write_commands(const struct on_incident_counts *commands, FILE *out)
{
	const char *name = "memdrift_commands_total";

	exposition__begin(out, name, "counter", "Commands for incidents, by how they ended.");
	write_labelled(out, name, "result", "succeeded", commands->succeeded);
	write_labelled(out, name, "result", "failed", commands->failed);
	write_labelled(out, name, "result", "timed_out", commands->timed_out);
	write_labelled(out, name, "result", "dropped", commands->dropped);
	name = "memdrift_active_commands";
	exposition__begin(out, name, "gauge",
			  "Commands for incidents that run or wait for their turn.");
	write_labelled(out, name, "state", "running", commands->running);
	write_labelled(out, name, "state", "waiting", commands->waiting);
}

void metrics__write_own(const struct metrics *metrics, FILE *out)
{
	write_cost(&metrics->cost, out);
	write_losses(&metrics->cost, out);
	write_database(&metrics->store, out);
	write_commands(&metrics->commands, out);
	write_number(out, "process_start_time_seconds", "When memdrift started.",
		     metrics->start_unix);
	write_number(out, "memdrift_pass_interval_seconds", "Time between two passes.",
		     metrics->interval_s);
	write_number(out, "memdrift_last_pass_timestamp_seconds", "When the last pass was made.",
		     metrics->last_pass_unix);
	exposition__begin(out, "memdrift_build_info", "gauge",
			  "1; the label is memdrift's version.");
	exposition__count(out, "memdrift_build_info", "version=\"" MEMDRIFT_VERSION "\"", 1);
}
