/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_PROBE_COVERAGE_INTERNAL_H
#define MEMDRIFT_PROBE_COVERAGE_INTERNAL_H

#include <pthread.h>
#include <uthash.h>

#include "probe/coverage.h"
#include "probe/keeper.h"

/* Shared by the files src/probe/coverage*.c alone. */

/* The probes in one file: for one process, or (pid 0) for all. */
struct place_key {
	uint64_t dev;
	uint64_t ino;
	uint64_t pid;
};

struct place {
	UT_hash_handle hh;
	struct place_key key;
	/* Links as the keeper numbers them, 0: none. */
	uint64_t mallocs, go;
	uint64_t returns; /* where they need a link of their own */
	uint32_t malloc_count;
	bool tried;
	/* To attach again: the file, and where. fd -1: there is nothing to attach. */
	int fd;
	struct attach_site *sites;
	size_t site_count;
	struct attach_site *go_sites; /* of Go's own allocator */
	size_t go_site_count;
	bool paused;
	uint64_t attached_ns;
	uint64_t arenas[4]; /* links as well */
	struct row_set rows;
	bool symbol_probed;
	bool usdt_probed;
};

struct coverage {
	/* Places and rows: who traces and who governs are two threads. */
	pthread_mutex_t lock;
	struct tracer *tracer;
	struct keeper *keeper; /* of the tracer */
	struct allocator_cache *cache;
	struct insn_costs costs;
	struct call_cost call_cost; /* all of it known */
	enum coverage_scope scope;
	bool mallocs;
	bool arenas;
	bool pausable;
	struct nesting *nesting;
	struct place *places;
	struct coverage_row rows[CALL_ROWS];
};

/* coverage_sites.c */

/* The row of a key, taken when it is new; -ENOSPC beyond CALL_ROWS. */
int coverage__row(struct coverage *coverage, const char *key, bool frees, enum insn_class cls,
		  double return_ns);
/* Functions that can be probed at all, and their rows; busy ones last. Returns how many. */
size_t coverage__choose_sites(struct coverage *coverage, const struct allocator_object *object,
			      struct attach_site *sites,
			      const struct allocator_function **functions);
/* Sites in place, with what they could not do in their errors; see attach__uprobes. */
int coverage__attach_sites(struct coverage *coverage, struct place *place, pid_t pid,
			   const char *path, struct attach_site *sites, size_t count);

/* coverage_go.c */

/* All of its functions or none: what some of them count would be no one's figure. */
void coverage__attach_go(struct coverage *coverage, struct place *place, const struct go_malloc *go,
			 pid_t pid, const char *path, const char *name, struct coverage_scan *scan);
int coverage__attach_go_sites(struct coverage *coverage, struct place *place, pid_t pid,
			      const char *path, struct attach_site *sites, size_t count);

/* coverage_pause.c */

/* Whether a process's (0: everyone's) allocator probes are paused. */
bool coverage__is_paused(const struct coverage *coverage, uint64_t pid);
/* Takes them off this place; what is needed to attach them again stays. */
void coverage__detach(struct coverage *coverage, struct place *place);
/* Keeps what a later attach needs. path leads to the file that the sites are in. 0 or -errno. */
int coverage__keep_sites(struct place *place, const char *path, const struct attach_site *sites,
			 size_t count);
int coverage__keep_go_sites(struct place *place, const char *path, const struct attach_site *sites,
			    size_t count);
void coverage__drop_sites(struct place *place);

#endif
