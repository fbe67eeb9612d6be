// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <dwarf.h>

#include "unwind/cfi_machine.h"

/* What the two instructions in the top bits of a byte leave for their operand. */
#define PRIMARY_MASK 0xc0
#define OPERAND_MASK 0x3f

static void remember(struct cfi_machine *machine)
{
	if (machine->in_cie || machine->depth == CFI_REMEMBER_MAX)
		machine->reader.failed = true;
	else
		machine->remembered[machine->depth++] = machine->state;
}

static void recall(struct cfi_machine *machine)
{
	if (!machine->depth)
		machine->reader.failed = true;
	else
		machine->state = machine->remembered[--machine->depth];
}

static void give_row(struct cfi_machine *machine)
{
	machine->stopped = machine->fn(machine->ctx, machine->location,
				       cfi_state__rule(&machine->state, machine->cie->is_signal));
}

/* The state so far holds up to there. */
static void go_to(struct cfi_machine *machine, uint64_t location)
{
	if (machine->in_cie || location < machine->location) {
		machine->reader.failed = true;
		return;
	}
	if (location > machine->location && !machine->reader.failed)
		give_row(machine);
	machine->location = location;
}

static void advance(struct cfi_machine *machine, uint64_t count)
{
	uint64_t location;

	if (__builtin_mul_overflow(count, machine->cie->code_align, &location) ||
	    __builtin_add_overflow(location, machine->location, &location))
		machine->reader.failed = true;
	else
		go_to(machine, location);
}

static void run_rest(struct cfi_machine *machine, uint8_t code)
{
	struct eh_reader *reader = &machine->reader;

	switch (code) {
	case DW_CFA_nop:
		break;
	case DW_CFA_set_loc:
		go_to(machine, eh_reader__pointer(reader, machine->cie->pointer_encoding, true));
		break;
	case DW_CFA_advance_loc1:
		advance(machine, eh_reader__byte(reader));
		break;
	case DW_CFA_advance_loc2:
		advance(machine, eh_reader__fixed(reader, 2));
		break;
	case DW_CFA_advance_loc4:
		advance(machine, eh_reader__fixed(reader, 4));
		break;
	case DW_CFA_remember_state:
		remember(machine);
		break;
	case DW_CFA_restore_state:
		recall(machine);
		break;
	case DW_CFA_GNU_args_size: /* how far a landing pad has to move rsp: not ours */
		eh_reader__uleb(reader);
		break;
	default:
		reader->failed = true;
	}
}

/* One instruction, of at least one byte. */
static void run_one(struct cfi_machine *machine)
{
	uint8_t code = eh_reader__byte(&machine->reader);
	uint8_t operand = code & OPERAND_MASK;

	switch (code & PRIMARY_MASK) {
	case DW_CFA_advance_loc:
		advance(machine, operand);
		break;
	case DW_CFA_offset:
		cfi_machine__set_offset(machine, operand, CFI_OFFSET,
					eh_reader__uleb(&machine->reader));
		break;
	case DW_CFA_restore:
		cfi_machine__restore(machine, operand);
		break;
	default:
		if (!cfi_machine__run_cfa(machine, code) &&
		    !cfi_machine__run_register(machine, code))
			run_rest(machine, code);
	}
}

static void run(struct cfi_machine *machine, uint64_t *budget)
{
	struct eh_reader *reader = &machine->reader;

	while (reader->at < reader->size && !reader->failed && !machine->stopped &&
	       machine->location < machine->end) {
		if (!*budget) {
			reader->failed = true;
			return;
		}
		--*budget;
		run_one(machine);
	}
}

bool cfi__initial(struct cfi_cie *cie, struct eh_reader reader, uint64_t *budget)
{
	struct cfi_machine machine = {
		.cie = cie, .reader = reader, .end = UINT64_MAX, .in_cie = true};

	/* A CFA that nothing defines: of no register. */
	machine.state.cfa_register = UINT64_MAX;
	run(&machine, budget);
	cie->initial = machine.state;
	return !machine.reader.failed;
}

int cfi__each_row(const struct cfi_program *program, cfi_row_fn fn, void *ctx)
{
	static const struct unwind_rule unknown = {.kind = UNWIND_UNKNOWN};
	struct cfi_machine machine = {.cie = program->cie,
				      .reader = program->reader,
				      .state = program->cie->initial,
				      .location = program->start,
				      .end = program->end,
				      .fn = fn,
				      .ctx = ctx};

	run(&machine, program->budget);
	if (machine.stopped || machine.location >= machine.end)
		return machine.stopped;
	if (machine.reader.failed)
		return fn(ctx, machine.location, unknown);
	give_row(&machine);
	return machine.stopped;
}
