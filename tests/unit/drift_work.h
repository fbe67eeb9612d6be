/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_TESTS_DRIFT_WORK_H
#define MEMDRIFT_TESTS_DRIFT_WORK_H

/* Memory for judgements, of a whole group of tests: for cmocka_run_group_tests. */
#include "drift/outlook.h"

static struct outlook_work *work;

static int have_work(void **state)
{
	work = outlook_work__new();
	return work ? 0 : -1;
}

static int free_work(void **state)
{
	outlook_work__free(work);
	return 0;
}

#endif
