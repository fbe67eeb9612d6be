// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "base/log.h"
#include "base/text.h"

#include <bpf/libbpf.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static enum log_level max_level = LOG_WARNING;
static bool progress_shown;

void log_set_level(enum log_level level)
{
	max_level = level;
}

static void clear_progress(void)
{
	if (progress_shown)
		fputs("\r\033[K", stderr);
	progress_shown = false;
}

static void print_message(enum log_level level, const char *prefix, const char *fmt, va_list args)
{
	char raw[1024], printable[4 * sizeof(raw)];

	if (level > max_level)
		return;
	/* Arguments, names and paths are anyone's bytes. */
	vsnprintf(raw, sizeof(raw), fmt, args);
	/* The progress line may be another thread's. */
	flockfile(stderr);
	clear_progress();
	fprintf(stderr, "memdrift: %s%s\n", prefix,
		text_printable(printable, sizeof(printable), raw));
	funlockfile(stderr);
}

#define DEFINE_LOG(name, level, prefix)                  \
	void name(const char *fmt, ...)                  \
	{                                                \
		va_list args;                            \
		va_start(args, fmt);                     \
		print_message(level, prefix, fmt, args); \
		va_end(args);                            \
	}

DEFINE_LOG(log_error, LOG_ERROR, "")
DEFINE_LOG(log_notice, LOG_ERROR, "")
DEFINE_LOG(log_warning, LOG_WARNING, "warning: ")
DEFINE_LOG(log_info, LOG_INFO, "")
DEFINE_LOG(log_debug, LOG_DEBUG, "debug: ")

static int print_libbpf(enum libbpf_print_level level, const char *fmt, va_list args)
{
	enum log_level own = level == LIBBPF_WARN ? LOG_INFO : LOG_DEBUG;

	if (own > max_level)
		return 0;
	clear_progress();
	fputs("memdrift: ", stderr);
	return vfprintf(stderr, fmt, args);
}

void log_bridge_libbpf(void)
{
	libbpf_set_print(print_libbpf);
}

void log_progress(const char *fmt, ...)
{
	va_list args;

	if (!isatty(STDERR_FILENO))
		return;
	flockfile(stderr);
	clear_progress();
	if (*fmt) {
		va_start(args, fmt);
		vfprintf(stderr, fmt, args);
		va_end(args);
		fflush(stderr);
		progress_shown = true;
	}
	funlockfile(stderr);
}
