// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_mounts.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum hierarchy { HIERARCHY_V2, HIERARCHY_MEMORY, HIERARCHY_SYSTEMD, HIERARCHY_OTHER, HIERARCHIES };

/* "a,b,c" has the word. */
static bool has_option(const char *options, const char *word)
{
	size_t len = strlen(word);

	while (*options) {
		size_t n = strcspn(options, ",\n");

		if (n == len && strncmp(options, word, len) == 0)
			return true;
		options += n + (options[n] != '\0');
	}
	return false;
}

/* Undoes the \040 of blanks, tabs, line breaks and backslashes, in place. */
static void unescape(char *text)
{
	char *out = text;

	while (*text) {
		if (text[0] == '\\' && text[1] >= '0' && text[1] <= '3' && text[2] >= '0' &&
		    text[2] <= '7' && text[3] >= '0' && text[3] <= '7') {
			*out++ = (char)((text[1] - '0') << 6 | (text[2] - '0') << 3 |
					(text[3] - '0'));
			text += 4;
		} else {
			*out++ = *text++;
		}
	}
	*out = '\0';
}

/*
 * "36 35 98:0 /root /mount/point options [tags] - type source super-options": the mount point of a
 * cgroup file system (in the line, which is changed) and what it is; NULL for others.
 */
static char *parse_line(char *line, enum hierarchy *hierarchy)
{
	char *separator = strstr(line, " - ");
	char *save, *field = NULL, *type, *super;

	if (!separator)
		return NULL;
	*separator = '\0';
	for (int i = 0; i < 5; i++) {
		field = strtok_r(i ? NULL : line, " ", &save);
		if (!field)
			return NULL;
	}
	type = strtok_r(separator + 3, " ", &save);
	strtok_r(NULL, " ", &save);
	super = strtok_r(NULL, " ", &save);
	if (!type || !super)
		return NULL;
	if (strcmp(type, "cgroup2") == 0)
		*hierarchy = HIERARCHY_V2;
	else if (strcmp(type, "cgroup"))
		return NULL;
	else if (has_option(super, "memory"))
		*hierarchy = HIERARCHY_MEMORY;
	else
		*hierarchy =
			has_option(super, "name=systemd") ? HIERARCHY_SYSTEMD : HIERARCHY_OTHER;
	unescape(field);
	return field;
}

struct found {
	char *path;
	enum hierarchy hierarchy;
};

/* Moves the paths over, one kind of hierarchy after the other. */
static int order_mounts(const struct found *found, size_t count, struct cgroup_mounts *mounts)
{
	mounts->count = 0;
	mounts->paths = calloc(count + 1, sizeof(*mounts->paths));
	if (!mounts->paths)
		return -ENOMEM;
	for (enum hierarchy kind = HIERARCHY_V2; kind < HIERARCHIES; kind++) {
		for (size_t i = 0; i < count; i++) {
			if (found[i].hierarchy == kind)
				mounts->paths[mounts->count++] = found[i].path;
		}
	}
	return 0;
}

int cgroup_mounts__parse(FILE *mountinfo, struct cgroup_mounts *mounts)
{
	struct found found[CGROUP_MOUNTS_MAX];
	size_t count = 0, room = 0;
	char *line = NULL;
	int err = 0;

	while (!err && count < CGROUP_MOUNTS_MAX && getline(&line, &room, mountinfo) > 0) {
		const char *path = parse_line(line, &found[count].hierarchy);

		if (!path)
			continue;
		found[count].path = strdup(path);
		if (found[count].path)
			count++;
		else
			err = -ENOMEM;
	}
	free(line);
	if (!err)
		err = order_mounts(found, count, mounts);
	for (size_t i = 0; err && i < count; i++)
		free(found[i].path);
	return err;
}

int cgroup_mounts__read(struct cgroup_mounts *mounts)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	int err;

	if (!file)
		return -errno;
	err = cgroup_mounts__parse(file, mounts);
	fclose(file);
	return err;
}

void cgroup_mounts__free(struct cgroup_mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		free(mounts->paths[i]);
	free(mounts->paths);
	mounts->paths = NULL;
	mounts->count = 0;
}
