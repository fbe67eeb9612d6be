/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_BASE_UNITS_H
#define MEMDRIFT_BASE_UNITS_H

#include <stddef.h>
#include <stdint.h>

/*
 * Sizes and times as people write and read them. Sizes are powers of 1024 throughout, with
 * the short names that operators know: "64 MB" is 64 x 2^20 bytes.
 */
#define UNIT_TEXT_MAX 32

/* "64M", "1.5G", "4096" -> bytes. 0, or -EINVAL for anything else, -ERANGE past 2^63. */
int units_parse_bytes(const char *text, uint64_t *bytes);

/* "30", "1.5s", "200ms", "5m", "2h", "7d" -> seconds, a bare number being seconds. 0 or -EINVAL. */
int units_parse_seconds(const char *text, double *seconds);

/*
 * "5%" or "5" -> 0.05. 0 or -EINVAL; must lie in (0, UNIT_PERCENT_MAX]: of an idle program's CPU
 * time hundreds of percent are little.
 */
#define UNIT_PERCENT_MAX 1000
int units_parse_percent(const char *text, double *share);

/* Whole numbers of what was estimated or divided, however large: the nearest that there is, 0 of
 * NAN. */
uint64_t units_whole(double value);
int64_t units_whole_signed(double value);

/* Written into buf (at least UNIT_TEXT_MAX), which is returned: "902.1 MB", "28 B". */
const char *units_format_bytes(char *buf, uint64_t bytes);
/* The same with its sign: "+20.5 MB", "-3 B", "0 B". */
const char *units_format_delta(char *buf, int64_t bytes);
/* "2.114 s", "38.0 s", "12.4 min", "1.8 h", "3.1 d". */
const char *units_format_seconds(char *buf, double seconds);
/* "41,208". */
const char *units_format_count(char *buf, uint64_t count);

#endif
