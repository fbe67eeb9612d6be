// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <dwarf.h>

#include "unwind/cfi_machine.h"

/* One of the three registers; NULL for one that nobody looks at, as most are. */
static struct cfi_register *pick_register(struct cfi_machine *machine, uint64_t number)
{
	switch (number) {
	case CFI_RBP:
		return &machine->state.rbp;
	case CFI_RSP:
		return &machine->state.rsp;
	case CFI_RA:
		return &machine->state.ra;
	}
	return NULL;
}

static void set_register(struct cfi_machine *machine, uint64_t number, enum cfi_where where)
{
	struct cfi_register *place = pick_register(machine, number);

	if (place)
		*place = (struct cfi_register){.where = where};
}

static int64_t scale(struct cfi_machine *machine, uint64_t offset)
{
	int64_t result;

	if (__builtin_mul_overflow((int64_t)offset, machine->cie->data_align, &result))
		machine->reader.failed = true;
	return result;
}

void cfi_machine__set_offset(struct cfi_machine *machine, uint64_t number, enum cfi_where where,
			     uint64_t offset)
{
	struct cfi_register *place = pick_register(machine, number);

	if (place)
		*place = (struct cfi_register){.where = where, .offset = scale(machine, offset)};
}

static void set_expression(struct cfi_machine *machine, enum cfi_where where)
{
	uint64_t number = eh_reader__uleb(&machine->reader);
	struct cfi_register *place = pick_register(machine, number);
	uint64_t size = eh_reader__uleb(&machine->reader);
	struct eh_span expression = eh_reader__span(&machine->reader, size);

	if (place)
		*place = (struct cfi_register){.where = where, .expression = expression};
}

void cfi_machine__restore(struct cfi_machine *machine, uint64_t number)
{
	const struct cfi_state *initial = &machine->cie->initial;

	if (machine->in_cie)
		machine->reader.failed = true;
	else if (number == CFI_RBP)
		machine->state.rbp = initial->rbp;
	else if (number == CFI_RSP)
		machine->state.rsp = initial->rsp;
	else if (number == CFI_RA)
		machine->state.ra = initial->ra;
}

static void define_cfa(struct cfi_machine *machine, uint64_t number, int64_t offset)
{
	machine->state.cfa_is_expression = false;
	machine->state.cfa_register = number;
	machine->state.cfa_offset = offset;
}

/* Half of a CFA: the other half must be there. */
static void change_cfa(struct cfi_machine *machine, uint64_t number, int64_t offset)
{
	if (machine->state.cfa_is_expression)
		machine->reader.failed = true;
	define_cfa(machine, number, offset);
}

bool cfi_machine__run_cfa(struct cfi_machine *machine, uint8_t code)
{
	struct eh_reader *reader = &machine->reader;
	struct cfi_state *state = &machine->state;
	uint64_t number;

	switch (code) {
	case DW_CFA_def_cfa:
		number = eh_reader__uleb(reader);
		define_cfa(machine, number, (int64_t)eh_reader__uleb(reader));
		return true;
	case DW_CFA_def_cfa_sf:
		number = eh_reader__uleb(reader);
		define_cfa(machine, number, scale(machine, (uint64_t)eh_reader__sleb(reader)));
		return true;
	case DW_CFA_def_cfa_register:
		change_cfa(machine, eh_reader__uleb(reader), state->cfa_offset);
		return true;
	case DW_CFA_def_cfa_offset:
		change_cfa(machine, state->cfa_register, (int64_t)eh_reader__uleb(reader));
		return true;
	case DW_CFA_def_cfa_offset_sf:
		change_cfa(machine, state->cfa_register,
			   scale(machine, (uint64_t)eh_reader__sleb(reader)));
		return true;
	case DW_CFA_def_cfa_expression:
		state->cfa_is_expression = true;
		state->cfa_expression = eh_reader__span(reader, eh_reader__uleb(reader));
		return true;
	}
	return false;
}

bool cfi_machine__run_register(struct cfi_machine *machine, uint8_t code)
{
	struct eh_reader *reader = &machine->reader;
	uint64_t number;

	switch (code) {
	case DW_CFA_offset_extended:
		number = eh_reader__uleb(reader);
		cfi_machine__set_offset(machine, number, CFI_OFFSET, eh_reader__uleb(reader));
		return true;
	case DW_CFA_offset_extended_sf:
		number = eh_reader__uleb(reader);
		cfi_machine__set_offset(machine, number, CFI_OFFSET,
					(uint64_t)eh_reader__sleb(reader));
		return true;
	case DW_CFA_GNU_negative_offset_extended:
		number = eh_reader__uleb(reader);
		cfi_machine__set_offset(machine, number, CFI_OFFSET, -eh_reader__uleb(reader));
		return true;
	case DW_CFA_val_offset:
		number = eh_reader__uleb(reader);
		cfi_machine__set_offset(machine, number, CFI_VALUE, eh_reader__uleb(reader));
		return true;
	case DW_CFA_val_offset_sf:
		number = eh_reader__uleb(reader);
		cfi_machine__set_offset(machine, number, CFI_VALUE,
					(uint64_t)eh_reader__sleb(reader));
		return true;
	case DW_CFA_restore_extended:
		cfi_machine__restore(machine, eh_reader__uleb(reader));
		return true;
	case DW_CFA_undefined:
		number = eh_reader__uleb(reader);
		set_register(machine, number, CFI_UNDEFINED);
		return true;
	case DW_CFA_same_value:
		number = eh_reader__uleb(reader);
		set_register(machine, number, CFI_SAME);
		return true;
	case DW_CFA_register:
		number = eh_reader__uleb(reader);
		eh_reader__uleb(reader);
		set_register(machine, number, CFI_OTHER);
		return true;
	case DW_CFA_expression:
		set_expression(machine, CFI_EXPRESSION);
		return true;
	case DW_CFA_val_expression:
		set_expression(machine, CFI_OTHER);
		return true;
	}
	return false;
}
