// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <sqlite3.h>
#include <sys/wait.h>

#include "store_fixture.h"

static void run_sql(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* SQLite's own word on a file, and a number out of it. */
static int64_t ask(const char *path, const char *sql)
{
	sqlite3 *db;
	sqlite3_stmt *statement;
	int64_t number;

	assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	number = sqlite3_column_int64(statement, 0);
	sqlite3_finalize(statement);
	sqlite3_close(db);
	return number;
}

static void check_integrity(const char *path)
{
	assert_int_equal(ask(path, "SELECT group_concat(integrity_check)='ok'"
				   " FROM pragma_integrity_check"),
			 1);
}

static char *read_file(const char *path, size_t *size)
{
	FILE *file = fopen(path, "re");
	struct stat stat;
	char *bytes;

	assert_non_null(file);
	assert_int_equal(fstat(fileno(file), &stat), 0);
	*size = (size_t)stat.st_size;
	bytes = malloc(*size + 1);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, *size, file), *size);
	fclose(file);
	return bytes;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
	FILE *file = fopen(path, "we");

	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	assert_int_equal(fclose(file), 0);
}

/* It is refused, and not a byte of it is another. */
static void check_refused(struct store_fixture *fixture, int err, const char *why)
{
	size_t before_size, after_size;
	char *before = read_file(fixture->path, &before_size), *after;

	fixture->options.path = fixture->path;
	assert_int_equal(store__open(&fixture->store, &fixture->options, fixture->error), err);
	assert_null(fixture->store);
	if (!strstr(fixture->error, why))
		fail_msg("\"%s\" does not say \"%s\"", fixture->error, why);
	assert_non_null(strstr(fixture->error, fixture->path));
	after = read_file(fixture->path, &after_size);
	assert_int_equal(before_size, after_size);
	assert_memory_equal(before, after, before_size);
	free(before);
	free(after);
}

static void what_is_not_ours_is_refused_unharmed(void **state)
{
	struct store_fixture fixture;

	fixture_begin(&fixture);
	write_file(fixture.path, "dear diary\n", 11);
	check_refused(&fixture, -EUCLEAN, "not a database");
	unlink(fixture.path);
	run_sql(fixture.path, "CREATE TABLE mine(a); INSERT INTO mine VALUES(1)");
	check_refused(&fixture, -EUCLEAN, "another database");
	run_sql(fixture.path, "PRAGMA journal_mode=WAL; INSERT INTO mine VALUES(2)");
	check_refused(&fixture, -EUCLEAN, "another database");
	fixture.options.read_only = true;
	check_refused(&fixture, -EUCLEAN, "another database");
	fixture_end(&fixture);
}

static void a_newer_version_is_refused_unharmed(void **state)
{
	struct store_fixture fixture;

	fixture_begin(&fixture);
	fixture_open(&fixture);
	store__close(fixture.store);
	fixture.store = NULL;
	run_sql(fixture.path, "PRAGMA user_version=999");
	check_refused(&fixture, -EPROTONOSUPPORT, "newer");
	fixture.options.read_only = true;
	check_refused(&fixture, -EPROTONOSUPPORT, "newer");
	fixture_end(&fixture);
}

/* Version 0 is a file in which nothing but whose it is was written, or nothing at all. */
static void older_versions_are_migrated(void **state)
{
	struct store_fixture fixture;
	int64_t version;

	fixture_begin(&fixture);
	write_file(fixture.path, "", 0);
	fixture_open(&fixture);
	fixture_subject(fixture.store, "a.service");
	store__close(fixture.store);
	version = ask(fixture.path, "PRAGMA user_version");
	assert_true(version > 0);
	assert_int_equal(ask(fixture.path, "PRAGMA application_id"), 0x6d646674);
	unlink(fixture.path);
	run_sql(fixture.path, "PRAGMA application_id=0x6d646674; PRAGMA user_version=1;"
			      "PRAGMA user_version=0");
	fixture.options.read_only = true;
	check_refused(&fixture, -EPROTONOSUPPORT, "memdrift watch");
	fixture.options.read_only = false;
	fixture_open(&fixture);
	fixture_subject(fixture.store, "a.service");
	fixture_again(&fixture);
	store__close(fixture.store);
	fixture.store = NULL;
	assert_int_equal(ask(fixture.path, "PRAGMA user_version"), version);
	check_integrity(fixture.path);
	fixture_end(&fixture);
}

static void errors_say_what_is_wrong(void **state)
{
	struct store_fixture fixture;
	struct store *other = NULL;
	sqlite3 *db;

	fixture_begin(&fixture);
	fixture.options.read_only = true;
	fixture.options.path = fixture.path;
	assert_int_equal(store__open(&other, &fixture.options, fixture.error), -ENOENT);
	assert_non_null(strstr(fixture.error, "No such file"));
	fixture.options.path = "/proc/none/watch.db";
	fixture.options.read_only = false;
	assert_int_equal(store__open(&other, &fixture.options, fixture.error), -ENOENT);
	fixture.options.max_bytes = 4096;
	fixture.options.path = fixture.path;
	assert_int_equal(store__open(&other, &fixture.options, fixture.error), -EINVAL);
	fixture.options.max_bytes = 0;
	fixture_open(&fixture);
	assert_int_equal(store__open(&other, &fixture.options, fixture.error), -EBUSY);
	assert_non_null(strstr(fixture.error, "another"));
	/* Somebody else's lock: an error of this pass, not of the next. */
	assert_int_equal(sqlite3_open(fixture.path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store__begin(fixture.store), -EBUSY);
	assert_non_null(strstr(store__error(fixture.store), "lock"));
	sqlite3_close(db);
	assert_int_equal(store__begin(fixture.store), 0);
	assert_int_equal(store__commit(fixture.store), 0);
	assert_int_equal(unlink(fixture.path), 0);
	assert_int_equal(store__begin(fixture.store), -ESTALE);
	fixture_end(&fixture);
}

/* Samples of two subjects a pass, until it is killed; says each pass that was committed. */
static void write_until_killed(struct store_fixture *fixture, int pipe_fd, int first)
{
	int64_t a, b;

	fixture->store = NULL;
	if (store__open(&fixture->store, &fixture->options, fixture->error))
		_exit(1);
	a = fixture_subject(fixture->store, "a.service");
	b = fixture_subject(fixture->store, "b.service");
	for (int pass = first;; pass++) {
		double t = T0 + pass * STEP_S;
		struct sample sample = fixture_sample(t, pass * MIB);
		bool more;

		if (store__begin(fixture->store) || store__add_sample(fixture->store, a, &sample) ||
		    store__add_sample(fixture->store, b, &sample) ||
		    store__add_pass(fixture->store, t) || store__commit(fixture->store) ||
		    write(pipe_fd, &pass, sizeof(pass)) != sizeof(pass))
			_exit(1);
		store__tidy(fixture->store, t, &more);
	}
}

static int kill_a_writer(struct store_fixture *fixture, int first, int after)
{
	int fds[2], pass, last = first - 1, status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		close(fds[0]);
		write_until_killed(fixture, fds[1], first);
	}
	close(fds[1]);
	/* Wherever it then is in a later one. */
	while (read(fds[0], &pass, sizeof(pass)) == sizeof(pass) && pass < first + after)
		last = pass;
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	/* What it said before it died. */
	while (read(fds[0], &pass, sizeof(pass)) == sizeof(pass))
		last = pass;
	close(fds[0]);
	return last;
}

static void a_killed_writer_loses_one_pass_at_most(void **state)
{
	struct store_fixture fixture;
	struct series series;
	int last = -1;

	fixture_begin(&fixture);
	fixture.options.path = fixture.path;
	for (int round = 0; round < 20; round++) {
		last = kill_a_writer(&fixture, last + 2, 1 + rand() % 300);
		check_integrity(fixture.path);
		fixture_open(&fixture);
		for (int64_t id = 1; id <= 2; id++) {
			int64_t rss;

			assert_int_equal(store__read_series(fixture.store, id, T0, 0, &series), 0);
			assert_true(series.count > 0);
			/* The pass that it said last, or the one that it was about to say. */
			rss = series.samples[series.count - 1].value[COMPONENT_RSS];
			assert_true(rss == last * MIB || rss == (last + 1) * MIB);
			series__free(&series);
		}
		store__close(fixture.store);
		fixture.store = NULL;
	}
	fixture_end(&fixture);
}

static int count_incident(void *ctx, const struct incident *incident)
{
	*(size_t *)ctx += incident->id != 0;
	return 0;
}

static int read_subject(void *ctx, const struct store_subject *subject)
{
	struct store *store = ctx;
	const double resolutions[] = {0, 60, 3600};

	for (int i = 0; i < 3; i++) {
		struct series series;

		if (!store__read_series(store, subject->id, 0, resolutions[i], &series)) {
			assert_true(series.count <= 350000);
			series__free(&series);
		}
	}
	return 0;
}

/* Whatever a file has in it: errors, but no crash and no hang. */
static void damaged_files_are_read_without_harm(void **state)
{
	struct store_fixture fixture;
	size_t size;
	char *good, *bad;
	int64_t id;

	fixture_begin(&fixture);
	fixture_open(&fixture);
	id = fixture_subject(fixture.store, "a.service");
	for (int pass = 0; pass < 1000; pass++) {
		struct sample sample = fixture_sample(T0 + pass * 60, (100 + pass % 7) * MIB);

		assert_int_equal(store__begin(fixture.store), 0);
		assert_int_equal(store__add_sample(fixture.store, id, &sample), 0);
		assert_int_equal(store__add_pass(fixture.store, sample.t_s), 0);
		assert_int_equal(store__commit(fixture.store), 0);
	}
	fixture_tidy(fixture.store, T0 + 60000);
	store__close(fixture.store);
	fixture.store = NULL;
	good = read_file(fixture.path, &size);
	bad = malloc(size);
	assert_non_null(bad);
	srand(7);
	for (int variant = 0; variant < 50; variant++) {
		size_t incidents = 0;
		bool more;

		memcpy(bad, good, size);
		/* Past the header, so that most are opened at all. */
		for (int i = 0; i < 1 + variant; i++)
			bad[100 + (size_t)rand() % (size - 100)] ^= (char)(1 << rand() % 8);
		write_file(fixture.path, bad, size);
		fixture.options.read_only = variant % 2;
		if (store__open(&fixture.store, &fixture.options, fixture.error))
			continue;
		store__each_subject(fixture.store, read_subject, fixture.store);
		store__each_incident(fixture.store, 0, 0, count_incident, &incidents);
		if (!fixture.options.read_only)
			store__tidy(fixture.store, T0 + 3e6, &more);
		store__close(fixture.store);
		fixture.store = NULL;
	}
	free(good);
	free(bad);
	fixture_end(&fixture);
}

/* Well-formed, with times and counts that no writer would have made. */
static void impossible_contents_are_errors(void **state)
{
	static const char *const changes[] = {
		"UPDATE passes SET count=4000000000000000000",
		"UPDATE passes SET end_ms=9223372036854775807",
		"UPDATE passes SET begin_ms=-9223372036854775807",
		"UPDATE passes SET count=-1",
		"UPDATE lives SET begin_ms=-5",
		"UPDATE lives SET end_ms=9223372036854775807,begin_ms=9223372036854775807",
		"UPDATE tiers SET from_ms=9223372036854775807",
		"UPDATE tiers SET from_ms=1",
		"UPDATE subjects SET fold_ms=17",
		"UPDATE subjects SET fold_ms=-3600000",
		"UPDATE samples SET id=-id",
		"UPDATE samples SET rss_bytes=9223372036854775807",
		"UPDATE samples SET rss_bytes='much'",
		"UPDATE hours SET t_ms=9223372036854775807-t_ms",
		"UPDATE hours SET day_ms=day_ms*2",
		"DROP TABLE minutes",
		"DROP TABLE hours; CREATE VIEW hours AS SELECT * FROM minutes",
	};
	struct store_fixture fixture;
	size_t size;
	char *good;
	int64_t id;

	fixture_begin(&fixture);
	fixture_open(&fixture);
	id = fixture_subject(fixture.store, "a.service");
	for (int pass = 0; pass < 500; pass++) {
		struct sample sample = fixture_sample(T0 + pass * 60, (100 + pass % 7) * MIB);

		assert_int_equal(store__begin(fixture.store), 0);
		assert_int_equal(store__add_sample(fixture.store, id, &sample), 0);
		assert_int_equal(store__add_pass(fixture.store, sample.t_s), 0);
		assert_int_equal(store__commit(fixture.store), 0);
	}
	fixture_tidy(fixture.store, T0 + 30000);
	store__close(fixture.store);
	fixture.store = NULL;
	good = read_file(fixture.path, &size);
	for (size_t i = 0; i < sizeof(changes) / sizeof(*changes); i++) {
		bool more;

		write_file(fixture.path, good, size);
		run_sql(fixture.path, changes[i]);
		for (int write = 0; write < 2; write++) {
			fixture.options.read_only = !write;
			if (store__open(&fixture.store, &fixture.options, fixture.error))
				continue;
			store__each_subject(fixture.store, read_subject, fixture.store);
			if (write)
				store__tidy(fixture.store, T0 + 3e6, &more);
			store__close(fixture.store);
			fixture.store = NULL;
		}
	}
	free(good);
	fixture_end(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_ours_is_refused_unharmed),
		cmocka_unit_test(a_newer_version_is_refused_unharmed),
		cmocka_unit_test(older_versions_are_migrated),
		cmocka_unit_test(errors_say_what_is_wrong),
		cmocka_unit_test(a_killed_writer_loses_one_pass_at_most),
		cmocka_unit_test(damaged_files_are_read_without_harm),
		cmocka_unit_test(impossible_contents_are_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
