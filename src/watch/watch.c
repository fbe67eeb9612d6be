// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "watch/watch_impl.h"

/* Of the series' time. */
#define STALE_CHECK_S 3600
/* A database that could not be opened again is tried each so many passes. */
#define REOPEN_PASSES 6

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
	if (!watch->store && watch->cost.passes % REOPEN_PASSES == 0)
		watch->reload = true;
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
	evidence_mappings__work(watch);
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

static void tell_cost(struct watch *watch)
{
	const struct own_cost *cost = &watch->cost;
	uint64_t lost = 0;

	own_cost__read(&watch->cost);
	for (int i = 0; i < WATCH_LOSS_MAX; i++)
		lost += cost->losses[i];
	log_info("%llu passes (%.3f s of CPU time), %llu looks (%.3f s), %llu censuses (%.3f s), "
		 "%llu bursts; %.3f s in all, %.3f s of children; %s",
		 (unsigned long long)cost->passes, 1e-9 * (double)cost->pass_ns,
		 (unsigned long long)cost->looks, 1e-9 * (double)cost->look_ns,
		 (unsigned long long)cost->censuses, 1e-9 * (double)cost->census_ns,
		 (unsigned long long)cost->bursts, 1e-9 * (double)cost->cpu_ns,
		 1e-9 * (double)cost->children_cpu_ns, lost ? "missed:" : "nothing missed");
#define TELL_LOSS(name, text)                \
	if (cost->losses[WATCH_LOSS_##name]) \
		log_info("  %llu %s", (unsigned long long)cost->losses[WATCH_LOSS_##name], text);
	WATCH_LOSSES(TELL_LOSS)
#undef TELL_LOSS
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
	int err = watch__open(&watch);

	if (!err) {
		log_notice("watching every %g s into %s; metrics: %s; killed for memory: %s; "
			   "evidence: %s",
			   options->interval_s, options->db,
			   watch.listener ? listener__url(watch.listener) : "no",
			   watch__oom_text(watch.oom_err),
			   watch.has_burst ? "bursts of tracing" : "no");
		service__ready(&watch.service);
	}
	while (!err && !watch.stop)
		err = turn(&watch);
	if (err)
		log_error("watch ends: %s", strerror(-err));
	service__stopping(&watch.service);
	tell_cost(&watch);
	watch__close(&watch);
	return err;
}
