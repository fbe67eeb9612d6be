// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Allocator probes that come and go: what it takes to attach them again. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "probe/coverage_internal.h"

void coverage__allow_pauses(struct coverage *coverage)
{
	coverage->pausable = true;
}

/* Through the descriptor the file is reached when its name is gone, or never was ours. */
static int keep_file(struct place *place, const char *path)
{
	if (place->fd < 0)
		place->fd = open(path, O_RDONLY | O_CLOEXEC);
	return place->fd < 0 ? -errno : 0;
}

int coverage__keep_go_sites(struct place *place, const char *path, const struct attach_site *sites,
			    size_t count)
{
	int err = keep_file(place, path);

	if (err)
		return err;
	free(place->go_sites);
	place->go_sites = calloc(count, sizeof(*sites));
	place->go_site_count = place->go_sites ? count : 0;
	for (size_t i = 0; i < place->go_site_count; i++)
		place->go_sites[i] = sites[i];
	return place->go_sites ? 0 : -ENOMEM;
}

int coverage__keep_sites(struct place *place, const char *path, const struct attach_site *sites,
			 size_t count)
{
	int err;

	coverage__drop_sites(place);
	place->sites = calloc(count, sizeof(*sites));
	if (!place->sites)
		return -ENOMEM;
	err = keep_file(place, path);
	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		if (!sites[i].error)
			place->sites[place->site_count++] = sites[i];
	return 0;
}

void coverage__drop_sites(struct place *place)
{
	if (place->fd >= 0)
		close(place->fd);
	free(place->sites);
	free(place->go_sites);
	place->fd = -1;
	place->sites = place->go_sites = NULL;
	place->site_count = place->go_site_count = 0;
}

bool coverage__is_paused(const struct coverage *coverage, uint64_t pid)
{
	for (struct place *place = coverage->places; place; place = place->hh.next)
		if (place->key.pid == pid && place->paused)
			return true;
	return false;
}

void coverage__pause(struct coverage *coverage, pid_t pid)
{
	struct place *place;

	pthread_mutex_lock(&coverage->lock);
	for (place = coverage->places; place; place = place->hh.next) {
		if (place->key.pid != (uint64_t)pid || !(place->mallocs || place->go))
			continue;
		coverage__detach(coverage, place);
		/* Without a descriptor for its file (there are only so many) they are gone. */
		place->paused = place->site_count + place->go_site_count > 0;
	}
	pthread_mutex_unlock(&coverage->lock);
}

static int resume_place(struct coverage *coverage, struct place *place)
{
	pid_t pid = place->key.pid ? (pid_t)place->key.pid : ATTACH_ALL;
	char path[64];
	int err = 0;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", place->fd);
	if (place->site_count)
		err = coverage__attach_sites(coverage, place, pid, path, place->sites,
					     place->site_count);
	if (!err && place->go_site_count)
		err = coverage__attach_go_sites(coverage, place, pid, path, place->go_sites,
						place->go_site_count);
	if (err)
		return err;
	for (size_t i = 0; i < place->site_count; i++)
		place->malloc_count += !place->sites[i].error;
	place->malloc_count += (uint32_t)place->go_site_count;
	place->paused = false;
	return 0;
}

int coverage__resume(struct coverage *coverage, pid_t pid)
{
	struct place *place;
	int err = 0;

	pthread_mutex_lock(&coverage->lock);
	for (place = coverage->places; place && !err; place = place->hh.next)
		if (place->key.pid == (uint64_t)pid && place->paused && coverage->mallocs)
			err = resume_place(coverage, place);
	/* Half of its probes would be worse than none: its figures would be wrong. */
	for (place = coverage->places; place && err; place = place->hh.next) {
		if (place->key.pid != (uint64_t)pid || !(place->mallocs || place->go))
			continue;
		coverage__detach(coverage, place);
		place->paused = place->site_count + place->go_site_count > 0;
	}
	pthread_mutex_unlock(&coverage->lock);
	return err;
}
