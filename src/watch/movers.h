/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_WATCH_MOVERS_H
#define MEMDRIFT_WATCH_MOVERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Which processes get a census of their heaps, and when, so that all of them together stay within a
 * share of one CPU. A census is wanted of a process
 *
 *   that moved      resident + swapped-out memory by max(1 MiB, 0.5 %) since its last census
 *   under suspicion an incident is open or it was judged to grow, at a regular distance
 *   that is new     once
 *
 * Who has wanted one for longest is next; new ones wait for the others but for every fourth turn,
 * so that a thousand of them at the start do not keep a leak waiting, nor are they kept for ever.
 * Times are of one clock, in ns, that never goes back (monotonic_ns).
 */
enum mover_wish { MOVER_NONE, MOVER_NEW, MOVER_MOVED, MOVER_SUSPECT };

/* Of a process; zeroed at first. The caller keeps it. */
struct mover {
	enum mover_wish wish;
	bool has_census, running;
	bool deferred;        /* counted as put off, until its turn comes */
	uint64_t since_ns;    /* of the wish */
	uint64_t census_ns;   /* when the last one ended */
	uint64_t cost_ns;     /* CPU time of the last one; 0 unknown */
	int64_t census_bytes; /* resident + swapped out when the last one began */
	int64_t bytes;        /* now */
};

#define MOVERS_SHARE_DEFAULT 0.004 /* of one CPU */
/* Saved up at most, so that a census of a large heap (4 GB take 1.5 s) is not far off. */
#define MOVERS_BURST_NS_DEFAULT 1000000000ull

/* Of wall time: of what moves all the time an hour has a dozen, which is what history keeps. */
#define MOVERS_DISTANCE_NS_DEFAULT (300ull * 1000000000)
#define MOVERS_SUSPECT_NS_DEFAULT  (600ull * 1000000000)

struct movers {
	double share;         /* of one CPU; 0: MOVERS_SHARE_DEFAULT */
	uint64_t burst_ns;    /* 0: MOVERS_BURST_NS_DEFAULT */
	uint64_t distance_ns; /* between censuses of one process that moves */
	uint64_t suspect_ns;  /* and of one under suspicion */
	uint64_t *deferred;   /* counts wishes that had to wait for the budget */
	/* Private. */
	int64_t balance_ns;
	uint64_t filled_ns;
	uint32_t turns;
	bool running;
	uint64_t running_cost_ns; /* as expected */
	struct mover *oldest[2];  /* of this round: new ones, others */
};

/* Options are set, the rest is zero. */
void movers__init(struct movers *movers, uint64_t now_ns);

/* A round: begin, offer each process (bytes: resident + swapped out, negative: unknown), next. */
void movers__begin(struct movers *movers, uint64_t now_ns);
void movers__offer(struct movers *movers, struct mover *mover, int64_t bytes, bool suspect,
		   uint64_t now_ns);
/*
 * Whose turn it is, marked as running, its expected cost taken from the budget; NULL: nobody's, the
 * budget is spent, or the last one is not done: one runs at a time. A process that is to be dropped
 * after it was offered is to be dropped after next as well.
 */
struct mover *movers__next(struct movers *movers);
/* The census that runs is over, well or not. mover: whose it was, NULL when that one is gone.
 * cost_ns: CPU time that it took. */
void movers__done(struct movers *movers, struct mover *mover, uint64_t cost_ns, uint64_t now_ns);

#endif
