// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/smaps.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "census/proc_file.h"

/* The value of "\nName:    123 kB" in bytes. */
static bool find_kb(const char *text, const char *name, uint64_t *bytes)
{
	char key[32];
	const char *line;
	uint64_t kb;

	snprintf(key, sizeof(key), "\n%s:", name);
	line = strstr(text, key);
	if (!line || sscanf(line + strlen(key), " %" SCNu64 " kB", &kb) != 1)
		return false;
	*bytes = kb << 10;
	return true;
}

int smaps_rollup__parse(const char *text, struct smaps_rollup *out)
{
	memset(out, 0, sizeof(*out));
	if (!find_kb(text, "Rss", &out->rss_bytes))
		return -EINVAL;
	find_kb(text, "Pss", &out->pss_bytes);
	find_kb(text, "Swap", &out->swap_bytes);
	find_kb(text, "AnonHugePages", &out->huge_bytes);
	return 0;
}

/* A file of the process, or of a thread that still has its memory when the leader has ended. */
static int read_memory_file(uint32_t pid, const char *name, char *text, size_t size)
{
	char path[64];
	uint32_t tid;
	ssize_t got;
	int err = proc_memory_tid(pid, &tid);

	if (err)
		return err == -ENOENT ? -ESRCH : err;
	snprintf(path, sizeof(path), "task/%u/%s", tid, name);
	got = proc_file__read(pid, tid == pid ? name : path, text, size);
	return got > 0 ? 0 : got ? (int)got : -ESRCH;
}

int smaps_rollup__read(uint32_t pid, struct smaps_rollup *out)
{
	char text[4096];
	int err = read_memory_file(pid, "smaps_rollup", text, sizeof(text));

	return err ? err : smaps_rollup__parse(text, out);
}

void memory_status__parse(const char *text, struct memory_status *out)
{
	const char *thp = strstr(text, "\nTHP_enabled:");

	*out = (struct memory_status){.thp_enabled = -1};
	find_kb(text, "VmHWM", &out->rss_peak_bytes);
	find_kb(text, "VmPTE", &out->page_table_bytes);
	if (thp)
		out->thp_enabled = strtol(thp + strlen("\nTHP_enabled:"), NULL, 10) != 0;
}

int memory_status__read(uint32_t pid, struct memory_status *out)
{
	char text[8192];
	int err = read_memory_file(pid, "status", text, sizeof(text));

	if (!err)
		memory_status__parse(text, out);
	return err;
}

void bracketed_word(const char *text, char *word, size_t size)
{
	const char *open = strchr(text, '[');
	const char *close = open ? strchr(open, ']') : NULL;

	word[0] = '\0';
	if (close && (size_t)(close - open) <= size)
		snprintf(word, size, "%.*s", (int)(close - open - 1), open + 1);
}
