// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/on_incident.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "watch/command.h"

#define NS_PER_S 1000000000ull

struct on_incident {
	char *command;
	uint64_t timeout_ns;
	int epoll_fd;
	int timer_fd;                                    /* set to the earliest deadline */
	struct command running[ON_INCIDENT_RUNNING_MAX]; /* pid 0: free */
	/* A ring. */
	struct command_input waiting[ON_INCIDENT_WAITING_MAX];
	size_t first, waiting_count;
	struct on_incident_counts counts;
};

static int watch_fd(const struct on_incident *on_incident, int fd)
{
	struct epoll_event event = {.events = EPOLLIN};

	return epoll_ctl(on_incident->epoll_fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

static int open_fds(struct on_incident *on_incident)
{
	on_incident->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	on_incident->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (on_incident->epoll_fd < 0 || on_incident->timer_fd < 0)
		return -errno;
	return watch_fd(on_incident, on_incident->timer_fd);
}

int on_incident__new(struct on_incident **out, const char *command, double timeout_s)
{
	struct on_incident *on_incident = calloc(1, sizeof(*on_incident));
	int err;

	*out = NULL;
	if (!on_incident)
		return -ENOMEM;
	on_incident->epoll_fd = on_incident->timer_fd = -1;
	if (timeout_s <= 0)
		timeout_s = ON_INCIDENT_TIMEOUT_S;
	on_incident->timeout_ns = (uint64_t)(timeout_s * NS_PER_S);
	on_incident->command = strdup(command);
	err = on_incident->command ? open_fds(on_incident) : -ENOMEM;
	if (err) {
		on_incident__free(on_incident);
		return err;
	}
	*out = on_incident;
	return 0;
}

static struct command *find_free(struct on_incident *on_incident)
{
	for (size_t i = 0; i < ON_INCIDENT_RUNNING_MAX; i++)
		if (!on_incident->running[i].pid)
			return &on_incident->running[i];
	return NULL;
}

static void set_timer(struct on_incident *on_incident)
{
	struct itimerspec when = {0};
	uint64_t first_ns = 0;

	for (size_t i = 0; i < ON_INCIDENT_RUNNING_MAX; i++) {
		const struct command *command = &on_incident->running[i];

		if (command->pid && !command->timed_out &&
		    (!first_ns || command->deadline_ns < first_ns))
			first_ns = command->deadline_ns;
	}
	when.it_value.tv_sec = (time_t)(first_ns / NS_PER_S);
	when.it_value.tv_nsec = (long)(first_ns % NS_PER_S);
	/* All zero stops it. */
	timerfd_settime(on_incident->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void start(struct on_incident *on_incident, struct command *command,
		  struct command_input *input)
{
	int err = command__start(command, on_incident->command, input,
				 monotonic_ns() + on_incident->timeout_ns);

	if (!err) {
		err = watch_fd(on_incident, command->pidfd);
		if (err)
			command__kill(command);
	}
	if (err) {
		on_incident->counts.failed++;
		log_warning("incident %lld: cannot start the command of --on-incident: %s",
			    (long long)input->id, strerror(-err));
	} else {
		on_incident->counts.running++;
	}
	command_input__free(input);
}

int on_incident__add(struct on_incident *on_incident, const struct incident *incident,
		     const char *line)
{
	struct command *command = find_free(on_incident);
	struct command_input input;
	size_t at;
	int err;

	if (!command && on_incident->waiting_count == ON_INCIDENT_WAITING_MAX) {
		on_incident->counts.dropped++;
		log_warning("incident %lld: the command of --on-incident is left out: %d wait",
			    (long long)incident->id, ON_INCIDENT_WAITING_MAX);
		return -ENOBUFS;
	}
	err = command_input__make(&input, incident, line);
	if (err) {
		on_incident->counts.dropped++;
		return err;
	}
	if (command) {
		start(on_incident, command, &input);
		set_timer(on_incident);
		return 0;
	}
	at = (on_incident->first + on_incident->waiting_count) % ON_INCIDENT_WAITING_MAX;
	on_incident->waiting[at] = input;
	on_incident->waiting_count++;
	return 0;
}

int on_incident__fd(const struct on_incident *on_incident)
{
	return on_incident->epoll_fd;
}

/* What became of one that has ended. */
static void count(struct on_incident *on_incident, const struct command *command, int status)
{
	long long id = command->id;

	on_incident->counts.running--;
	if (command->timed_out) {
		on_incident->counts.timed_out++;
		log_warning("incident %lld: the command of --on-incident was killed after %.3g s",
			    id, (double)on_incident->timeout_ns / NS_PER_S);
	} else if (status) {
		on_incident->counts.failed++;
		log_warning("incident %lld: the command of --on-incident ended with %s %d", id,
			    status > 0 ? "status" : "signal", status > 0 ? status : -status);
	} else {
		on_incident->counts.succeeded++;
	}
}

static void start_waiting(struct on_incident *on_incident)
{
	struct command *command;

	while (on_incident->waiting_count && (command = find_free(on_incident))) {
		struct command_input *input = &on_incident->waiting[on_incident->first];

		on_incident->first = (on_incident->first + 1) % ON_INCIDENT_WAITING_MAX;
		on_incident->waiting_count--;
		start(on_incident, command, input);
	}
}

void on_incident__work(struct on_incident *on_incident)
{
	uint64_t now_ns = monotonic_ns();

	for (size_t i = 0; i < ON_INCIDENT_RUNNING_MAX; i++) {
		struct command *command = &on_incident->running[i], ended;
		int status;

		if (!command->pid)
			continue;
		if (!command->timed_out && now_ns >= command->deadline_ns) {
			command->timed_out = true;
			command__signal(command);
		}
		ended = *command;
		if (command__reap(command, &status))
			count(on_incident, &ended, status);
	}
	start_waiting(on_incident);
	set_timer(on_incident);
}

void on_incident__counts(const struct on_incident *on_incident, struct on_incident_counts *out)
{
	*out = on_incident->counts;
	out->waiting = on_incident->waiting_count;
}

void on_incident__free(struct on_incident *on_incident)
{
	if (!on_incident)
		return;
	for (size_t i = 0; i < ON_INCIDENT_RUNNING_MAX; i++)
		if (on_incident->running[i].pid)
			command__kill(&on_incident->running[i]);
	for (; on_incident->waiting_count; on_incident->waiting_count--) {
		command_input__free(&on_incident->waiting[on_incident->first]);
		on_incident->first = (on_incident->first + 1) % ON_INCIDENT_WAITING_MAX;
	}
	if (on_incident->timer_fd >= 0)
		close(on_incident->timer_fd);
	if (on_incident->epoll_fd >= 0)
		close(on_incident->epoll_fd);
	free(on_incident->command);
	free(on_incident);
}
