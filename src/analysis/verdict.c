// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "analysis/advice_internal.h"
#include "base/units.h"

/* Components that one allocator or runtime holds together. */
enum holder {
	HOLDER_MALLOC,
	HOLDER_GO,
	HOLDER_ALLOCATOR, /* another one: one holder, whichever has most */
	HOLDER_STACKS,
	HOLDER_FILES,
	HOLDER_SHMEM,
	HOLDER_LARGE,
	HOLDER_OTHER,
	HOLDERS
};

struct holding {
	uint64_t bytes;
	enum ledger_component main;
	uint64_t main_bytes;
};

static const enum holder holder_of[LEDGER_COMPONENTS] = {
	[LEDGER_MAIN_STACK] = HOLDER_STACKS,
	[LEDGER_THREAD_STACKS] = HOLDER_STACKS,
	[LEDGER_GO_HEAP] = HOLDER_GO,
	[LEDGER_GO_RUNTIME] = HOLDER_GO,
	[LEDGER_PYMALLOC] = HOLDER_ALLOCATOR,
	[LEDGER_V8] = HOLDER_ALLOCATOR,
	[LEDGER_JEMALLOC] = HOLDER_ALLOCATOR,
	[LEDGER_TCMALLOC] = HOLDER_ALLOCATOR,
	[LEDGER_MIMALLOC] = HOLDER_ALLOCATOR,
	[LEDGER_MUSL] = HOLDER_ALLOCATOR,
	[LEDGER_PARTITION_ALLOC] = HOLDER_ALLOCATOR,
	[LEDGER_MALLOC_ARENAS] = HOLDER_MALLOC,
	[LEDGER_MALLOC_MMAPPED] = HOLDER_MALLOC,
	[LEDGER_BRK_HEAP] = HOLDER_MALLOC,
	[LEDGER_BINARY] = HOLDER_FILES,
	[LEDGER_FILE] = HOLDER_FILES,
	[LEDGER_SHMEM] = HOLDER_SHMEM,
	[LEDGER_LARGE_ANONYMOUS] = HOLDER_LARGE,
	[LEDGER_OTHER_ANONYMOUS] = HOLDER_OTHER,
	[LEDGER_UNKNOWN] = HOLDER_OTHER,
};

/* Text that is added to; what does not fit is cut. */
struct words {
	char *text;
	size_t size, len;
};

static __attribute__((format(printf, 2, 3))) void say(struct words *w, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(w->text + w->len, w->size - w->len, format, args);
	va_end(args);
	if (n > 0)
		w->len = (size_t)n < w->size - w->len ? w->len + (size_t)n : w->size - 1;
}

static enum holder find_main(const struct explanation *e, struct holding *holdings)
{
	enum holder most = HOLDER_MALLOC;

	memset(holdings, 0, HOLDERS * sizeof(*holdings));
	for (enum ledger_component c = 0; c < LEDGER_COMPONENTS; c++) {
		enum holder h = holder_of[c];
		uint64_t bytes = resident_of(e, c);

		if (h == HOLDER_ALLOCATOR) {
			if (bytes > holdings[h].bytes)
				holdings[h].bytes = bytes;
		} else {
			holdings[h].bytes += bytes;
		}
		if (bytes >= holdings[h].main_bytes) {
			holdings[h].main_bytes = bytes;
			holdings[h].main = c;
		}
	}
	for (enum holder h = 0; h < HOLDERS; h++)
		if (holdings[h].bytes > holdings[most].bytes)
			most = h;
	return most;
}

static const char *holder_name(const struct explanation *e, enum holder holder,
			       enum ledger_component main)
{
	static const char *const names[HOLDERS] = {
		[HOLDER_GO] = "The Go runtime",
		[HOLDER_STACKS] = "Stacks",
		[HOLDER_FILES] = "Mapped programs, libraries and files",
		[HOLDER_SHMEM] = "Shared memory",
		[HOLDER_LARGE] = "Mappings in multiples of 64 MB",
		[HOLDER_OTHER] = "Mappings of the program's own",
	};

	if (holder == HOLDER_MALLOC)
		return e->has_glibc ? "Glibc's malloc" : "The brk heap";
	return holder == HOLDER_ALLOCATOR ? ledger_component__name(main) : names[holder];
}

static bool is_plural(enum holder holder)
{
	return holder == HOLDER_STACKS || holder == HOLDER_FILES || holder == HOLDER_LARGE ||
	       holder == HOLDER_OTHER;
}

/* ---- one for each holder: in use or free, bounded or not ---------------------------------------
 */

/* True when most of it is free: then it is fragmentation that one sees. */
static bool say_malloc(struct words *w, const struct explanation *e)
{
	const struct glibc_census *c = &e->glibc;
	char used[UNIT_TEXT_MAX], unused[UNIT_TEXT_MAX], apart[UNIT_TEXT_MAX];

	if (!e->has_glibc) {
		say(w, ", whose own books could not be read.");
		return false;
	}
	say(w, ": %s free inside %zu arena%s, %s in use", units_format_bytes(unused, c->free_bytes),
	    c->arena_count, c->arena_count == 1 ? "" : "s",
	    units_format_bytes(used, c->in_use_bytes));
	if (c->mmapped_bytes)
		say(w, ", %s in %" PRIu64 " chunk%s of their own mapping",
		    units_format_bytes(apart, c->mmapped_bytes), c->mmapped_chunks,
		    c->mmapped_chunks == 1 ? "" : "s");
	say(w, ".");
	if (c->free_bytes <= c->in_use_bytes + c->mmapped_bytes)
		return false;
	say(w, " Most of it is memory that was freed and not returned: fragmentation, not a leak");
	if (c->arena_limit > 0 && c->arena_count >= (uint64_t)c->arena_limit)
		say(w, "; no more arenas can come (limit %" PRId64 " from %s)", c->arena_limit,
		    c->limit_source);
	else if (c->arena_limit > 0)
		say(w, "; it has %zu of at most %" PRId64 " arenas", c->arena_count,
		    c->arena_limit);
	say(w, ".");
	return true;
}

static bool say_go(struct words *w, const struct explanation *e)
{
	const struct go_facts *go = &e->go;
	char used[UNIT_TEXT_MAX], idle[UNIT_TEXT_MAX], live[UNIT_TEXT_MAX], limit[UNIT_TEXT_MAX];
	int64_t idle_bytes = go->heap_idle_bytes - go->heap_released_bytes;

	if (!has_go_figures(e)) {
		say(w, ", whose own figures could not be read.");
		return false;
	}
	say(w, ": %s in use", units_format_bytes(used, (uint64_t)go->heap_inuse_bytes));
	if (go->heap_live_bytes >= 0)
		say(w, " (%s live)", units_format_bytes(live, (uint64_t)go->heap_live_bytes));
	say(w, " and %s idle, not returned.",
	    units_format_bytes(idle, idle_bytes > 0 ? (uint64_t)idle_bytes : 0));
	if (go->gomemlimit_bytes > 0 && go->gomemlimit_bytes != INT64_MAX)
		say(w, " GOMEMLIMIT bounds it at %s.",
		    units_format_bytes(limit, (uint64_t)go->gomemlimit_bytes));
	else if (go->heap_live_bytes > 0 && go_total_bytes(go) / 2 > go->heap_live_bytes)
		say(w, " Most of it is garbage or idle, not live.");
	return idle_bytes > go->heap_inuse_bytes;
}

/* What the structures of the allocator that holds a component tell. */
static const struct allocator_facts *facts_of(const struct explanation *e,
					      enum ledger_component component)
{
	const struct allocators *all = &e->allocators;

	for (size_t i = 0; i < all->other_count && i < ALLOCATORS_MAX; i++)
		if (!strcmp(all->others[i].name, ledger_component__name(component)))
			return &all->others[i];
	return NULL;
}

static bool say_allocator(struct words *w, const struct explanation *e, enum ledger_component main)
{
	const struct jemalloc_facts *je = &e->allocators.jemalloc;
	const struct allocator_facts *facts = facts_of(e, main);
	char used[UNIT_TEXT_MAX], active[UNIT_TEXT_MAX], dirty[UNIT_TEXT_MAX];
	bool mostly_free = false;

	if (main == LEDGER_JEMALLOC && e->allocators.has_jemalloc) {
		say(w, ": %s allocated in %s of active pages, and %s in unused ones not returned.",
		    units_format_bytes(used, je->allocated_bytes),
		    units_format_bytes(active, je->active_bytes),
		    units_format_bytes(dirty, je->dirty_bytes + je->muzzy_bytes));
		mostly_free = je->allocated_bytes < je->active_bytes / 2 + je->dirty_bytes / 2;
	} else if (facts && facts->has_in_use) {
		say(w, ": %s in use.", units_format_bytes(used, facts->in_use_bytes));
		mostly_free = facts->in_use_bytes < resident_of(e, main) / 2;
	} else {
		say(w, ".");
	}
	if (mostly_free)
		say(w, " Most of it is memory that was freed and not returned: not a leak.");
	return mostly_free;
}

static bool say_rest(struct words *w, const struct explanation *e, enum holder holder)
{
	char kept[48] = "";

	switch (holder) {
	case HOLDER_STACKS:
		if (e->thread_stacks_cached)
			snprintf(kept, sizeof(kept), ", and of %" PRIu64 " that ended",
				 e->thread_stacks_cached);
		say(w,
		    ", those of %" PRIu32 " thread%s%s: a stack keeps what was ever touched of it.",
		    e->threads, e->threads == 1 ? "" : "s", kept);
		return false;
	case HOLDER_FILES:
		say(w, ": the kernel can drop what was not changed. Not a leak.");
		return true;
	case HOLDER_SHMEM:
		say(w, ", which other processes may share, too: bounded by how large the segments "
		       "were made.");
		return true;
	case HOLDER_LARGE:
		say(w, ", outside all allocators, as caches like fastcache have them: a cache is "
		       "bounded by its configured size, and returns nothing.");
		return false;
	default:
		say(w, ": no allocator's books tell what of it is in use.");
		return false;
	}
}

void verdict__decide(const struct explanation *explanation, struct verdict *out)
{
	const struct explanation *e = explanation;
	struct holding holdings[HOLDERS];
	enum holder holder = find_main(e, holdings);
	struct words w = {.text = out->text, .size = sizeof(out->text)};
	char bytes[UNIT_TEXT_MAX], all[UNIT_TEXT_MAX];
	bool told = false;

	memset(out, 0, sizeof(*out));
	out->main = holdings[holder].main;
	if (!e->ledger.resident_bytes) {
		say(&w, "Nothing is resident.");
		return;
	}
	say(&w, "%s hold%s %s of %s (%.0f %%)", holder_name(e, holder, out->main),
	    is_plural(holder) ? "" : "s", units_format_bytes(bytes, holdings[holder].bytes),
	    units_format_bytes(all, e->ledger.resident_bytes),
	    100.0 * (double)holdings[holder].bytes / (double)e->ledger.resident_bytes);
	if (holder == HOLDER_MALLOC)
		told = say_malloc(&w, e);
	else if (holder == HOLDER_GO)
		told = say_go(&w, e);
	else if (holder == HOLDER_ALLOCATOR)
		told = say_allocator(&w, e, out->main);
	else
		told = say_rest(&w, e, holder);
	if (e->has_go && holder != HOLDER_GO)
		say(&w, " The Go runtime has %s.",
		    units_format_bytes(bytes, holdings[HOLDER_GO].bytes));
	if (!told)
		say(&w,
		    " Whether it still grows one look cannot tell: memdrift trace --live -p "
		    "%" PRIu32 " can.",
		    e->pid);
}
