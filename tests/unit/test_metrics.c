// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "metrics/metrics.h"

struct process {
	struct subject_name name;
	int64_t value[COMPONENT_MAX];
};

static void init_process(struct process *process, const char *unit, const char *exe,
			 int64_t rss_bytes)
{
	struct sample sample;

	*process = (struct process){0};
	snprintf(process->name.unit, sizeof(process->name.unit), "%s", unit);
	snprintf(process->name.exe, sizeof(process->name.exe), "%s", exe);
	sample__init(&sample, 0);
	memcpy(process->value, sample.value, sizeof(process->value));
	process->value[COMPONENT_RSS] = rss_bytes;
}

static struct metrics_subject subject_of(const struct process *process)
{
	return (struct metrics_subject){
		.name = &process->name,
		.value = process->value,
		.limit_bytes = SERIES_UNKNOWN,
		.verdict = DRIFT_NONE,
		.slope_bytes_per_h = NAN,
		.onset_unix = NAN,
		.reaches_limit_unix = NAN,
	};
}

static void add(struct metrics *metrics, const struct process *process)
{
	struct metrics_subject subject = subject_of(process);

	metrics__add_subject(metrics, &subject);
}

static char *write_text(struct metrics *metrics)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	metrics__write(metrics, out);
	assert_int_equal(fclose(out), 0);
	metrics__free(metrics);
	return text;
}

static bool has_line(const char *text, const char *line)
{
	size_t length = strlen(line);

	for (const char *at = text; (at = strstr(at, line)); at++)
		if ((at == text || at[-1] == '\n') && at[length] == '\n')
			return true;
	return false;
}

static void assert_line(const char *text, const char *line)
{
	if (!has_line(text, line))
		fail_msg("no line: %s\nin:\n%s", line, text);
}

static size_t count_lines(const char *text, const char *prefix)
{
	size_t count = 0;

	for (const char *at = text; (at = strstr(at, prefix)); at++)
		count += at == text || at[-1] == '\n';
	return count;
}

static void all_that_is_known_of_a_process_is_shown(void **state)
{
	struct metrics_subject subject;
	struct process process;
	struct metrics metrics;
	char *text;

	init_process(&process, "nitro.service", "/opt/nitro/bin/nitro", 9771050598);
	process.name.slot = 2;
	process.value[COMPONENT_SWAP] = 4096;
	process.value[COMPONENT_ARENAS] = 148;
	process.value[COMPONENT_MALLOC_IN_USE] = 2100000000;
	subject = subject_of(&process);
	subject.limit_bytes = 17179869184;
	subject.drift = true;
	subject.verdict = DRIFT_ARENA_GROWTH;
	subject.slope_bytes_per_h = 20971520;
	subject.onset_unix = 1794000000.5;
	subject.reaches_limit_unix = 1795996800;
	assert_int_equal(metrics__init(&metrics, 0), 0);
	metrics__add_subject(&metrics, &subject);
	text = write_text(&metrics);
#define OF_NITRO "unit=\"nitro.service\",exe=\"nitro\",slot=\"2\""
	assert_line(text, "# TYPE memdrift_process_resident_bytes gauge");
	assert_line(text, "memdrift_process_resident_bytes{" OF_NITRO "} 9771050598");
	assert_line(text, "memdrift_process_swap_bytes{" OF_NITRO "} 4096");
	assert_line(text, "memdrift_process_malloc_arenas{" OF_NITRO "} 148");
	assert_line(text, "memdrift_process_component_bytes{" OF_NITRO
			  ",component=\"malloc_in_use\"} 2100000000");
	assert_line(text, "memdrift_process_memory_limit_bytes{" OF_NITRO "} 17179869184");
	assert_line(text, "memdrift_process_drift{" OF_NITRO ",verdict=\"arena-growth\"} 1");
	assert_line(text, "memdrift_process_slope_bytes_per_second{" OF_NITRO "} 5825.42222222222");
	assert_line(text,
		    "memdrift_process_drift_onset_timestamp_seconds{" OF_NITRO "} 1794000000.5");
	assert_line(text,
		    "memdrift_process_limit_reached_timestamp_seconds{" OF_NITRO "} 1795996800");
	/* What is not known has no series, and a count of threads is no memory. */
	assert_int_equal(count_lines(text, "memdrift_process_threads{"), 0);
	assert_int_equal(count_lines(text, "memdrift_process_component_bytes{"), 1);
	free(text);
}

static void the_largest_and_those_that_drift_are_shown(void **state)
{
	enum { COUNT = 500 };
	struct process *processes = calloc(COUNT, sizeof(*processes));
	struct metrics metrics;
	uint64_t rest = 0;
	char line[128];
	char *text;

	assert_non_null(processes);
	assert_int_equal(metrics__init(&metrics, 0), 0);
	for (int i = 0; i < COUNT; i++) {
		/* In no order of size: 7 has no divisor in common with 500. */
		int size = i * 7 % COUNT + 1;
		struct metrics_subject subject;
		char unit[32];

		snprintf(unit, sizeof(unit), "unit-%d", size);
		init_process(&processes[i], unit, "/bin/x", size);
		processes[i].value[COMPONENT_SWAP] = 1;
		subject = subject_of(&processes[i]);
		subject.drift = size == 3;
		metrics__add_subject(&metrics, &subject);
		if (size != 3 && size <= COUNT - METRICS_SUBJECTS_DEFAULT)
			rest += (uint64_t)size;
	}
	text = write_text(&metrics);
	assert_int_equal(count_lines(text, "memdrift_process_resident_bytes{"),
			 METRICS_SUBJECTS_DEFAULT + 1);
	assert_line(text,
		    "memdrift_process_resident_bytes{unit=\"unit-3\",exe=\"x\",slot=\"0\"} 3");
	assert_line(text,
		    "memdrift_process_resident_bytes{unit=\"unit-451\",exe=\"x\",slot=\"0\"} 451");
	assert_int_equal(count_lines(text, "memdrift_process_resident_bytes{unit=\"unit-450\""), 0);
	assert_line(text, "memdrift_followed_processes 500");
	assert_line(text, "memdrift_unlisted_processes 449");
	assert_line(text, "memdrift_unlisted_swap_bytes 449");
	snprintf(line, sizeof(line), "memdrift_unlisted_resident_bytes %llu",
		 (unsigned long long)rest);
	assert_line(text, line);
	free(text);
	free(processes);
}

static void more_that_drift_than_fit_are_counted(void **state)
{
	enum { COUNT = METRICS_DRIFTING_MAX + 20, TOP = 5 };
	struct process *processes = calloc(COUNT, sizeof(*processes));
	struct metrics metrics;
	char *text;

	assert_non_null(processes);
	assert_int_equal(metrics__init(&metrics, TOP), 0);
	for (int i = 0; i < COUNT; i++) {
		struct metrics_subject subject;

		init_process(&processes[i], "u", "/bin/x", 100 + i);
		processes[i].name.slot = (uint32_t)i;
		subject = subject_of(&processes[i]);
		subject.drift = true;
		metrics__add_subject(&metrics, &subject);
	}
	text = write_text(&metrics);
	assert_int_equal(count_lines(text, "memdrift_process_drift{"), METRICS_DRIFTING_MAX + TOP);
	assert_line(text, "memdrift_unlisted_processes 15");
	free(text);
	free(processes);
}

static void no_two_series_have_the_same_labels(void **state)
{
	struct process a, b, c, d, e;
	struct metrics metrics;
	char *text;

	init_process(&a, "s", "/usr/bin/python3", 10);
	init_process(&b, "s", "/opt/venv/bin/python3", 20);
	init_process(&c, "s", "/opt/venv/bin/python3", 40);
	/* Another unit's is alone there; without a unit it is the control group that tells. */
	init_process(&d, "t", "/usr/bin/python3", 80);
	init_process(&e, "", "", 160);
	strcpy(e.name.cgroup, "/user.slice/session-1.scope");
	strcpy(e.name.comm, "kworker/0:1");
	assert_int_equal(metrics__init(&metrics, 0), 0);
	add(&metrics, &a);
	add(&metrics, &b);
	add(&metrics, &c);
	add(&metrics, &d);
	add(&metrics, &e);
	text = write_text(&metrics);
	assert_line(text, "memdrift_process_resident_bytes{unit=\"s\",exe=\"/usr/bin/python3\","
			  "slot=\"0\"} 10");
	assert_int_equal(count_lines(text, "memdrift_process_resident_bytes{unit=\"s\",exe="
					   "\"/opt/venv/bin/python3\",slot=\"0\"}"),
			 1);
	assert_line(text,
		    "memdrift_process_resident_bytes{unit=\"t\",exe=\"python3\",slot=\"0\"} 80");
	assert_line(text,
		    "memdrift_process_resident_bytes{unit=\"/user.slice/session-1.scope\",exe="
		    "\"0:1\",slot=\"0\"} 160");
	assert_line(text, "memdrift_unlisted_processes 1");
	free(text);
}

/* A label of any bytes is one line of UTF-8 in which all quotes and backslashes are escaped. */
static void hostile_names_cannot_leave_their_label(void **state)
{
	struct process process;
	struct metrics metrics;
	char *text, *line, *end;

	init_process(&process, "a\"} 1\nfake_metric 2\\", "/x/\xff\xc0\xaf\x1b[2J\"", 10);
	memset(process.name.cgroup, '\\', sizeof(process.name.cgroup) - 1);
	assert_int_equal(metrics__init(&metrics, 0), 0);
	add(&metrics, &process);
	text = write_text(&metrics);
	assert_line(text,
		    "memdrift_process_resident_bytes{unit=\"a\\\"} 1\\\\x0afake_metric 2\\\\\","
		    "exe=\"\\\\xff\\\\xc0\\\\xaf\\\\x1b[2J\\\"\",slot=\"0\"} 10");
	assert_int_equal(count_lines(text, "fake_metric"), 0);
	free(text);

	/* Every byte spelled out: cut, but at a whole escape. */
	init_process(&process, "", "/x", 10);
	memset(process.name.cgroup, 0x1b, sizeof(process.name.cgroup) - 1);
	assert_int_equal(metrics__init(&metrics, 0), 0);
	add(&metrics, &process);
	text = write_text(&metrics);
	line = strstr(text, "memdrift_process_resident_bytes{unit=\"");
	assert_non_null(line);
	end = strstr(line, "\",exe=\"x\",slot=\"0\"} 10\n");
	assert_non_null(end);
	assert_true(end - line < 400);
	assert_memory_equal(end - 5, "\\\\x1b", 5);
	free(text);
}

static void own_cost_and_losses_are_shown(void **state)
{
	struct metrics metrics;
	char *text;

	assert_int_equal(metrics__init(&metrics, 0), 0);
	metrics.cost.cpu_ns = 61000000001;
	metrics.cost.rss_bytes = 30 << 20;
	metrics.cost.bpf_map_bytes = 4096;
	metrics.cost.passes = 7;
	metrics.cost.hit_tax_ns = 80;
	metrics.cost.losses[WATCH_LOSS_store_errors] = 3;
	metrics.store.bytes = 8192;
	metrics.store.minutes = 12;
	metrics.commands.timed_out = 2;
	metrics.last_pass_unix = 1795000000.25;
	metrics.incidents[INCIDENT_OOM][DRIFT_LEAK] = 4;
	metrics.open_incidents[DRIFT_LEAK] = 1;
	text = write_text(&metrics);
	assert_line(text, "process_cpu_seconds_total 61.000000001");
	assert_line(text, "process_resident_memory_bytes 31457280");
	assert_line(text, "memdrift_bpf_map_bytes 4096");
	assert_line(text, "memdrift_passes_total 7");
	assert_line(text, "memdrift_syscall_tax_seconds 8e-08");
	assert_line(text, "memdrift_losses_total{reason=\"store_errors\"} 3");
	assert_int_equal(count_lines(text, "memdrift_losses_total{"), WATCH_LOSS_MAX);
	assert_line(text, "memdrift_database_bytes 8192");
	assert_line(text, "memdrift_database_rows{resolution=\"minutes\"} 12");
	assert_line(text, "memdrift_commands_total{result=\"timed_out\"} 2");
	assert_line(text, "memdrift_last_pass_timestamp_seconds 1795000000.25");
	assert_line(text, "memdrift_incidents_total{kind=\"oom\",verdict=\"leak\"} 4");
	assert_line(text, "memdrift_incidents_total{kind=\"drift\",verdict=\"leak\"} 0");
	assert_int_equal(
		count_lines(text, "memdrift_incidents_total{kind=\"drift\",verdict=\"none\""), 0);
	assert_line(text, "memdrift_open_incidents{verdict=\"leak\"} 1");
	assert_line(text, "memdrift_build_info{version=\"" MEMDRIFT_VERSION "\"} 1");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_that_is_known_of_a_process_is_shown),
		cmocka_unit_test(the_largest_and_those_that_drift_are_shown),
		cmocka_unit_test(more_that_drift_than_fit_are_counted),
		cmocka_unit_test(no_two_series_have_the_same_labels),
		cmocka_unit_test(hostile_names_cannot_leave_their_label),
		cmocka_unit_test(own_cost_and_losses_are_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
