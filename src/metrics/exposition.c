// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "metrics/exposition.h"

#include <inttypes.h>

#define NS_PER_S 1000000000u

void exposition__begin(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void write_name(FILE *out, const char *name, const char *labels)
{
	if (labels)
		fprintf(out, "%s{%s} ", name, labels);
	else
		fprintf(out, "%s ", name);
}

void exposition__count(FILE *out, const char *name, const char *labels, uint64_t value)
{
	write_name(out, name, labels);
	fprintf(out, "%" PRIu64 "\n", value);
}

void exposition__number(FILE *out, const char *name, const char *labels, double value)
{
	write_name(out, name, labels);
	fprintf(out, "%.15g\n", value);
}

void exposition__ns(FILE *out, const char *name, const char *labels, uint64_t ns)
{
	write_name(out, name, labels);
	fprintf(out, "%" PRIu64 ".%09" PRIu64 "\n", ns / NS_PER_S, ns % NS_PER_S);
}
