// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "metrics/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* Bytes of a label's text: a container's id and all but the longest paths. It bounds the answer to
 * a scrape whatever processes call themselves. */
#define LABEL_MAX 200

/* Printable text: so UTF-8 without line breaks, of which a label must escape two characters. */
static void write_label(FILE *out, const char *key, const char *raw)
{
	char text[LABEL_MAX + 1];

	text_printable(text, sizeof(text), raw);
	fprintf(out, "%s=\"", key);
	for (const char *c = text; *c; c++) {
		if (*c == '\\' || *c == '"')
			putc('\\', out);
		putc(*c, out);
	}
	putc('"', out);
}

static const char *file_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash && slash[1] ? slash + 1 : path;
}

/* NULL when memory is out. */
static char *make_labels(const struct subject_name *name, bool whole_path)
{
	const char *exe = *name->exe ? name->exe : name->comm;
	char *labels = NULL;
	size_t size;
	FILE *out = open_memstream(&labels, &size);
	bool failed;

	if (!out)
		return NULL;
	write_label(out, "unit", *name->unit ? name->unit : name->cgroup);
	putc(',', out);
	write_label(out, "exe", whole_path ? exe : file_name(exe));
	fprintf(out, ",slot=\"%u\"", name->slot);
	failed = ferror(out);
	if (fclose(out) || failed) {
		free(labels);
		return NULL;
	}
	return labels;
}

/* Without labels last. */
static int compare_labels(const void *a, const void *b)
{
	const struct metrics_entry *x = a, *y = b;

	if (!x->labels || !y->labels)
		return !x->labels - !y->labels;
	return strcmp(x->labels, y->labels);
}

static bool same_labels(const struct metrics_entry *a, const struct metrics_entry *b)
{
	return a->labels && b->labels && !strcmp(a->labels, b->labels);
}

/* All that share their labels get the whole path, so that none depends on the order. */
static void tell_apart(struct metrics_list *list)
{
	for (size_t i = 0, end; i < list->count; i = end) {
		end = i + 1;
		while (end < list->count && same_labels(&list->entries[i], &list->entries[end]))
			end++;
		for (size_t j = i; end - i > 1 && j < end; j++)
			list->entries[j].whole_path = true;
	}
	for (size_t i = 0; i < list->count; i++) {
		struct metrics_entry *entry = &list->entries[i];

		if (!entry->whole_path)
			continue;
		free(entry->labels);
		entry->labels = make_labels(entry->subject.name, true);
	}
}

static void sort(struct metrics_list *list)
{
	qsort(list->entries, list->count, sizeof(*list->entries), compare_labels);
}

void metrics_list__name(struct metrics_list *list)
{
	size_t kept = 0;

	list->smallest = NULL;
	for (size_t i = 0; i < list->count; i++)
		list->entries[i].labels = make_labels(list->entries[i].subject.name, false);
	sort(list);
	tell_apart(list);
	sort(list);
	for (size_t i = 0; i < list->count; i++) {
		struct metrics_entry *entry = &list->entries[i];

		if (!entry->labels || (kept && same_labels(&list->entries[kept - 1], entry))) {
			metrics_list__leave_out(list, &entry->subject);
			free(entry->labels);
		} else {
			list->entries[kept++] = *entry;
		}
	}
	list->count = kept;
}
