// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/child.h"
#include "base/clock.h"
#include "stack/source_lines_internal.h"

/*
 * For one object. libLLVM's debug file (1.5 GB unpacked) takes 4 s. Files are mapped, which counts
 * as address space; compressed sections are unpacked, 1000:1 when somebody wants that.
 */
static const struct child_limits limits = {.cpu_s = 20, .memory_bytes = 3ull << 30};
#define WALL_NS_MAX 40000000000ull

struct answer {
	struct source_line lines[SOURCE_LINES_MAX];
	char texts[SOURCE_LINES_MAX][2][LINES_TEXT_MAX + 1];
};

static int receive_text(int fd, char *text, uint32_t bytes, uint64_t deadline_ns)
{
	if (bytes > LINES_TEXT_MAX)
		return -EINVAL;
	text[bytes] = '\0';
	return child__receive(fd, text, bytes, deadline_ns);
}

/* The child read what is hostile: it is not trusted either. */
static int receive_place(int fd, size_t n, struct answer *answer, struct lines_head *head,
			 uint64_t deadline_ns)
{
	int err = child__receive(fd, head, sizeof(*head), deadline_ns);

	if (!err && (head->at >= n || !head->count || head->count > SOURCE_LINES_MAX))
		return -EINVAL;
	for (uint32_t i = 0; !err && i < head->count; i++) {
		char *function = answer->texts[i][0], *source = answer->texts[i][1];
		struct lines_entry entry;

		err = child__receive(fd, &entry, sizeof(entry), deadline_ns);
		if (!err)
			err = receive_text(fd, function, entry.function_bytes, deadline_ns);
		if (!err)
			err = receive_text(fd, source, entry.source_bytes, deadline_ns);
		answer->lines[i] = (struct source_line){function, source, entry.line};
	}
	return err;
}

int source_lines__ask(const struct lines_request *request, const struct child_limits *within,
		      uint64_t wall_ns, source_line_fn fn, void *ctx)
{
	uint64_t deadline_ns = monotonic_ns() + wall_ns;
	struct answer *answer = malloc(sizeof(*answer));
	struct lines_head head;
	struct child child;
	size_t found = 0;
	int err;

	if (!answer)
		return -ENOMEM;
	err = child__start(&child, within, request->fds, request->fd_count, source_lines__answer,
			   (void *)request);
	/* At most one answer a place: what sends more is not ours any longer. */
	while (!err && found < request->n) {
		err = receive_place(child.fd, request->n, answer, &head, deadline_ns);
		if (err)
			break;
		fn(ctx, head.at, answer->lines, head.count);
		found++;
	}
	child__stop(&child);
	free(answer);
	return found ? 0 : -ENOENT;
}

int source_lines__read(const int *fds, size_t fd_count, const uint64_t *vaddrs, size_t n,
		       source_line_fn fn, void *ctx)
{
	const struct lines_request request = {fds, fd_count, vaddrs, n};

	return source_lines__ask(&request, &limits, WALL_NS_MAX, fn, ctx);
}
