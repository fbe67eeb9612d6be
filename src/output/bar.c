// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/bar.h"

#include <string.h>

size_t text_columns(const char *text)
{
	size_t n = 0;

	for (; *text; text++) {
		/* The report's own colours; what others wrote has no escape left in it. */
		if (*text == '\033')
			text += strcspn(text, "m");
		else
			n += (*text & 0xc0) != 0x80;
		if (!*text)
			break;
	}
	return n;
}

const char *bar__draw(char *buf, uint64_t value, uint64_t most, unsigned int columns, bool utf8)
{
	static const char *const eighths[] = {"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"};
	unsigned int steps = 0, whole;
	char *end = buf;

	if (most)
		steps = (unsigned int)((double)value / (double)most * columns * 8 + 0.5);
	if (!steps && value)
		steps = 1;
	if (steps > columns * 8)
		steps = columns * 8;
	whole = utf8 ? steps / 8 : (steps + 7) / 8;
	for (unsigned int i = 0; i < whole; i++)
		end = stpcpy(end, utf8 ? "█" : "#");
	strcpy(end, utf8 ? eighths[steps % 8] : "");
	return buf;
}

const char *sparkline__draw(char *buf, const uint64_t *values, size_t n, unsigned int columns,
			    bool utf8)
{
	static const char *const levels[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const plain[] = {"_", ".", ",", "-", "~", "=", "+", "#"};
	uint64_t least = UINT64_MAX, most = 0;
	size_t cells = n < columns ? n : columns;
	char *end = buf;

	for (size_t i = 0; i < n; i++) {
		if (values[i] && values[i] < least)
			least = values[i];
		if (values[i] > most)
			most = values[i];
	}
	for (size_t cell = 0; cell < cells; cell++) {
		size_t from = cell * n / cells, to = (cell + 1) * n / cells;
		uint64_t value = 0;
		unsigned int level = 0;

		for (size_t i = from; i < to; i++)
			value = values[i] ? values[i] : value;
		if (most > least && value)
			level = (unsigned int)((double)(value - least) / (double)(most - least) *
						       7 +
					       0.5);
		end = stpcpy(end, !value ? " " : utf8 ? levels[level] : plain[level]);
	}
	*end = '\0';
	return buf;
}
