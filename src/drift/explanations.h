/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_DRIFT_EXPLANATIONS_H
#define MEMDRIFT_DRIFT_EXPLANATIONS_H

#include "drift/fit.h"
#include "drift/outlook.h"

/* The best explanation of each kind, to choose noise and steps by. */
enum pick_kind { PICK_NONE, PICK_LINE, PICK_AGE, PICK_OTHER, PICKS };
struct pick {
	size_t count; /* of terms */
	struct term terms[TERMS_MAX];
	double log_weight;
	double onset_h; /* where its last term begins; of a line */
	bool has_line;
};

/* One explanation. */
struct claim {
	const struct term *terms;
	size_t count;
	double log_prior;
	double onset_h;
	bool grows; /* has growth in it, even if that has ended */
	enum pick_kind kind;
	bool has_line; /* its last term is one */
};

/* Sums over explanations, each by its weight; log_top is taken out of the weights. */
struct tally {
	struct pick *picks; /* NULL: not asked for */
	double line;        /* MiB of growth from which on it is drift */
	double log_top;     /* the largest weight so far */
	double all, drifts, settled, any_slope;
	/* Of the part that drifts. */
	double slope, slope2, growth, onset, best_onset, best_drift;
};

void tally__init(struct tally *tally, double line_mib);
void tally__add(struct tally *tally, const struct fit *fit, const struct design *design,
		const struct claim *claim);
void tally__finish(const struct tally *tally, struct outlook *out);

/* All explanations under one noise. */
void explanations__weigh(const struct fit *fit, const struct design *design, struct tally *tally);
/* Only the best ones; log_weight is -INFINITY where there is none of a kind. */
void explanations__pick(const struct fit *fit, const struct design *design,
			struct pick picks[PICKS]);

#endif
