// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/eh_cie.h"

#include <string.h>

/* "zPLRSB" and the NUL: each letter at most once. */
#define AUGMENTATION_MAX 8

/* NULL when it does not end soon. */
static const char *read_augmentation(struct eh_reader *reader)
{
	const char *text = (const char *)reader->bytes + reader->at;
	size_t left = reader->failed ? 0 : reader->size - reader->at;
	size_t length = strnlen(text, left < AUGMENTATION_MAX ? left : AUGMENTATION_MAX);

	if (length == left || length == AUGMENTATION_MAX)
		return NULL;
	eh_reader__span(reader, length + 1);
	return text;
}

/*
 * What the letters behind a 'z' stand for (LSB Core, 10.6.1.1.1; 'S' and 'B' from libgcc's
 * unwind-dw2.c). False for a letter whose data's length is not known.
 */
static bool read_letter(struct cfi_cie *cie, struct eh_reader *reader, char letter)
{
	switch (letter) {
	case 'R':
		cie->pointer_encoding = (uint8_t)eh_reader__fixed(reader, 1);
		return true;
	case 'P': /* the function that looks at exceptions: its encoding and its address */
		eh_reader__skip_pointer(reader, (uint8_t)eh_reader__fixed(reader, 1));
		return true;
	case 'L': /* the encoding of what that function reads, in each FDE's data */
		eh_reader__fixed(reader, 1);
		return true;
	case 'S':
		cie->is_signal = true;
		return true;
	case 'B':
		return true;
	}
	return false;
}

/* Versions: 1 in .eh_frame, 3 of DWARF 3, 4 of DWARF 4 and 5. */
static bool read_head(struct cfi_cie *cie, struct eh_reader *reader, const char **augmentation)
{
	uint64_t version = eh_reader__fixed(reader, 1), ra;

	*augmentation = read_augmentation(reader);
	if (!*augmentation || (version != 1 && version != 3 && version != 4))
		return false;
	/* Sizes of an address and of a segment's number. */
	if (version == 4 && (eh_reader__fixed(reader, 1) != 8 || eh_reader__fixed(reader, 1) != 0))
		return false;
	cie->code_align = eh_reader__uleb(reader);
	cie->data_align = eh_reader__sleb(reader);
	ra = version == 1 ? eh_reader__fixed(reader, 1) : eh_reader__uleb(reader);
	return !reader->failed && ra == CFI_RA;
}

bool eh_cie__read(struct cfi_cie *cie, struct eh_reader reader, uint64_t *budget)
{
	const char *augmentation;
	struct eh_reader data;
	uint64_t size;

	*cie = (struct cfi_cie){.pointer_encoding = EH_ABSPTR};
	if (!read_head(cie, &reader, &augmentation))
		return false;
	if (*augmentation) {
		if (*augmentation != 'z')
			return false;
		size = eh_reader__uleb(&reader);
		data = reader;
		eh_reader__span(&reader, size);
		if (reader.failed)
			return false;
		data.size = reader.at;
		cie->has_augmentation_data = true;
		for (const char *letter = augmentation + 1; *letter; letter++) {
			if (!read_letter(cie, &data, *letter) || data.failed)
				return false;
		}
	}
	return cfi__initial(cie, reader, budget);
}
