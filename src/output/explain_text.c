// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/explain_text.h"

#include <errno.h>
#include <stdlib.h>

#include "base/text.h"
#include "output/bar.h"

/* Of a name in the first line: what is left must hold runtime and allocator. */
#define NAME_MAX_BYTES 40
/* Of a path in a line of text. */
#define PATH_COLUMNS 60

uint64_t explanation__rss_bytes(const struct explanation *explanation)
{
	const struct ledger *ledger = &explanation->ledger;

	return ledger->rss.done ? ledger->rss.expected : ledger->resident_bytes;
}

const char *explain_text__go_version(char *buf, size_t size, const char *version)
{
	char printable[64];

	text_printable(printable, sizeof(printable), version);
	if (!strncmp(printable, "go", 2) && printable[2] >= '0' && printable[2] <= '9')
		snprintf(buf, size, "Go %s", printable + 2);
	else
		snprintf(buf, size, "Go %s", *printable ? printable : "of unknown version");
	return buf;
}

const char *explain_text__path(char buf[SHORT_PATH_MAX], const char *raw)
{
	size_t length = strlen(raw);

	if (length <= PATH_COLUMNS) {
		text_printable(buf, SHORT_PATH_MAX, raw);
		return buf;
	}
	raw += length - PATH_COLUMNS;
	/* Not in the middle of a character. */
	while ((*raw & 0xc0) == 0x80)
		raw++;
	strcpy(buf, "…");
	text_printable(buf + strlen(buf), SHORT_PATH_MAX - strlen(buf), raw);
	return buf;
}

static void put_runtime(const struct explanation *explanation, char *buf, size_t size)
{
	static const struct {
		enum ledger_component component;
		const char *name;
	} runtimes[] = {{LEDGER_PYMALLOC, "Python"}, {LEDGER_V8, "V8"}};
	char version[80];

	*buf = '\0';
	if (explanation->has_go)
		snprintf(
			buf, size, ", %s%s",
			explain_text__go_version(version, sizeof(version), explanation->go.version),
			explanation->go.has_cgo ? " with cgo" : "");
	for (size_t i = 0; !*buf && i < sizeof(runtimes) / sizeof(*runtimes); i++)
		if (explanation->ledger.rows[runtimes[i].component].resident_bytes)
			snprintf(buf, size, ", %s", runtimes[i].name);
}

/* Of a malloc that no symbol tells, the allocator whose structures were found; NULL none. */
static const char *found_allocator(const struct allocators *allocators)
{
	static const char *const mallocs[] = {"tcmalloc", "mimalloc", "musl"};

	if (allocators->has_jemalloc)
		return "jemalloc";
	for (size_t i = 0; i < allocators->other_count && i < ALLOCATORS_MAX; i++)
		for (size_t j = 0; j < sizeof(mallocs) / sizeof(*mallocs); j++)
			if (!strcmp(allocators->others[i].name, mallocs[j]))
				return mallocs[j];
	return NULL;
}

static void put_allocator(const struct explanation *explanation, char *buf, size_t size)
{
	const struct allocators *allocators = &explanation->allocators;
	char owner[sizeof(allocators->malloc_owner)];
	bool is_glibc = explanation->has_glibc &&
			(!strcmp(allocators->malloc_owner, "glibc") || !*allocators->malloc_owner);

	text_printable(owner, sizeof(owner), allocators->malloc_owner);
	if (is_glibc && explanation->glibc.layout[0])
		snprintf(buf, size, ", malloc of glibc %s", explanation->glibc.layout);
	else if (is_glibc)
		snprintf(buf, size, ", malloc of glibc");
	else if (allocators->has_jemalloc && !strcmp(owner, "jemalloc"))
		snprintf(buf, size, ", malloc of jemalloc %s", allocators->jemalloc.layout);
	else if (*owner)
		snprintf(buf, size, ", malloc of %s", owner);
	else if (found_allocator(allocators))
		snprintf(buf, size, ", with %s", found_allocator(allocators));
	else if (explanation->has_go && !explanation->go.has_cgo)
		*buf = '\0';
	else
		snprintf(buf, size, ", whose malloc is unknown");
}

/* "cal (pid 8212, Go 1.19.8 with cgo, malloc of glibc 2.35 to 2.41)       RSS 1,018.3 MB" */
void explain_text__heading(struct text_writer *writer, const struct explain_report *report)
{
	const struct explanation *explanation = report->explanation;
	char comm[NAME_MAX_BYTES], runtime[96], allocator[96], name[280], rss[64];
	char text[UNIT_TEXT_MAX];
	bool colour = writer->options->colour;
	size_t used, columns = text_options__columns(writer->options);

	put_runtime(explanation, runtime, sizeof(runtime));
	put_allocator(explanation, allocator, sizeof(allocator));
	text_printable(comm, sizeof(comm), explanation->comm);
	snprintf(name, sizeof(name), "%s (pid %u%s%s)", *comm ? comm : "unnamed process",
		 explanation->pid, runtime, allocator);
	snprintf(rss, sizeof(rss), "RSS %s",
		 units_format_bytes(text, explanation__rss_bytes(explanation)));
	used = text_columns(name) + text_columns(rss);
	if (used + 2 <= columns)
		fprintf(writer->out, "%s%s%s%*s%s\n", colour ? COLOUR_BOLD : "", name,
			colour ? COLOUR_RESET : "", (int)(columns - used), "", rss);
	else
		fprintf(writer->out, "%s%s (pid %u)%s  %s\n  %s%s\n", colour ? COLOUR_BOLD : "",
			*comm ? comm : "unnamed process", explanation->pid,
			colour ? COLOUR_RESET : "", rss, *runtime ? runtime + 2 : "",
			*runtime || !*allocator ? allocator : allocator + 2);
	text__say(writer, "%s", report->verdict->text);
}

static void write_explanation(struct text_writer *writer, const void *what)
{
	const struct explain_report *report = what;
	const struct explanation *explanation = report->explanation;

	explain_text__heading(writer, report);
	explain_text__advice(writer, report->advice);
	explain_text__ledger(writer, explanation);
	explain_text__glibc(writer, explanation);
	explain_text__go(writer, explanation);
	explain_text__allocators(writer, explanation);
	fputc('\n', writer->out);
	explain_text__beside(writer, explanation);
	explain_text__cost(writer, explanation);
}

int explain_text__emit(FILE *out, const struct text_options *options, explain_write_fn write,
		       const void *what)
{
	char *text = NULL;
	size_t size;
	FILE *memory = open_memstream(&text, &size);
	struct text_writer writer = {.out = memory, .options = options};

	if (!memory)
		return -ENOMEM;
	write(&writer, what);
	if (fclose(memory) && !writer.err)
		writer.err = -ENOMEM;
	if (!writer.err && options->utf8)
		fputs(text, out);
	else if (!writer.err)
		text__plain(out, text);
	free(text);
	if (writer.err)
		return writer.err;
	errno = 0;
	if (fflush(out) || ferror(out))
		return errno ? -errno : -EIO;
	return 0;
}

int explain_text__write(FILE *out, const struct explain_report *report,
			const struct text_options *options)
{
	return explain_text__emit(out, options, write_explanation, report);
}
