// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "unwind/cfi.h"

#include <dwarf.h>

/* What the two instructions in the top bits of a byte leave for their operand. */
#define PRIMARY_MASK 0xc0
#define OPERAND_MASK 0x3f

struct machine {
	const struct cfi_cie *cie;
	struct eh_reader reader;
	struct cfi_state state;
	struct cfi_state remembered[CFI_REMEMBER_MAX];
	unsigned int depth;
	uint64_t location, end;
	bool in_cie; /* whose instructions are about no address */
	cfi_row_fn fn;
	void *ctx;
	int stopped;
};

/* One of the three registers; NULL for one that nobody looks at, as most are. */
static struct cfi_register *pick_register(struct machine *machine, uint64_t number)
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

static void set_register(struct machine *machine, uint64_t number, enum cfi_where where)
{
	struct cfi_register *place = pick_register(machine, number);

	if (place)
		*place = (struct cfi_register){.where = where};
}

static int64_t scale(struct machine *machine, uint64_t offset)
{
	int64_t result;

	if (__builtin_mul_overflow((int64_t)offset, machine->cie->data_align, &result))
		machine->reader.failed = true;
	return result;
}

static void set_offset(struct machine *machine, uint64_t number, enum cfi_where where,
		       uint64_t offset)
{
	struct cfi_register *place = pick_register(machine, number);

	if (place)
		*place = (struct cfi_register){.where = where, .offset = scale(machine, offset)};
}

static void set_expression(struct machine *machine, enum cfi_where where)
{
	uint64_t number = eh_reader__uleb(&machine->reader);
	struct cfi_register *place = pick_register(machine, number);
	uint64_t size = eh_reader__uleb(&machine->reader);
	struct eh_span expression = eh_reader__span(&machine->reader, size);

	if (place)
		*place = (struct cfi_register){.where = where, .expression = expression};
}

static void restore_initial(struct machine *machine, uint64_t number)
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

static void define_cfa(struct machine *machine, uint64_t number, int64_t offset)
{
	machine->state.cfa_is_expression = false;
	machine->state.cfa_register = number;
	machine->state.cfa_offset = offset;
}

/* Half of a CFA: the other half must be there. */
static void change_cfa(struct machine *machine, uint64_t number, int64_t offset)
{
	if (machine->state.cfa_is_expression)
		machine->reader.failed = true;
	define_cfa(machine, number, offset);
}

static void remember(struct machine *machine)
{
	if (machine->in_cie || machine->depth == CFI_REMEMBER_MAX)
		machine->reader.failed = true;
	else
		machine->remembered[machine->depth++] = machine->state;
}

static void recall(struct machine *machine)
{
	if (!machine->depth)
		machine->reader.failed = true;
	else
		machine->state = machine->remembered[--machine->depth];
}

static void give_row(struct machine *machine)
{
	machine->stopped = machine->fn(machine->ctx, machine->location,
				       cfi_state__rule(&machine->state, machine->cie->is_signal));
}

/* The state so far holds up to there. */
static void go_to(struct machine *machine, uint64_t location)
{
	if (machine->in_cie || location < machine->location) {
		machine->reader.failed = true;
		return;
	}
	if (location > machine->location && !machine->reader.failed)
		give_row(machine);
	machine->location = location;
}

static void advance(struct machine *machine, uint64_t count)
{
	uint64_t location;

	if (__builtin_mul_overflow(count, machine->cie->code_align, &location) ||
	    __builtin_add_overflow(location, machine->location, &location))
		machine->reader.failed = true;
	else
		go_to(machine, location);
}

/* Instructions about the CFA. False for others. */
static bool run_cfa(struct machine *machine, uint8_t code)
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

/* Instructions about one register. False for others. */
static bool run_register(struct machine *machine, uint8_t code)
{
	struct eh_reader *reader = &machine->reader;
	uint64_t number;

	switch (code) {
	case DW_CFA_offset_extended:
		number = eh_reader__uleb(reader);
		set_offset(machine, number, CFI_OFFSET, eh_reader__uleb(reader));
		return true;
	case DW_CFA_offset_extended_sf:
		number = eh_reader__uleb(reader);
		set_offset(machine, number, CFI_OFFSET, (uint64_t)eh_reader__sleb(reader));
		return true;
	case DW_CFA_GNU_negative_offset_extended:
		number = eh_reader__uleb(reader);
		set_offset(machine, number, CFI_OFFSET, -eh_reader__uleb(reader));
		return true;
	case DW_CFA_val_offset:
		number = eh_reader__uleb(reader);
		set_offset(machine, number, CFI_VALUE, eh_reader__uleb(reader));
		return true;
	case DW_CFA_val_offset_sf:
		number = eh_reader__uleb(reader);
		set_offset(machine, number, CFI_VALUE, (uint64_t)eh_reader__sleb(reader));
		return true;
	case DW_CFA_restore_extended:
		restore_initial(machine, eh_reader__uleb(reader));
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

static void run_rest(struct machine *machine, uint8_t code)
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
static void run_one(struct machine *machine)
{
	uint8_t code = eh_reader__byte(&machine->reader);
	uint8_t operand = code & OPERAND_MASK;

	switch (code & PRIMARY_MASK) {
	case DW_CFA_advance_loc:
		advance(machine, operand);
		break;
	case DW_CFA_offset:
		set_offset(machine, operand, CFI_OFFSET, eh_reader__uleb(&machine->reader));
		break;
	case DW_CFA_restore:
		restore_initial(machine, operand);
		break;
	default:
		if (!run_cfa(machine, code) && !run_register(machine, code))
			run_rest(machine, code);
	}
}

static void run(struct machine *machine, uint64_t *budget)
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
	struct machine machine = {.cie = cie, .reader = reader, .end = UINT64_MAX, .in_cie = true};

	/* A CFA that nothing defines: of no register. */
	machine.state.cfa_register = UINT64_MAX;
	run(&machine, budget);
	cie->initial = machine.state;
	return !machine.reader.failed;
}

int cfi__each_row(const struct cfi_program *program, cfi_row_fn fn, void *ctx)
{
	static const struct unwind_rule unknown = {.kind = UNWIND_UNKNOWN};
	struct machine machine = {.cie = program->cie,
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
