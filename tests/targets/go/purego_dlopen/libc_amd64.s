// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)

// The C half of runtime/cgo for Go 1.19 on linux/amd64: functions of the C calling convention
// that Go's runtime calls at its start and for each new thread, and the call of a C function.

#include "textflag.h"

// A pthread's stack has 8 MiB unless the limit says otherwise; Go may count on this much of it.
#define STACK_USED (256*1024)

// g->stack.lo and g->stack.hi
#define G_LO 0
#define G_HI 8

GLOBL setg_gcc<>(SB), NOPTR, $8

// void init(g *g0, void (*setg)(g *))
TEXT cgo_init<>(SB), NOSPLIT|NOFRAME, $0
	MOVQ SI, setg_gcc<>(SB)
	LEAQ -STACK_USED(SP), AX
	MOVQ AX, G_LO(DI)
	RET

// void thread_start(struct { g *g; uint64 *tls; void (*fn)(void); } *ts)
// Signals are blocked while the thread has no g.
TEXT cgo_thread_start<>(SB), NOSPLIT|NOFRAME, $0
	PUSHQ BX
	PUSHQ R12
	SUBQ $280, SP // two signal sets of 128 bytes, the thread's handle, and alignment
	MOVQ DI, BX
	MOVQ $24, DI
	CALL libc_malloc(SB)
	MOVQ AX, R12
	MOVQ 0(BX), CX
	MOVQ $STACK_USED, G_HI(CX) // mstart takes the top from its own frame
	MOVQ CX, 0(R12)
	MOVQ 8(BX), CX
	MOVQ CX, 8(R12)
	MOVQ 16(BX), CX
	MOVQ CX, 16(R12)
	MOVQ $-1, AX
	LEAQ 0(SP), DI
	MOVQ $16, CX
	REP; STOSQ
	MOVQ $2, DI // SIG_SETMASK
	LEAQ 0(SP), SI
	LEAQ 128(SP), DX
	CALL libc_pthread_sigmask(SB)
	LEAQ 256(SP), DI
	XORQ SI, SI
	LEAQ thread_entry<>(SB), DX
	MOVQ R12, CX
	CALL libc_pthread_create(SB)
	TESTL AX, AX
	JEQ started
	INT $3
started:
	MOVQ 256(SP), DI
	CALL libc_pthread_detach(SB)
	MOVQ $2, DI
	LEAQ 128(SP), SI
	XORQ DX, DX
	CALL libc_pthread_sigmask(SB)
	ADDQ $280, SP
	POPQ R12
	POPQ BX
	RET

// void *thread_entry(copy of ts)
TEXT thread_entry<>(SB), NOSPLIT|NOFRAME, $0
	PUSHQ BX
	PUSHQ BP
	PUSHQ R12
	PUSHQ R13
	PUSHQ R14
	PUSHQ R15
	SUBQ $8, SP
	MOVQ 0(DI), R12
	MOVQ 16(DI), R13
	CALL libc_free(SB)
	MOVQ R12, DI
	MOVQ setg_gcc<>(SB), AX
	CALL AX
	CALL R13
	ADDQ $8, SP
	POPQ R15
	POPQ R14
	POPQ R13
	POPQ R12
	POPQ BP
	POPQ BX
	XORL AX, AX
	RET

TEXT cgo_nothing<>(SB), NOSPLIT|NOFRAME, $0
	RET

// void setenv(char *pair[2])
TEXT cgo_setenv<>(SB), NOSPLIT|NOFRAME, $0
	SUBQ $8, SP
	MOVQ 8(DI), SI
	MOVQ 0(DI), DI
	MOVQ $1, DX
	CALL libc_setenv(SB)
	ADDQ $8, SP
	RET

// void unsetenv(char *name[1])
TEXT cgo_unsetenv<>(SB), NOSPLIT|NOFRAME, $0
	SUBQ $8, SP
	MOVQ 0(DI), DI
	CALL libc_unsetenv(SB)
	ADDQ $8, SP
	RET

// int call(struct { fn, a, b, result } *c), on the stack of the system
TEXT call_c<>(SB), NOSPLIT|NOFRAME, $0
	PUSHQ BX
	MOVQ DI, BX
	MOVQ 16(BX), SI
	MOVQ 8(BX), DI
	MOVQ 0(BX), CX
	XORL AX, AX
	CALL CX
	MOVQ AX, 24(BX)
	XORL AX, AX
	POPQ BX
	RET

TEXT libc_malloc_jump<>(SB), NOSPLIT|NOFRAME, $0
	JMP libc_malloc(SB)

TEXT libc_calloc_jump<>(SB), NOSPLIT|NOFRAME, $0
	JMP libc_calloc(SB)

TEXT libc_realloc_jump<>(SB), NOSPLIT|NOFRAME, $0
	JMP libc_realloc(SB)

TEXT libc_free_jump<>(SB), NOSPLIT|NOFRAME, $0
	JMP libc_free(SB)

TEXT libc_dlopen_jump<>(SB), NOSPLIT|NOFRAME, $0
	JMP libc_dlopen(SB)

TEXT libc_dlsym_jump<>(SB), NOSPLIT|NOFRAME, $0
	JMP libc_dlsym(SB)

#define POINTER(name, to) \
	DATA name(SB)/8, $to(SB) \
	GLOBL name(SB), NOPTR, $8

POINTER(·mallocPC, libc_malloc_jump<>)
POINTER(·callocPC, libc_calloc_jump<>)
POINTER(·reallocPC, libc_realloc_jump<>)
POINTER(·freePC, libc_free_jump<>)
POINTER(·dlopenPC, libc_dlopen_jump<>)
POINTER(·dlsymPC, libc_dlsym_jump<>)
POINTER(·callPC, call_c<>)
POINTER(_cgo_init, cgo_init<>)
POINTER(_cgo_thread_start, cgo_thread_start<>)
POINTER(_cgo_notify_runtime_init_done, cgo_nothing<>)
POINTER(runtime·_cgo_setenv, cgo_setenv<>)
POINTER(runtime·_cgo_unsetenv, cgo_unsetenv<>)
