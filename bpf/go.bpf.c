// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
/* Go's own allocations: func mallocgc(size uintptr, typ *_type, needzero bool), runtime/malloc.go.
 */
#include "allocator.h"

NO_PROGRAMS(go_none);

/* abi.Type begins with Size_, PtrBytes (internal/abi/type.go; runtime/type.go before 1.20). */
#define TYPE_PTR_BYTES 8

/* What is set aside is set aside for the object and, if it has one, its header. */
static __always_inline __u64 with_header(struct class_counts *counts, __u64 size, __u64 type)
{
	__u64 pointers = 0;

	/* A slice of bytes without a type has no pointers. */
	if (size <= GO_HEADER_ABOVE || size > GO_HEADER_MAX || !type)
		return size;
	/* Its page may not be there yet: nobody needs to have read it before mallocgc does. */
	if (bpf_probe_read_user(&pointers, sizeof(pointers), (void *)(type + TYPE_PTR_BYTES)))
		__sync_fetch_and_add(&counts->header_unknown, 1);
	return pointers ? size + GO_HEADER_BYTES : size;
}

/* Size, type and needzero are in rax, rbx and rcx (cmd/compile/abi-internal.md, amd64). */
SEC("uprobe")
int go_malloc_enter(struct pt_regs *ctx)
{
	struct alloc_counts *counts = find_counts();
	__u64 cookie, size = ctx->ax, type = ctx->bx;
	struct class_counts *classes;

	stay_on_own_stack(ctx, &go_none);
	if (!counts)
		return 0;
	cookie = bpf_get_attach_cookie(ctx);
	/* A function of its own serves that size, and is probed; 0 is served at once. */
	if (size && size <= GO_COOKIE_HANDED_MAX(cookie)) {
		__sync_fetch_and_add(&counts->tail_calls, 1);
		return 0;
	}
	__sync_fetch_and_add(&counts->calls[GO_COOKIE_ROW(cookie) & (CALL_ROWS - 1)], 1);
	__sync_fetch_and_add(&counts->go_calls, 1);
	classes = find_classes();
	if (!classes || size >> 63)
		return 0;
	add_to_class(classes, size,
		     GO_COOKIE_HEADERS(cookie) ? with_header(classes, size, type) : size);
	return 0;
}
