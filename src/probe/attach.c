// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/attach.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "probe/seccomp_trial.h"
#include "probe/session.h"

/* From include/uapi/linux/bpf.h of 6.6; Debian 12's headers are older. */
#define LINK_CREATE          28
#define TRACE_UPROBE_MULTI   48
#define TRACE_UPROBE_SESSION 57
#define UPROBE_MULTI_RETURN  1u

struct multi_attr {
	uint32_t prog_fd;
	uint32_t target_fd;
	uint32_t attach_type;
	uint32_t flags;
	uint64_t path;
	uint64_t offsets;
	uint64_t ref_ctr_offsets;
	uint64_t cookies;
	uint32_t count;
	uint32_t multi_flags;
	uint32_t pid;
	uint32_t reserved;
};

struct probe_link {
	int *fds;                /* of multi links */
	struct bpf_link **links; /* of perf links */
	size_t fd_count, link_count;
};

static bool kernel_version(int *major, int *minor)
{
	struct utsname uts;

	return !uname(&uts) && sscanf(uts.release, "%d.%d", major, minor) == 2;
}

bool attach__multi_usable(void)
{
	int major, minor;

	return kernel_version(&major, &minor) && (major > 6 || (major == 6 && minor >= 10));
}

bool attach__return_probes_safe(void)
{
	static int verdict = -1;
	int major, minor;

	if (!kernel_version(&major, &minor))
		return false;
	if (major < 6 || (major == 6 && minor < 11) || major > 6 || minor >= 14)
		return true;
	if (verdict < 0)
		verdict = seccomp_trial__run() == 1;
	return verdict;
}

void attach__choose_type(struct bpf_program *prog)
{
	if (attach__multi_usable())
		bpf_program__set_expected_attach_type(prog, TRACE_UPROBE_MULTI);
}

int attach__choose_session(struct bpf_program *prog)
{
	int major, minor;

	if (!kernel_version(&major, &minor) || major < 6 || (major == 6 && minor < 13))
		return -ENOTSUP;
	bpf_program__set_expected_attach_type(prog, TRACE_UPROBE_SESSION);
	return session__resolve_cookie(prog);
}

/* A descriptor or a negative errno. */
static int open_multi(const struct bpf_program *prog, enum attach_where where, pid_t pid,
		      const char *path, const struct attach_site *sites, size_t count)
{
	uint64_t *offsets = calloc(count, 2 * sizeof(*offsets));
	struct multi_attr attr = {
		.prog_fd = (uint32_t)bpf_program__fd(prog),
		.attach_type = (uint32_t)bpf_program__get_expected_attach_type(prog),
		.path = (uint64_t)(uintptr_t)path,
		.offsets = (uint64_t)(uintptr_t)offsets,
		.cookies = (uint64_t)(uintptr_t)(offsets + count),
		.count = (uint32_t)count,
		.multi_flags = where == ATTACH_RETURN ? UPROBE_MULTI_RETURN : 0,
		.pid = pid == ATTACH_ALL ? 0 : (uint32_t)pid,
	};
	int fd;

	if (!offsets)
		return -ENOMEM;
	for (size_t i = 0; i < count; i++) {
		offsets[i] = sites[i].offset;
		offsets[count + i] = sites[i].cookie;
	}
	fd = (int)syscall(SYS_bpf, LINK_CREATE, &attr, offsetof(struct multi_attr, reserved));
	if (fd < 0)
		fd = -errno;
	free(offsets);
	return fd;
}

static void attach_multi(const struct bpf_program *prog, enum attach_where where, pid_t pid,
			 const char *path, struct attach_site *sites, size_t count,
			 struct probe_link *link)
{
	int fd = open_multi(prog, where, pid, path, sites, count);

	if (fd >= 0) {
		link->fds[link->fd_count++] = fd;
		return;
	}
	if (count == 1) {
		sites->error = fd == -524 /* ENOTSUPP of the kernel */ ? -ENOTSUP : fd;
		return;
	}
	/* One refused site refuses them all: one by one the others get in. */
	for (size_t i = 0; i < count; i++)
		attach_multi(prog, where, pid, path, &sites[i], 1, link);
}

static void attach_perf(const struct bpf_program *prog, enum attach_where where, pid_t pid,
			const char *path, struct attach_site *sites, size_t count,
			struct probe_link *link)
{
	for (size_t i = 0; i < count; i++) {
		LIBBPF_OPTS(bpf_uprobe_opts, opts, .bpf_cookie = sites[i].cookie,
			    .retprobe = where == ATTACH_RETURN);
		struct bpf_link *one =
			bpf_program__attach_uprobe_opts(prog, pid, path, sites[i].offset, &opts);

		if (one)
			link->links[link->link_count++] = one;
		else
			sites[i].error = errno == 524 ? -ENOTSUP : -errno;
	}
}

static bool is_for_multi(const struct bpf_program *prog)
{
	enum bpf_attach_type type = bpf_program__get_expected_attach_type(prog);

	return type == TRACE_UPROBE_MULTI || type == TRACE_UPROBE_SESSION;
}

int attach__uprobes(const struct bpf_program *prog, enum attach_where where, pid_t pid,
		    const char *path, struct attach_site *sites, size_t count,
		    struct probe_link **out)
{
	struct probe_link *link = calloc(1, sizeof(*link));

	*out = NULL;
	if (!link)
		return -ENOMEM;
	link->fds = calloc(count, sizeof(*link->fds));
	link->links = calloc(count, sizeof(struct bpf_link *));
	for (size_t i = 0; i < count; i++)
		sites[i].error = 0;
	if (link->fds && link->links && is_for_multi(prog))
		attach_multi(prog, where, pid, path, sites, count, link);
	else if (link->fds && link->links)
		attach_perf(prog, where, pid, path, sites, count, link);
	if (link->fd_count || link->link_count) {
		*out = link;
		return 0;
	}
	probe_link__close(link);
	return count && sites[0].error ? sites[0].error : -ENOMEM;
}

static void *destroy_link(void *link)
{
	bpf_link__destroy(link);
	return NULL;
}

void probe_link__close(struct probe_link *link)
{
	pthread_t *threads;

	if (!link)
		return;
	for (size_t i = 0; i < link->fd_count; i++)
		close(link->fds[i]);
	/*
	 * Each close of a perf link waits for a grace period, and on 6.1 they wait one after the
	 * other, 80 ms each. The sites at the end are the busy ones (see coverage.c): they first.
	 */
	threads = calloc(link->link_count + 1, sizeof(*threads));
	for (size_t i = link->link_count; i-- > 0;)
		if (!threads || pthread_create(&threads[i], NULL, destroy_link, link->links[i])) {
			destroy_link(link->links[i]);
			if (threads)
				threads[i] = 0;
		}
	for (size_t i = 0; threads && i < link->link_count; i++)
		if (threads[i])
			pthread_join(threads[i], NULL);
	free(threads);
	free(link->fds);
	free(link->links);
	free(link);
}

int attach__usdt(const struct bpf_program *prog, pid_t pid, const char *path, const char *name,
		 struct probe_link **out)
{
	struct probe_link *link = calloc(1, sizeof(*link));
	int err = -ENOMEM;

	*out = NULL;
	if (link)
		link->links = calloc(1, sizeof(struct bpf_link *));
	if (link && link->links) {
		link->links[0] = bpf_program__attach_usdt(prog, pid, path, "libc", name, NULL);
		err = link->links[0] ? 0 : -errno;
	}
	if (err) {
		probe_link__close(link);
		return err;
	}
	link->link_count = 1;
	*out = link;
	return 0;
}
