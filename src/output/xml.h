/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_OUTPUT_XML_H
#define MEMDRIFT_OUTPUT_XML_H

#include <stdio.h>

/* Writes printable text as that of an element or of a quoted attribute. */
void xml__put(FILE *out, const char *printable);

#endif
