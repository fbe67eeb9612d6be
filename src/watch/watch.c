// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <math.h>
#include <poll.h>
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
/* Of the series' time. */
#define STALE_CHECK_S 3600

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
	budget__init(&watch->looks, LOOKS_SHARE, options->speed, LOOKS_BURST_NS);
	budget__init(&watch->bursts, BURSTS_SHARE, options->speed, BURSTS_BURST_NS);
	return watch__remember(watch);
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

static const char *oom_text(int err)
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

static int open_all(struct watch *watch)
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

static void tell_cost(struct watch *watch)
{
	const struct own_cost *cost = &watch->cost;

	own_cost__read(&watch->cost);
	log_info("%llu passes (%.3f s of CPU time), %llu looks (%.3f s), %llu censuses (%.3f s), "
		 "%llu bursts; %.3f s in all, %.3f s of children; lost:",
		 (unsigned long long)cost->passes, 1e-9 * (double)cost->pass_ns,
		 (unsigned long long)cost->looks, 1e-9 * (double)cost->look_ns,
		 (unsigned long long)cost->censuses, 1e-9 * (double)cost->census_ns,
		 (unsigned long long)cost->bursts, 1e-9 * (double)cost->cpu_ns,
		 1e-9 * (double)cost->children_cpu_ns);
#define TELL_LOSS(name, text)                \
	if (cost->losses[WATCH_LOSS_##name]) \
		log_info("  %llu %s", (unsigned long long)cost->losses[WATCH_LOSS_##name], text);
	WATCH_LOSSES(TELL_LOSS)
#undef TELL_LOSS
}

static void close_all(struct watch *watch)
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
	service__close(&watch->service);
	free(watch->cgroup);
	if (watch->timer >= 0)
		close(watch->timer);
	if (watch->signals >= 0)
		close(watch->signals);
}

/* ---- the loop -------------------------------------------------------------------------------- */

enum { TIMER, SIGNALS, LISTENER, OOM, COMMANDS, CENSUS, BURST, MAPPINGS, SOURCES };

static int until_ms(uint64_t deadline_ns, uint64_t now_ns)
{
	uint64_t ms = deadline_ns > now_ns ? (deadline_ns - now_ns) / 1000000 + 1 : 0;

	return ms < 60000 ? (int)ms : 60000;
}

static int sooner(int a, int b)
{
	return a < 0 ? b : b < 0 || a < b ? a : b;
}

static int wait_for_work(struct watch *watch, struct pollfd fds[SOURCES])
{
	uint64_t now_ns = monotonic_ns();
	int timeout = service__timeout_ms(&watch->service, now_ns);
	const int fd[SOURCES] = {
		[TIMER] = watch->timer,
		[SIGNALS] = watch->signals,
		[LISTENER] = watch->listener ? listener__fd(watch->listener) : -1,
		[OOM] = oom__fd(watch->oom),
		[COMMANDS] = watch->on_incident ? on_incident__fd(watch->on_incident) : -1,
		[CENSUS] = census_child__runs(&watch->census) ? watch->census.child.fd : -1,
		[BURST] = burst__fd(&watch->burst),
		[MAPPINGS] = watch->has_mappings ? mappings__fd(&watch->mappings) : -1,
	};

	if (watch->listener)
		timeout = sooner(timeout, listener__timeout_ms(watch->listener));
	if (census_child__runs(&watch->census))
		timeout = sooner(timeout, until_ms(watch->census.deadline_ns, now_ns));
	if (burst__runs(&watch->burst))
		timeout = sooner(timeout, until_ms(burst__deadline_ns(&watch->burst), now_ns));
	if (watch->has_mappings)
		timeout =
			sooner(timeout, until_ms(mappings__deadline_ns(&watch->mappings), now_ns));
	for (int i = 0; i < SOURCES; i++)
		fds[i] = (struct pollfd){.fd = fd[i], .events = POLLIN};
	if (poll(fds, SOURCES, timeout) < 0 && errno != EINTR)
		return -errno;
	return 0;
}

static void take_signals(struct watch *watch)
{
	struct signalfd_siginfo info;

	while (read(watch->signals, &info, sizeof(info)) == sizeof(info)) {
		watch->reload |= info.ssi_signo == SIGHUP;
		watch->stop |= info.ssi_signo != SIGHUP;
	}
}

/* The database may have been moved away, restored, or lie on a disk that was full. */
static void reload(struct watch *watch)
{
	watch->reload = false;
	service__reloading(&watch->service);
	watch__commit(watch);
	store__close(watch->store);
	watch->store = NULL;
	if (!watch__open_store(watch))
		watch__rename_followed(watch);
	service__ready(&watch->service);
}

static void tick(struct watch *watch)
{
	double before = watch->last_pass_unix;
	uint64_t passed;
	bool more;

	if (read(watch->timer, &passed, sizeof(passed)) != sizeof(passed))
		return;
	watch->cost.losses[WATCH_LOSS_passes_late] += passed - 1;
	watch__pass(watch);
	looks__work(watch);
	incidents__work(watch, false);
	if (floor(before / STALE_CHECK_S) != floor(watch->last_pass_unix / STALE_CHECK_S))
		incidents__end_stale(watch);
	watch->cost.losses[WATCH_LOSS_oom_records] = oom__lost(watch->oom);
	own_cost__read(&watch->cost);
	watch__commit(watch);
	if (watch->store)
		watch__store_error(watch, store__tidy(watch->store, watch->last_pass_unix, &more),
				   "tidy the database");
	service__status(&watch->service, "%zu processes followed", sampler__count(watch->sampler));
}

static int turn(struct watch *watch)
{
	struct pollfd fds[SOURCES];
	int err = wait_for_work(watch, fds);

	if (err)
		return err;
	if (fds[SIGNALS].revents)
		take_signals(watch);
	if (fds[OOM].revents)
		oom__read(watch->oom, incident_oom__victim, watch);
	if (fds[TIMER].revents)
		tick(watch);
	if (census_child__runs(&watch->census))
		watch__finish_census(watch);
	evidence__work(watch);
	if (watch->has_mappings)
		mappings__work(&watch->mappings, monotonic_ns());
	watch->cost.hit_tax_ns = watch->mappings.tax_ns;
	if (fds[COMMANDS].revents)
		on_incident__work(watch->on_incident);
	watch__commit(watch);
	if (watch->listener)
		listener__run(watch->listener);
	if (watch->reload)
		reload(watch);
	service__ping(&watch->service, monotonic_ns());
	return 0;
}

int watch__run(const struct watch_options *options)
{
	struct watch watch = {
		.options = options,
		.timer = -1,
		.signals = -1,
		.burst = {.pidfd = -1},
		.host_kills = -1,
	};
	int err = open_all(&watch);

	if (!err) {
		log_notice("watching every %g s into %s; metrics: %s; killed for memory: %s; "
			   "evidence: %s",
			   options->interval_s, options->db,
			   watch.listener ? listener__url(watch.listener) : "no",
			   oom_text(watch.oom_err), watch.has_burst ? "bursts of tracing" : "no");
		service__ready(&watch.service);
	}
	while (!err && !watch.stop)
		err = turn(&watch);
	if (err)
		log_error("watch ends: %s", strerror(-err));
	service__stopping(&watch.service);
	tell_cost(&watch);
	close_all(&watch);
	return err;
}
