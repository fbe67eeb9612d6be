// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* What watch opens when it starts, and closes when it ends. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "census/cgroup_find.h"
#include "watch/watch_impl.h"

#define NS_PER_S 1000000000ull
/* Distances of the series' time between censuses of one process: that moves; under suspicion. */
#define CENSUS_DISTANCE_S 600
#define CENSUS_SUSPECT_S  1800
/* CPU time that can be saved up: of looks, a few; of bursts, that of an incident at once. */
#define LOOKS_BURST_NS  1000000000ull
#define BURSTS_BURST_NS 4000000000ull

static uint64_t scaled_ns(double series_s, double speed)
{
	double ns = series_s / speed * NS_PER_S;

	return ns < 1 ? 1 : (uint64_t)ns;
}

static int start_timer(struct watch *watch)
{
	uint64_t ns = (uint64_t)(watch->options->interval_s * NS_PER_S);
	struct timespec interval = {(time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S)};
	/* The first pass at once. */
	struct itimerspec timer = {.it_interval = interval, .it_value = {.tv_nsec = 1}};

	watch->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (watch->timer < 0 || timerfd_settime(watch->timer, 0, &timer, NULL))
		return -errno;
	return 0;
}

static int catch_signals(struct watch *watch)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	watch->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	/* A reader of stdout that is gone is an error of write, not our end. */
	signal(SIGPIPE, SIG_IGN);
	return watch->signals < 0 ? -errno : 0;
}

static int open_listener(struct watch *watch)
{
	struct listener_options options = {.address = watch->options->listen,
					   .fill = watch__fill_metrics,
					   .healthy = watch__healthy,
					   .ctx = watch};
	char error[LISTENER_ERROR_MAX] = "";
	int err;

	if (!options.address)
		return 0;
	err = listener__open(&watch->listener, &options, error);
	if (err)
		log_error("%s", error);
	return err;
}

static void open_burst(struct watch *watch)
{
	char path[4096];
	int err;

	if (watch->options->no_evidence)
		return;
	snprintf(path, sizeof(path), "%s-burst", watch->options->db);
	err = burst__init(&watch->burst, path);
	watch->has_burst = !err;
	if (err)
		log_warning("there will be no evidence with incidents: cannot use the directory "
			    "%s: %s",
			    path, strerror(-err));
	watch->has_mappings = !err && watch->options->mappings;
	if (watch->has_mappings)
		mappings__start(&watch->mappings, watch->burst.directory, watch->options->speed,
				&watch->cost.losses[WATCH_LOSS_bursts_failed]);
}

static int open_sampler(struct watch *watch)
{
	const struct watch_options *options = watch->options;
	struct sampler_options sampler = {.interval_s = options->interval_s,
					  .losses = watch->cost.losses};
	double share = MOVERS_SHARE_DEFAULT * options->speed;
	int err = sampler__open(&watch->sampler, &sampler);

	if (err) {
		log_error("cannot read /proc: %s", strerror(-err));
		return err;
	}
	watch->movers = (struct movers){
		.share = share < BUDGET_SHARE_MAX ? share : BUDGET_SHARE_MAX,
		.distance_ns = scaled_ns(CENSUS_DISTANCE_S, options->speed),
		.suspect_ns = scaled_ns(CENSUS_SUSPECT_S, options->speed),
		.deferred = &watch->cost.losses[WATCH_LOSS_censuses_deferred],
	};
	movers__init(&watch->movers, monotonic_ns());
	budget__init(&watch->bursts, BURSTS_SHARE, options->speed, BURSTS_BURST_NS);
	return watch__remember(watch);
}

static int open_looks(struct watch *watch)
{
	budget__init(&watch->looks, LOOKS_SHARE, watch->options->speed, LOOKS_BURST_NS);
	watch->work = outlook_work__new();
	if (watch->work)
		return 0;
	log_error("cannot judge what is followed: out of memory");
	return -ENOMEM;
}

int watch__name_cgroup(const char *path, char **name)
{
	struct cgroup_found found;
	int err;

	*name = NULL;
	if (!path)
		return 0;
	err = cgroup_find__group(path, &found);
	if (err)
		return err;
	*name = strdup(found.memory.path ? found.memory.path : path);
	cgroup_found__free(&found);
	return *name ? 0 : -ENOMEM;
}

const char *watch__oom_text(int err)
{
	switch (-err) {
	case 0:
		return "tracepoint";
	case ENXIO:
		return "counters of control groups (not in the host's pid namespace)";
	case EPERM:
	case EACCES:
		return "counters of control groups (no right to load BPF programs)";
	default:
		return "counters of control groups (no tracepoint)";
	}
}

int watch__open(struct watch *watch)
{
	const struct watch_options *options = watch->options;
	int err = service__init(&watch->service);

	if (err)
		log_warning("the service manager's socket cannot be used: %s", strerror(-err));
	err = watch__name_cgroup(options->cgroup, &watch->cgroup);
	if (!err)
		err = watch__open_store(watch);
	if (!err)
		err = open_sampler(watch);
	if (!err)
		err = open_looks(watch);
	if (err)
		return err;
	series_clock__start(&watch->clock, options->speed, watch->last_pass_unix);
	watch->start_unix = series_clock__now(&watch->clock);
	err = open_listener(watch);
	if (!err && options->on_incident)
		err = on_incident__new(&watch->on_incident, options->on_incident, 0);
	if (err)
		return err;
	watch->oom_err = oom__open(&watch->oom);
	watch->cost.bpf_map_bytes = own_cost__bpf_map_bytes();
	open_burst(watch);
	err = catch_signals(watch);
	return err ? err : start_timer(watch);
}

void watch__close(struct watch *watch)
{
	census_child__stop(&watch->census);
	mappings__stop(&watch->mappings);
	burst__free(&watch->burst);
	if (watch->sampler)
		incidents__work(watch, true);
	watch__commit(watch);
	oom__close(watch->oom);
	on_incident__free(watch->on_incident);
	listener__close(watch->listener);
	watch__free_followed(watch);
	sampler__close(watch->sampler);
	store__close(watch->store);
	outlook_work__free(watch->work);
	service__close(&watch->service);
	free(watch->cgroup);
	if (watch->timer >= 0)
		close(watch->timer);
	if (watch->signals >= 0)
		close(watch->signals);
}
