// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "golang/go_facts.h"

#include <errno.h>
#include <string.h>
#include <sys/param.h>

#include "base/clock.h"
#include "golang/go_books.h"
#include "golang/go_mappings.h"
#include "golang/go_program.h"
#include "golang/go_spans.h"

/* What reading may take in all, and how often spans are read that move meanwhile. */
#define TIME_MAX_NS    2000000000ull
#define SPAN_TRIES_MAX 8

/* Spans come and go while they are read: in a running process both sums are good to this. */
#define SPANS_DIFFER_MAX(bytes) ((bytes) / 100)

static int64_t to_signed(uint64_t bytes)
{
	return bytes > INT64_MAX ? INT64_MAX : (int64_t)bytes;
}

static void set_unknown(struct go_facts *facts)
{
	int64_t *const figures[] = {
		&facts->heap_inuse_bytes,
		&facts->heap_idle_bytes,
		&facts->heap_released_bytes,
		&facts->heap_alloc_bytes,
		&facts->heap_live_bytes,
		&facts->heap_goal_bytes,
		&facts->stacks_inuse_bytes,
		&facts->sys_bytes,
		&facts->gomemlimit_bytes,
		&facts->gogc_percent,
		&facts->num_gc,
		&facts->span_objects_resident_bytes,
		&facts->span_stacks_resident_bytes,
		&facts->span_idle_resident_bytes,
	};

	for (size_t i = 0; i < sizeof(figures) / sizeof(figures[0]); i++)
		*figures[i] = GO_UNKNOWN;
}

static void take_books(struct go_facts *facts, const struct go_books *books)
{
	facts->known = true;
	facts->invariants = books->invariants;
	facts->heap_inuse_bytes = to_signed(books->heap_in_use);
	facts->heap_released_bytes = to_signed(books->heap_released);
	facts->heap_idle_bytes = to_signed(books->heap_free + books->heap_released);
	facts->heap_alloc_bytes = to_signed(books->total_alloc - books->total_free);
	facts->heap_live_bytes = to_signed(books->heap_marked);
	facts->heap_goal_bytes =
		to_signed(go_books__heap_goal(books, go_version__minor(facts->version)));
	facts->stacks_inuse_bytes = books->in_stacks;
	facts->sys_bytes = to_signed(go_books__sys(books));
	facts->gomemlimit_bytes = books->memory_limit;
	facts->gogc_off = books->gc_percent < 0;
	facts->gogc_percent = books->gc_percent;
	facts->num_gc = books->num_gc;
}

static bool agree(uint64_t counted, uint64_t booked)
{
	return MAX(counted, booked) - MIN(counted, booked) <= SPANS_DIFFER_MAX(booked);
}

/* Goroutines' stacks and what the collector works with are spans as well. */
static bool spans_agree(const struct go_spans *spans, const struct go_books *books)
{
	return agree(spans->object_span_bytes, books->heap_in_use) &&
	       agree(spans->object_span_bytes + spans->manual_span_bytes,
		     books->heap_in_use + (uint64_t)(books->in_stacks + books->in_work_bufs +
						     books->in_ptr_scalar_bits));
}

static void take_spans(struct go_facts *facts, const struct go_spans *spans, uint64_t heap_resident)
{
	uint64_t used = spans->objects_resident_bytes + spans->manual_resident_bytes;

	for (size_t i = 0; i < GO_CLASSES_MAX; i++) {
		if (spans->classes[i].spans)
			facts->classes[facts->class_count++] = spans->classes[i];
	}
	/* What the books count lags behind by the spans that the processors allocate from
	 * (mcache.go, refill), which the spans themselves know. */
	facts->heap_alloc_bytes = MIN(to_signed(spans->object_bytes), facts->heap_inuse_bytes);
	facts->span_objects_resident_bytes = to_signed(spans->objects_resident_bytes);
	facts->span_stacks_resident_bytes = to_signed(spans->manual_resident_bytes);
	if (heap_resident >= used)
		facts->span_idle_resident_bytes = to_signed(heap_resident - used);
}

/* Books of more than is mapped are no books. */
static int read_books(const struct go_program *program, struct subject *subject,
		      struct go_books *books)
{
	int err = go_books__read(program, &subject->memory, books);

	return !err && go_books__sys(books) > subject__mapped(subject) ? -EAGAIN : err;
}

/* Spans, and the books of the same moment. */
static int read_spans(const struct go_program *program, struct subject *subject,
		      struct go_facts *facts, uint64_t heap_resident)
{
	struct go_spans spans;
	struct go_books books;

	for (int i = 0; i < SPAN_TRIES_MAX; i++) {
		int err = go_spans__read(program, subject, &spans);

		if (err == -ESRCH || err == -ENOMEM)
			return err;
		if (err == -EINVAL)
			continue; /* some moved */
		if (err || read_books(program, subject, &books))
			return 0;
		take_books(facts, &books);
		if (spans_agree(&spans, &books)) {
			take_spans(facts, &spans, heap_resident);
			return 0;
		}
	}
	return 0;
}

static const char *explain_failure(int err)
{
	switch (err) {
	case -EAGAIN:
		return "the runtime's own figures did not agree with each other";
	case -EACCES:
		return "its memory may not be read";
	case -ETIME:
	case -EDQUOT:
		return "reading took too long";
	}
	return "the runtime's variables are not in memory (swapped out?)";
}

static int read_figures(const struct go_program *program, struct subject *subject,
			struct go_facts *facts)
{
	struct go_books books;
	int err;

	facts->why_unknown = program->why_unknown;
	if (!program->known)
		return 0;
	err = read_books(program, subject, &books);
	if (!err) {
		facts->why_unknown = NULL;
		take_books(facts, &books);
		return 0;
	}
	facts->why_unknown = explain_failure(err);
	if (err == -EAGAIN)
		facts->invariants = books.invariants;
	return err == -ESRCH ? err : 0;
}

static int read_facts(struct go_program *program, struct subject *subject, struct claims *claims,
		      struct go_facts *out)
{
	uint64_t heap_resident;
	int err = read_figures(program, subject, out);

	if (err)
		return err;
	/* Offsets that gave no figures lead to no mappings either. */
	program->known = out->known;
	err = go_mappings__claim(program, subject, claims, &heap_resident);
	if (err == -ENOMEM)
		return err;
	return out->known ? read_spans(program, subject, out, heap_resident) : 0;
}

int go_facts__read(struct subject *subject, struct claims *claims, struct go_facts *out)
{
	uint64_t deadline_ns = subject->memory.deadline_ns, own_ns = monotonic_ns() + TIME_MAX_NS;
	struct go_program program;
	int err;

	*out = (struct go_facts){.source = "unknown"};
	set_unknown(out);
	err = go_program__read(subject, &program);
	if (err)
		return err;
	memcpy(out->version, program.version, sizeof(out->version));
	out->has_cgo = program.has_cgo;
	if (program.source)
		out->source = program.source;
	subject->memory.deadline_ns = deadline_ns ? MIN(deadline_ns, own_ns) : own_ns;
	err = read_facts(&program, subject, claims, out);
	subject->memory.deadline_ns = deadline_ns;
	return err;
}
