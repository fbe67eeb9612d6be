/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_GOLANG_GO_CROSSREF_H
#define MEMDRIFT_GOLANG_GO_CROSSREF_H

#include "census/subject.h"
#include "golang/go_program.h"
#include "probe/elf_object.h"

/*
 * Finds the runtime's variables in a program that has no symbols, by what functions of known names
 * (the table that every Go program carries has them) refer to: several fields of a structure lie at
 * known distances. Of the versions that go_layout__of_version knows, to whose offsets the patterns
 * belong. Fills program->at with addresses in the file, each 0 when it is not beyond doubt; those
 * of lists are looked at in the process. slide must be set. 0, -ENOENT, -ENOMEM.
 */
int go_crossref__find(const struct elf_object *obj, struct subject *subject,
		      struct go_program *program);

#endif
