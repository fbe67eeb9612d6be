// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "watch/movers.h"

/* What counts as moved: as much as can matter to a drift of 24 MiB in two weeks. */
#define MOVED_BYTES (1ll << 20)
#define MOVED_SHARE 0.005

/* Of a process whose heaps were not read yet: some ms for its mappings, and by size. 4 GB of glibc
 * heap take 1.5 s. */
#define FIRST_COST_NS         20000000ull
#define FIRST_COST_NS_PER_MIB 400000ull
#define MIB                   (1ll << 20)

/* Every so many turns a new one is next, though others wait. */
#define TURNS_PER_NEW 4

enum { NEW, OTHERS };

void movers__init(struct movers *movers, uint64_t now_ns)
{
	if (!(movers->share > 0))
		movers->share = MOVERS_SHARE_DEFAULT;
	if (!movers->burst_ns)
		movers->burst_ns = MOVERS_BURST_NS_DEFAULT;
	if (!movers->distance_ns)
		movers->distance_ns = MOVERS_DISTANCE_NS_DEFAULT;
	if (!movers->suspect_ns)
		movers->suspect_ns = MOVERS_SUSPECT_NS_DEFAULT;
	movers->filled_ns = now_ns;
	movers->balance_ns = (int64_t)movers->burst_ns;
}

void movers__begin(struct movers *movers, uint64_t now_ns)
{
	double earned = (double)(now_ns - movers->filled_ns) * movers->share;
	double room = (double)movers->burst_ns - (double)movers->balance_ns;

	movers->balance_ns += (int64_t)(earned < room ? earned : room);
	movers->filled_ns = now_ns;
	movers->oldest[NEW] = movers->oldest[OTHERS] = NULL;
}

static bool has_moved(const struct mover *mover)
{
	int64_t by = mover->bytes - mover->census_bytes;
	double enough = MOVED_SHARE * (double)mover->census_bytes;

	if (enough < MOVED_BYTES)
		enough = MOVED_BYTES;
	return (double)by >= enough || (double)-by >= enough;
}

static enum mover_wish find_wish(const struct movers *movers, const struct mover *mover,
				 bool suspect, uint64_t now_ns)
{
	uint64_t ago_ns = now_ns - mover->census_ns;

	if (!mover->has_census)
		return suspect ? MOVER_SUSPECT : MOVER_NEW;
	if (suspect && ago_ns >= movers->suspect_ns)
		return MOVER_SUSPECT;
	/* A wish stays, should the memory go back before its turn: that is a figure as well. */
	if ((mover->wish == MOVER_MOVED || has_moved(mover)) && ago_ns >= movers->distance_ns)
		return MOVER_MOVED;
	return MOVER_NONE;
}

static uint64_t expected_cost_ns(const struct mover *mover)
{
	if (mover->cost_ns)
		return mover->cost_ns;
	return FIRST_COST_NS + (uint64_t)(mover->bytes / MIB) * FIRST_COST_NS_PER_MIB;
}

/* What costs more than can ever be saved up is done when all is saved, and paid off after it. */
static bool can_pay(const struct movers *movers, uint64_t cost_ns)
{
	return movers->balance_ns >= (int64_t)movers->burst_ns ||
	       (movers->balance_ns > 0 && (uint64_t)movers->balance_ns >= cost_ns);
}

/* That new ones come slowly is meant so. */
static void count_deferred(struct movers *movers, struct mover *mover, uint64_t now_ns)
{
	if (mover->deferred || mover->wish == MOVER_NEW || mover->since_ns == now_ns ||
	    can_pay(movers, expected_cost_ns(mover)))
		return;
	mover->deferred = true;
	if (movers->deferred)
		++*movers->deferred;
}

void movers__offer(struct movers *movers, struct mover *mover, int64_t bytes, bool suspect,
		   uint64_t now_ns)
{
	enum mover_wish wish;
	struct mover **oldest;

	mover->bytes = bytes;
	if (mover->running || bytes < 0)
		return;
	wish = find_wish(movers, mover, suspect, now_ns);
	if (wish != MOVER_NONE && mover->wish == MOVER_NONE)
		mover->since_ns = now_ns;
	mover->wish = wish;
	if (wish == MOVER_NONE)
		return;
	count_deferred(movers, mover, now_ns);
	oldest = &movers->oldest[wish == MOVER_NEW ? NEW : OTHERS];
	if (!*oldest || mover->since_ns < (*oldest)->since_ns)
		*oldest = mover;
}

struct mover *movers__next(struct movers *movers)
{
	bool new_first = movers->turns % TURNS_PER_NEW == TURNS_PER_NEW - 1;
	int queue = (new_first && movers->oldest[NEW]) || !movers->oldest[OTHERS] ? NEW : OTHERS;
	struct mover *mover = movers->oldest[queue];
	uint64_t cost_ns;

	if (!mover || movers->running)
		return NULL;
	cost_ns = expected_cost_ns(mover);
	if (!can_pay(movers, cost_ns))
		return NULL;
	movers->oldest[NEW] = movers->oldest[OTHERS] = NULL;
	movers->turns++;
	movers->balance_ns -= (int64_t)cost_ns;
	movers->running = true;
	movers->running_cost_ns = cost_ns;
	mover->census_bytes = mover->bytes;
	mover->running = true;
	mover->deferred = false;
	mover->wish = MOVER_NONE;
	return mover;
}

void movers__done(struct movers *movers, struct mover *mover, uint64_t cost_ns, uint64_t now_ns)
{
	movers->balance_ns += (int64_t)movers->running_cost_ns - (int64_t)cost_ns;
	if (movers->balance_ns > (int64_t)movers->burst_ns)
		movers->balance_ns = (int64_t)movers->burst_ns;
	movers->running = false;
	if (!mover)
		return;
	mover->cost_ns = cost_ns;
	mover->census_ns = now_ns;
	mover->has_census = true;
	mover->running = false;
}
