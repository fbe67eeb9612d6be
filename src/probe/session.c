// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "probe/session.h"

#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "memdrift/live.h"

static int find_kernel_function(const char *name)
{
	struct btf *btf = btf__load_vmlinux_btf();
	int id;

	if (!btf)
		return -errno;
	id = btf__find_by_name_kind(btf, name, BTF_KIND_FUNC);
	btf__free(btf);
	return id;
}

static bool is_placeholder(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) && !insn->src_reg &&
	       insn->imm == SESSION_COOKIE_CALL;
}

int session__resolve_cookie(struct bpf_program *prog)
{
	size_t count = bpf_program__insn_cnt(prog);
	struct bpf_insn *insns;
	int id = find_kernel_function("bpf_session_cookie"), err;

	if (id < 0)
		return id;
	insns = malloc(count * sizeof(*insns));
	if (!insns)
		return -ENOMEM;
	memcpy(insns, bpf_program__insns(prog), count * sizeof(*insns));
	for (size_t i = 0; i < count; i++)
		if (is_placeholder(&insns[i])) {
			insns[i].src_reg = BPF_PSEUDO_KFUNC_CALL;
			insns[i].imm = id;
		}
	err = bpf_program__set_insns(prog, insns, count);
	free(insns);
	return err;
}
