// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Go's own allocator: probes beside those of C's, on entries alone. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "ingest/programs.h"
#include "ingest/tracer.h"
#include "probe/coverage_internal.h"

/* Sites of Go's own allocator that can be probed. Returns how many. */
static size_t choose_go_sites(struct coverage *coverage, const struct go_malloc *go,
			      struct attach_site *sites)
{
	size_t n = 0;

	for (size_t i = 0; i < go->count; i++) {
		const struct go_malloc_function *function = &go->functions[i];
		bool hands_on = !strcmp(function->name, GO_MALLOC_KEY);
		int row = function->ready ? coverage__row(coverage, GO_MALLOC_KEY, false,
							  function->site.cls, 0)
					  : -ENOTSUP;

		if (row < 0)
			continue;
		sites[n].offset = function->site.offset;
		sites[n++].cookie = GO_COOKIE_MAKE(row, go->headers, hands_on ? go->handed_max : 0);
	}
	return n;
}

int coverage__attach_go_sites(struct coverage *coverage, struct place *place, pid_t pid,
			      const char *path, struct attach_site *sites, size_t count)
{
	return keeper__attach(coverage->keeper,
			      tracer__programs(coverage->tracer)->progs.go_malloc_enter,
			      ATTACH_HERE, pid, path, sites, count, &place->go);
}

void coverage__attach_go(struct coverage *coverage, struct place *place, const struct go_malloc *go,
			 pid_t pid, const char *path, const char *name, struct coverage_scan *scan)
{
	struct attach_site sites[GO_FUNCTIONS_MAX] = {{0}};
	size_t n = choose_go_sites(coverage, go, sites);
	bool paused = coverage__is_paused(coverage, place->key.pid);
	char printable[256];
	int err = 0;

	text_printable(printable, sizeof(printable), name);
	if (go->stack_args) {
		log_warning("cannot count Go's allocations in %s: it was built by a Go before "
			    "1.17, which passes sizes on the stack",
			    printable);
		scan->failed++;
		return;
	}
	if (!n || n < go->count)
		err = -ENOTSUP;
	for (size_t i = 0; i < n; i++)
		sites[i].error = 0;
	/* Paused: the next burst puts them in place. */
	if (!err && !paused)
		err = coverage__attach_go_sites(coverage, place, pid, path, sites, n);
	if (err == -ESRCH) {
		place->tried = false;
		return;
	}
	for (size_t i = 0; i < n && !err; i++)
		err = sites[i].error;
	if (err) {
		log_warning(
			"cannot probe Go's allocator in %s: %s; its allocations are not counted",
			printable, strerror(-err));
		keeper__close_later(coverage->keeper, &place->go);
		scan->failed++;
		return;
	}
	place->paused = paused;
	place->malloc_count += paused ? 0 : (uint32_t)n;
	scan->attached += (uint32_t)n;
	if (coverage->pausable)
		coverage__keep_go_sites(place, path, sites, n);
	row_set__add(&place->rows, GO_COOKIE_ROW(sites[0].cookie));
	place->attached_ns = monotonic_ns();
}
