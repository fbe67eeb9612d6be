// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "output/xml.h"

#include <string.h>

void xml__put(FILE *out, const char *printable)
{
	for (const char *at = printable; *at; at++) {
		switch (*at) {
		case '&':
			fputs("&amp;", out);
			break;
		case '<':
			fputs("&lt;", out);
			break;
		case '>':
			fputs("&gt;", out);
			break;
		case '"':
			fputs("&quot;", out);
			break;
		default:
			/* The two characters of UTF-8 that XML has not: U+FFFE, U+FFFF. */
			if (!strncmp(at, "\xef\xbf\xbe", 3) || !strncmp(at, "\xef\xbf\xbf", 3)) {
				fputs("\xef\xbf\xbd", out);
				at += 2;
			} else {
				fputc(*at, out);
			}
		}
	}
}
