/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_STACK_DEMANGLE_H
#define MEMDRIFT_STACK_DEMANGLE_H

/*
 * Names of C++ and Rust (both of its schemes) as their authors wrote them, by binutils' libiberty.
 * Its work and its answer can grow exponentially with a name, and it ends the process when memory
 * is out; so that it works in a process of its own (see base/child.h), which starts with the first
 * such name. Each distinct name is demangled once.
 */
struct demangler;

/* Longer names stay as they are: Boost's reach 10,000 bytes, and 64 times that is no name. */
#define MANGLED_MAX_BYTES   32768
#define DEMANGLED_MAX_BYTES 65536
/* All answers kept. Past this names stay as they are. */
#define DEMANGLED_MAX_TOTAL (128u << 20)

/* NULL when memory is out. */
struct demangler *demangler__new(void);
void demangler__free(struct demangler *demangler);

/*
 * `raw`, or what it stands for. Lives as long as both. Any bytes are taken; names that are not
 * mangled cost a look at their first two.
 */
const char *demangler__name(struct demangler *demangler, const char *raw);

#endif
