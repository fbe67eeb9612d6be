// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>

#include "base/text.h"
#include "output/explain_text.h"

/* What others wrote may have come into a text of advice: paths, versions. */
#define ADVICE_TEXT_MAX (4 * 320)

static void put_saving(char *buf, size_t size, const struct advice *advice)
{
	char low[UNIT_TEXT_MAX], high[UNIT_TEXT_MAX], why[sizeof(advice->why_no_saving) * 4];

	*buf = '\0';
	units_format_bytes(low, advice->saving_low_bytes);
	units_format_bytes(high, advice->saving_high_bytes);
	if (advice->has_saving && !strcmp(low, high))
		snprintf(buf, size, " Saves %s.", low);
	else if (advice->has_saving)
		snprintf(buf, size, " Saves %s to %s.", low, high);
	else if (advice->why_no_saving[0])
		snprintf(buf, size, " Saving: %s.",
			 text_printable(why, sizeof(why), advice->why_no_saving));
}

/* Texts may end with their own full stop. */
static const char *stop(const char *text)
{
	size_t length = strlen(text);

	return length && strchr(".!?", text[length - 1]) ? "" : ".";
}

static void write_item(struct text_writer *writer, size_t number, const struct advice *advice)
{
	char text[ADVICE_TEXT_MAX], saving[900], evidence[ADVICE_TEXT_MAX], risk[800];
	char line[4 * ADVICE_TEXT_MAX];
	size_t columns = text_options__columns(writer->options);

	text_printable(text, sizeof(text), advice->text);
	text_printable(evidence, sizeof(evidence), advice->evidence);
	text_printable(risk, sizeof(risk), advice->risk);
	put_saving(saving, sizeof(saving), advice);
	snprintf(line, sizeof(line), "%zu. %s%s%s", number, text, stop(text), saving);
	text_paragraph(writer->out, columns, 4, line);
	snprintf(line, sizeof(line), "%s%s%s%s%s%s", *evidence ? "Evidence: " : "", evidence,
		 *evidence ? stop(evidence) : "", *risk ? " Risk: " : "", risk,
		 *risk ? stop(risk) : "");
	if (*evidence || *risk)
		text_paragraph(writer->out, columns, 6, *evidence ? line : line + 1);
}

/* A term may be a component, by its name in JSON: people read what the table calls it. */
static const char *term_label(const struct memlimit_term *term)
{
	for (int i = 0; i < LEDGER_COMPONENTS; i++)
		if (!strcmp(term->name, ledger_component__name((enum ledger_component)i)))
			return component__label((enum ledger_component)i);
	return term->name;
}

/* The sum behind GOMEMLIMIT, line by line. */
static void write_terms(struct text_writer *writer, const struct advice_list *advice)
{
	struct table table;
	char text[UNIT_TEXT_MAX + 1];

	table__init(&table, "lllr");
	for (size_t i = 0; i < advice->term_count; i++) {
		const struct memlimit_term *term = &advice->terms[i];

		table__add(&table, "%s", "");
		table__add(&table, "%s", "");
		table__add(&table, "%s", term_label(term));
		if (term->bytes < 0)
			table__add(&table, "%s", units_format_delta(text, term->bytes));
		else
			table__add(&table, "%s", units_format_bytes(text, (uint64_t)term->bytes));
	}
	table__add(&table, "%s", "");
	table__add(&table, "%s", "");
	table__add(&table, "= GOMEMLIMIT");
	table__add(&table, "%s", units_format_bytes(text, (uint64_t)advice->gomemlimit_bytes));
	if (table__print(&table, writer->out, text_options__columns(writer->options), false, false))
		writer->err = writer->err ? writer->err : -ENOMEM;
}

void explain_text__advice(struct text_writer *writer, const struct advice_list *advice)
{
	bool colour = writer->options->colour;

	if (!advice->count) {
		text__say(writer, "No change is advised: there is no evidence for one.");
		return;
	}
	fprintf(writer->out, "  %sWhat helps%s\n", colour ? COLOUR_BOLD : "",
		colour ? COLOUR_RESET : "");
	for (size_t i = 0; i < advice->count; i++) {
		write_item(writer, i + 1, &advice->items[i]);
		if (!strcmp(advice->items[i].id, "gomemlimit") && advice->term_count &&
		    advice->gomemlimit_bytes > 0)
			write_terms(writer, advice);
	}
}
