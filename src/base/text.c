// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "base/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at s, its code point in *code; 0 when malformed. */
static size_t decode_utf8(const unsigned char *s, uint32_t *code)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t len = s[0] < 0x80 ? 1 : (s[0] >> 5) == 6 ? 2 : (s[0] >> 4) == 14 ? 3 : 4;

	if (len == 1) {
		*code = s[0];
		return 1;
	}
	if (len == 4 && (s[0] >> 3) != 30)
		return 0;
	*code = s[0] & (0x7f >> len);
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		*code = *code << 6 | (s[i] & 0x3f);
	}
	if (*code < least[len] || *code > 0x10ffff || (*code >= 0xd800 && *code < 0xe000))
		return 0;
	return len;
}

static bool is_safe(uint32_t code)
{
	if (code < 0x20 || (code >= 0x7f && code < 0xa0))
		return false;
	if (code == 0x61c || code == 0x200e || code == 0x200f || code == 0x2028 || code == 0x2029)
		return false;
	return !(code >= 0x202a && code <= 0x202e) && !(code >= 0x2066 && code <= 0x2069);
}

const char *text_printable(char *buf, size_t size, const char *raw)
{
	const unsigned char *s = (const unsigned char *)raw;
	size_t used = 0;

	while (*s) {
		uint32_t code;
		size_t len = decode_utf8(s, &code);
		bool safe = len && is_safe(code);
		size_t need = safe ? len : 4;

		if (used + need >= size)
			break;
		if (safe) {
			memcpy(buf + used, s, len);
		} else {
			snprintf(buf + used, 5, "\\x%02x", s[0]);
			len = 1;
		}
		used += need;
		s += len;
	}
	buf[used] = '\0';
	return buf;
}

char *text_printable_dup(const char *raw)
{
	size_t size = 4 * strlen(raw) + 1;
	char *buf = malloc(size);

	if (buf)
		text_printable(buf, size, raw);
	return buf;
}
