/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is expected of a text for people; after cmocka.h. */
#ifndef EXPLAIN_EXPECT_H
#define EXPLAIN_EXPECT_H

#include <stdlib.h>
#include <string.h>

#include "output/bar.h"
#include "output/table.h"

static inline void expect_in(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("\"%s\" is not in:\n%s", part, text);
}

static inline void expect_columns(const char *text, size_t columns)
{
	char *copy = strdup(text), *rest = copy, *line;

	assert_non_null(copy);
	while ((line = strsep(&rest, "\n")))
		if (text_columns(line) > columns)
			fail_msg("%zu columns: %s", text_columns(line), line);
	free(copy);
}

static inline void expect_width(const char *text)
{
	expect_columns(text, REPORT_COLUMNS);
}

#endif
