/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_STORE_FIXTURE_H
#define MEMDRIFT_TESTS_STORE_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store.h"

/* A history in a directory of its own. Tests include it after cmocka.h. */
#define MIB (1024ll * 1024)
/* The beginning of an hour. */
#define T0     1600002000.
#define STEP_S 10.

struct store_fixture {
	char dir[64], path[96], error[STORE_ERROR_MAX];
	struct store *store;
	struct store_options options;
};

static inline void fixture_open(struct store_fixture *fixture)
{
	fixture->options.path = fixture->path;
	assert_int_equal(store__open(&fixture->store, &fixture->options, fixture->error), 0);
}

static inline void fixture_begin(struct store_fixture *fixture)
{
	memset(fixture, 0, sizeof(*fixture));
	/* Where syncing costs nothing. */
	strcpy(fixture->dir, "/dev/shm/memdrift-store-XXXXXX");
	if (!mkdtemp(fixture->dir)) {
		strcpy(fixture->dir, "/tmp/memdrift-store-XXXXXX");
		assert_non_null(mkdtemp(fixture->dir));
	}
	snprintf(fixture->path, sizeof(fixture->path), "%s/watch.db", fixture->dir);
}

static inline void fixture_end(struct store_fixture *fixture)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-lock", "-journal"};
	char path[128];

	store__close(fixture->store);
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++) {
		snprintf(path, sizeof(path), "%s%s", fixture->path, suffixes[i]);
		unlink(path);
	}
	rmdir(fixture->dir);
}

static inline void fixture_again(struct store_fixture *fixture)
{
	store__close(fixture->store);
	fixture->store = NULL;
	fixture_open(fixture);
}

static inline int64_t fixture_subject(struct store *store, const char *unit)
{
	struct subject_name name = {.exe = "/usr/bin/served", .comm = "served"};
	int64_t id = 0;

	snprintf(name.unit, sizeof(name.unit), "%s", unit);
	snprintf(name.cgroup, sizeof(name.cgroup), "/system.slice/%s", unit);
	assert_int_equal(store__subject(store, &name, &id), 0);
	assert_true(id > 0);
	return id;
}

static inline struct sample fixture_sample(double t_unix, int64_t rss)
{
	struct sample sample;

	sample__init(&sample, t_unix);
	sample.pid = 812;
	sample.start_time = 5000;
	sample.value[COMPONENT_RSS] = rss;
	sample.value[COMPONENT_ANON] = rss / 2;
	sample.value[COMPONENT_SWAP] = 0;
	sample.value[COMPONENT_THREADS] = 4;
	return sample;
}

static inline void fixture_tidy(struct store *store, double now)
{
	bool more = true;

	for (int i = 0; more; i++) {
		assert_true(i < 100000);
		assert_int_equal(store__tidy(store, now, &more), 0);
	}
}

#endif
