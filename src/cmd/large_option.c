// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/large_option.h"

#include <string.h>

#include "base/units.h"

const char *large_option__parse(char *text, uint64_t sizes[LARGE_OPTION_MAX], uint32_t *count,
				const char **word)
{
	char *save = NULL, *at;

	*count = 0;
	for (at = strtok_r(text, ",", &save); at; at = strtok_r(NULL, ",", &save)) {
		uint64_t bytes;

		*word = at;
		if (units_parse_bytes(at, &bytes) || bytes < 4096 || bytes % 4096)
			return "a size is a multiple of 4096, such as 64M or 1G";
		if (*count == LARGE_OPTION_MAX)
			return "at most 16 sizes";
		sizes[(*count)++] = bytes;
	}
	*word = "";
	return *count ? NULL : "at least one size is needed";
}
