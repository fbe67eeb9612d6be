// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "drift/fit.h"

#include <math.h>
#include <string.h>

#include "drift/vec.h"

/* Squares below this are rounding: a track of one value. MiB^2. */
#define SIGMA2_LEAST 1e-8

static double median(double *values, size_t count)
{
	for (size_t i = 1; i < count; i++) {
		double value = values[i];
		size_t j = i;

		for (; j && values[j - 1] > value; j--)
			values[j] = values[j - 1];
		values[j] = value;
	}
	return count ? values[count / 2] : 0;
}

double fit__guess_sigma2(const struct design *design, const struct whitened *whitened)
{
	double off[TRACK_MAX], sigma;

	for (size_t i = 0; i < design->rows; i++)
		off[i] = fabs(whitened->value[i][design->base]);
	sigma = 1.4826 * median(off, design->rows);
	return fmax(sigma * sigma, SIGMA2_LEAST);
}

/* Products of four columns, from column on, with all from there to the end. */
static void multiply_block(struct fit *fit, const struct whitened *whitened, size_t rows,
			   size_t column, size_t vecs)
{
	for (size_t v = column / VEC_WIDTH; v < vecs; v++) {
		vec sums[VEC_WIDTH] = {{0}};

		for (size_t row = 0; row < rows; row++) {
			const double *left = whitened->value[row] + column;
			vec right = ((const vec *)whitened->value[row])[v];

			for (size_t i = 0; i < VEC_WIDTH; i++)
				sums[i] += left[i] * right;
		}
		for (size_t i = 0; i < VEC_WIDTH; i++)
			((vec *)fit->inner[column + i])[v] = sums[i];
	}
}

/* Takes one column of the base, which has its prior, out of the products of those after it. */
static void eliminate(struct fit *fit, size_t column, double prior, size_t vecs)
{
	double ridge = fit->sigma2 / (prior * prior);
	double pivot = fit->inner[column][column] + ridge;
	const vec *from = (const vec *)fit->inner[column];

	for (size_t i = column + 1; i < fit->columns; i++) {
		double share = fit->inner[column][i] / pivot;
		vec *row = (vec *)fit->inner[i];

		for (size_t v = i / VEC_WIDTH; v < vecs; v++)
			row[v] -= share * from[v];
	}
	fit->evidence -= log(pivot / ridge) / 2;
}

void fit__prepare(struct fit *fit, const struct design *design, const struct whitened *whitened,
		  size_t columns, double sigma2)
{
	size_t vecs = vec__count(columns);

	fit->y = design->base;
	fit->columns = columns;
	fit->sigma2 = sigma2;
	fit->free = whitened->free;
	fit->evidence = -whitened->log_det / 2;
	for (size_t column = 0; column < columns; column += VEC_WIDTH)
		multiply_block(fit, whitened, design->rows, column, vecs);
	for (size_t column = 0; column < design->base; column++)
		eliminate(fit, column, design->prior[column], vecs);
}

static double product(const struct fit *fit, const struct term *a, const struct term *b)
{
	double sum = 0;

	for (size_t i = 0; i < 2; i++)
		for (size_t j = 0; j < 2; j++) {
			size_t p = a->column[i], q = b->column[j];

			if (a->weight[i] == 0 || b->weight[j] == 0)
				continue;
			sum += a->weight[i] * b->weight[j] *
			       (p < q ? fit->inner[p][q] : fit->inner[q][p]);
		}
	return sum;
}

/* Inverts a positive definite matrix in place; the logarithm of its determinant. */
static double invert(double (*matrix)[TERMS_MAX], size_t count)
{
	double log_det = 0;

	for (size_t k = 0; k < count; k++) {
		double pivot = fmax(matrix[k][k], 1e-300);

		log_det += log(pivot);
		matrix[k][k] = 1;
		for (size_t j = 0; j < count; j++)
			matrix[k][j] /= pivot;
		for (size_t i = 0; i < count; i++) {
			double share = matrix[i][k];

			if (i == k)
				continue;
			matrix[i][k] = 0;
			for (size_t j = 0; j < count; j++)
				matrix[i][j] -= share * matrix[k][j];
		}
	}
	return log_det;
}

void fit__explain(const struct fit *fit, const struct term *terms, size_t count,
		  struct explained *out)
{
	const struct term track = {{fit->y, fit->y}, {1, 0}, 1};
	double with_track[TERMS_MAX], gain = 0, occam = 0;
	double(*matrix)[TERMS_MAX] = out->covariance;

	for (size_t i = 0; i < count; i++) {
		double ridge = fit->sigma2 / (terms[i].prior * terms[i].prior);

		with_track[i] = product(fit, &terms[i], &track);
		for (size_t j = 0; j < count; j++)
			matrix[i][j] = product(fit, &terms[i], &terms[j]) + (i == j ? ridge : 0);
		occam -= log(ridge);
	}
	occam += invert(matrix, count);
	for (size_t i = 0; i < count; i++) {
		out->coefficient[i] = 0;
		for (size_t j = 0; j < count; j++)
			out->coefficient[i] += matrix[i][j] * with_track[j];
		gain += out->coefficient[i] * with_track[i];
	}
	out->rss = fmax(fit->inner[fit->y][fit->y] - gain, SIGMA2_LEAST * fmax(fit->free, 1));
	out->evidence = fit->evidence - fit->free / 2 * log(out->rss) - occam / 2;
	for (size_t i = 0; i < count; i++)
		for (size_t j = 0; j < count; j++)
			matrix[i][j] *= out->rss / fmax(fit->free - (double)count, 1);
}
