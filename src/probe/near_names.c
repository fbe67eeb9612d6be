// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/near_names.h"

#include <string.h>

#include <bsd/string.h>

#include "base/text.h"

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Letters to add, remove or change (Levenshtein's distance). Both shorter than NEAR_NAME_MAX. */
static unsigned int edit_distance(const char *a, const char *b)
{
	unsigned int row[NEAR_NAME_MAX];
	size_t len = strlen(b);

	for (size_t j = 0; j <= len; j++)
		row[j] = (unsigned int)j;
	for (size_t i = 0; a[i]; i++) {
		unsigned int diagonal = row[0];

		row[0] = (unsigned int)i + 1;
		for (size_t j = 0; j < len; j++) {
			unsigned int above = row[j + 1];

			row[j + 1] = least(least(row[j], above) + 1, diagonal + (a[i] != b[j]));
			diagonal = above;
		}
	}
	return row[len];
}

/* A name that holds the other one is near, however long it is. */
static bool is_near(const char *wanted, const char *name, unsigned int *distance)
{
	*distance = edit_distance(wanted, name);
	if (strcasestr(name, wanted) || (strlen(name) > 3 && strcasestr(wanted, name))) {
		*distance = least(*distance, 2);
		return true;
	}
	return *distance <= 1 + strlen(wanted) / 3;
}

void near_names__offer(struct near_names *near, const char *name)
{
	unsigned int distance;
	size_t at;

	near->offered++;
	if (strlen(near->wanted) >= NEAR_NAME_MAX || strlen(name) >= NEAR_NAME_MAX ||
	    !is_near(near->wanted, name, &distance))
		return;
	for (size_t i = 0; i < near->count; i++)
		if (!strcmp(near->best[i].name, name))
			return;
	for (at = near->count; at > 0 && near->best[at - 1].distance > distance; at--)
		if (at < NEAR_NAMES_MAX)
			near->best[at] = near->best[at - 1];
	if (at == NEAR_NAMES_MAX)
		return;
	strlcpy(near->best[at].name, name, NEAR_NAME_MAX);
	near->best[at].distance = distance;
	if (near->count < NEAR_NAMES_MAX)
		near->count++;
}

bool near_names__print(const struct near_names *near, char *buf, size_t size)
{
	char name[4 * NEAR_NAME_MAX];

	buf[0] = '\0';
	for (size_t i = 0; i < near->count; i++) {
		if (i)
			strlcat(buf, ", ", size);
		strlcat(buf, text_printable(name, sizeof(name), near->best[i].name), size);
	}
	return near->count;
}
