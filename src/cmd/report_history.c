// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/report_history.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "cmd/report_file.h"
#include "output/history.h"

/* How far back it goes unless --since says: what the host grew by in a week, a trend as far as
 * watch itself looks. */
#define HOST_SINCE_S    (7 * 86400.)
#define PROCESS_SINCE_S (28 * 86400.)
/* Series as watch judges them. */
#define SERIES_RESOLUTION_S 3600
/* Names in a message. */
#define NAMES_SHOWN 10

static int failed(const struct store *store, int err)
{
	log_error("%s", err == -ENOMEM ? "out of memory" : store__error(store));
	return EXIT_FAILED;
}

struct names {
	FILE *out;
	size_t count;
};

static int add_name(void *ctx, const struct store_subject *subject)
{
	struct names *names = ctx;
	char name[256];

	if (names->count++ >= NAMES_SHOWN)
		return 1;
	fprintf(names->out, "%s%s (pid %u)", names->count > 1 ? ", " : "",
		text_printable(name, sizeof(name), history__name(&subject->name)), subject->pid);
	return 0;
}

/* Nothing fits: says what there would be. */
static int say_unknown(const struct report_options *options, struct store *store)
{
	char *text = NULL, wanted[256];
	size_t size = 0;
	struct names names = {.out = open_memstream(&text, &size)};
	int got = names.out ? store__each_subject(store, add_name, &names) : -ENOMEM;

	if (names.out)
		fclose(names.out);
	if (options->pid)
		snprintf(wanted, sizeof(wanted), "process with pid %u", options->pid);
	else
		snprintf(wanted, sizeof(wanted), "process of unit %s", options->unit);
	if (got >= 0)
		log_error("%s has no %s; it has %s%s", options->db, wanted,
			  names.count ? text : "none at all",
			  got ? ", ... (`memdrift report --db FILE --all` lists them)" : "");
	free(text);
	return got < 0 ? failed(store, got) : EXIT_FAILED;
}

static int write_file(int directory, const char *name, const void *bytes, size_t size)
{
	int err = 0, fd = openat(directory, name,
				 O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

	if (fd < 0)
		return -errno;
	while (size && !err) {
		ssize_t written = write(fd, bytes, size);

		if (written < 0 && errno != EINTR)
			err = -errno;
		if (written > 0) {
			bytes = (const char *)bytes + written;
			size -= (size_t)written;
		}
	}
	if (close(fd) && !err)
		err = -errno;
	return err;
}

/* As it is named in the report: the incident's number, a hyphen and the file's name. */
static int write_evidence(struct store *store, int directory, const char *path, int64_t incident,
			  const char *name)
{
	char file[300];
	void *bytes;
	size_t size;
	int err = store__get_evidence(store, incident, name, &bytes, &size);

	if (err)
		return failed(store, err);
	snprintf(file, sizeof(file), "%" PRId64 "-%s", incident, name);
	err = write_file(directory, file, bytes, size);
	free(bytes);
	if (!err)
		return EXIT_OK;
	log_error("cannot write %s/%s: %s", path, file, strerror(-err));
	return EXIT_FAILED;
}

static int write_all_evidence(struct store *store, const struct history *history, const char *path)
{
	int code = EXIT_OK, directory;

	if (mkdir(path, 0700) && errno != EEXIST) {
		log_error("cannot make the directory %s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (directory < 0) {
		log_error("cannot write to %s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	for (size_t i = 0; i < history->incident_count; i++) {
		const struct history_incident *incident = &history->incidents[i];

		for (size_t j = 0; code == EXIT_OK && j < incident->evidence_count; j++)
			code = write_evidence(store, directory, path, incident->incident.id,
					      incident->evidence[j].name);
	}
	close(directory);
	return code;
}

static FILE *open_output(const char *path)
{
	FILE *file = path ? fopen(path, "we") : stdout;

	if (!file)
		log_error("cannot write %s: %s", path, strerror(errno));
	return file;
}

static int write_report(const struct report_options *options, const struct history *history)
{
	FILE *file = open_output(options->output);
	struct text_options text;
	int err;

	if (!file)
		return EXIT_FAILED;
	setlocale(LC_CTYPE, "");
	text = report_file__narrow_options(file);
	text.all = options->all;
	text.top = options->top_given ? options->top : 0;
	err = options->json ? history_json__write(file, history)
			    : history_text__write(file, history, &text);
	return report_file__close(file, options->output ? options->output : "the report to stdout",
				  err);
}

static int write_series(const struct report_options *options, struct store *store,
			const struct history *history)
{
	FILE *file = open_output(options->series);
	int err = 0;

	if (!file)
		return EXIT_FAILED;
	for (size_t i = 0; !err && i < history->count; i++) {
		struct series series;

		err = store__read_series(store, history->subjects[i].subject.id,
					 history->since_unix, SERIES_RESOLUTION_S, &series);
		if (err) {
			fclose(file);
			return failed(store, err);
		}
		if (series.count)
			err = history_series__write(file, &series);
		series__free(&series);
	}
	return report_file__close(file, options->series, err);
}

static int report_on(const struct report_options *options, struct store *store)
{
	bool chosen = options->pid || options->unit;
	struct history_choice choice = {
		.pid = options->pid,
		.unit = options->unit,
		.since_unix = options->since_unix,
		.since_s = options->since_s > 0        ? options->since_s
			   : chosen || options->series ? PROCESS_SINCE_S
						       : HOST_SINCE_S,
		.samples = chosen,
		.resolution_s = chosen ? 0 : SERIES_RESOLUTION_S,
	};
	struct history history;
	int code, err = history__read(&history, store, options->db, &choice);

	if (err)
		return failed(store, err);
	if (chosen && !history.count)
		code = say_unknown(options, store);
	else if (options->series)
		code = write_series(options, store, &history);
	else
		code = write_report(options, &history);
	if (code == EXIT_OK && options->evidence)
		code = write_all_evidence(store, &history, options->evidence);
	history__free(&history);
	return code;
}

int report_history(const struct report_options *options)
{
	struct store_options store_options = {.path = options->db, .read_only = true};
	char error[STORE_ERROR_MAX];
	struct store *store;
	int code;

	if (store__open(&store, &store_options, error)) {
		log_error("%s", error);
		return EXIT_FAILED;
	}
	code = report_on(options, store);
	store__close(store);
	return code;
}
