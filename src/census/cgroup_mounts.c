// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_mounts.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

bool cgroup_list__has(const char *list, const char *word)
{
	size_t len = strlen(word);

	for (;;) {
		size_t n = strcspn(list, ",:\n");

		if (n == len && strncmp(list, word, len) == 0)
			return true;
		if (list[n] != ',')
			return false;
		list += n + 1;
	}
}

bool cgroup_mount__controls(const struct cgroup_mount *mount, const char *controller)
{
	return mount->version == 1 && cgroup_list__has(mount->options, controller);
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

static void free_mount(struct cgroup_mount *mount)
{
	free(mount->path);
	free(mount->root);
	free(mount->options);
}

/*
 * "36 35 98:0 /root /mount/point options [tags] - type source super-options" (the line is changed).
 * 1 when that is a cgroup file system, 0 when not, -ENOMEM.
 */
static int parse_line(char *line, const char *prefix, struct cgroup_mount *mount)
{
	char *separator = strstr(line, " - ");
	char *save, *fields[5], *type, *super;

	if (!separator)
		return 0;
	*separator = '\0';
	for (int i = 0; i < 5; i++) {
		fields[i] = strtok_r(i ? NULL : line, " ", &save);
		if (!fields[i])
			return 0;
	}
	type = strtok_r(separator + 3, " ", &save);
	strtok_r(NULL, " ", &save);
	super = strtok_r(NULL, " \n", &save);
	if (!type || !super || (strcmp(type, "cgroup2") && strcmp(type, "cgroup")))
		return 0;
	unescape(fields[3]);
	unescape(fields[4]);
	*mount = (struct cgroup_mount){
		.root = strdup(fields[3]),
		.options = strdup(super),
		.version = type[6] ? 2 : 1,
	};
	if (asprintf(&mount->path, "%s%s", prefix, fields[4]) < 0)
		mount->path = NULL;
	if (mount->path && mount->root && mount->options)
		return 1;
	free_mount(mount);
	return -ENOMEM;
}

/* Place in the order. */
static int rank(const struct cgroup_mount *mount)
{
	if (mount->version == 2)
		return 0;
	if (cgroup_mount__controls(mount, "memory"))
		return 1;
	return cgroup_mount__controls(mount, "name=systemd") ? 2 : 3;
}

/* Puts a mount before the first one that ranks after it: equals keep their order. */
static void insert_mount(struct cgroup_mounts *mounts, const struct cgroup_mount *mount)
{
	size_t at = mounts->count++;

	while (at && rank(&mounts->list[at - 1]) > rank(mount)) {
		mounts->list[at] = mounts->list[at - 1];
		at--;
	}
	mounts->list[at] = *mount;
}

int cgroup_mounts__parse(FILE *mountinfo, const char *prefix, struct cgroup_mounts *mounts)
{
	char *line = NULL;
	size_t room = 0;
	int found = 0;

	mounts->count = 0;
	mounts->list = calloc(CGROUP_MOUNTS_MAX, sizeof(*mounts->list));
	if (!mounts->list)
		return -ENOMEM;
	while (found >= 0 && mounts->count < CGROUP_MOUNTS_MAX &&
	       getline(&line, &room, mountinfo) > 0) {
		struct cgroup_mount mount;

		found = parse_line(line, prefix, &mount);
		if (found > 0)
			insert_mount(mounts, &mount);
	}
	free(line);
	if (found >= 0)
		return 0;
	cgroup_mounts__free(mounts);
	return found;
}

static int read_mounts(const char *path, const char *prefix, struct cgroup_mounts *mounts)
{
	FILE *file = fopen(path, "re");
	int err;

	*mounts = (struct cgroup_mounts){0};
	if (!file)
		return -errno;
	err = cgroup_mounts__parse(file, prefix, mounts);
	fclose(file);
	return err;
}

int cgroup_mounts__read(struct cgroup_mounts *mounts)
{
	return read_mounts("/proc/self/mountinfo", "", mounts);
}

int cgroup_mounts__read_init(struct cgroup_mounts *mounts)
{
	return read_mounts("/proc/1/mountinfo", "/proc/1/root", mounts);
}

void cgroup_mounts__free(struct cgroup_mounts *mounts)
{
	for (size_t i = 0; i < mounts->count; i++)
		free_mount(&mounts->list[i]);
	free(mounts->list);
	*mounts = (struct cgroup_mounts){0};
}
