// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "cmd/doctor_calibrate.h"
#include "cmd/doctor_process_impl.h"

static int add_object(void *ctx, const struct allocator_mapping *mapping)
{
	struct doctor_process *process = ctx;
	struct malloc_object *bigger, *added;

	bigger = reallocarray(process->objects, process->object_count + 1, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	process->objects = bigger;
	added = &bigger[process->object_count];
	added->path = text_printable_dup(mapping->path);
	if (!added->path)
		return -ENOMEM;
	added->start = mapping->start;
	added->object = allocator_object__get(mapping->object);
	process->object_count++;
	return 0;
}

static int explain_failure(uint32_t pid, int err)
{
	if (err == -ESRCH || err == -ENOENT)
		log_error("there is no process %u; is the PID right, and has it not ended?", pid);
	else if (err == -EACCES || err == -EPERM)
		log_error("cannot read what process %u has mapped: %s; run it as root", pid,
			  strerror(-err));
	else
		log_error("cannot read process %u: %s", pid, strerror(-err));
	return err;
}

/* Names and state. A tid is taken for its process. */
static int identify(struct doctor_process *process, uint32_t pid)
{
	struct proc_stat stat;
	char *exe;
	int err;

	err = proc_tgid(pid, &process->pid);
	if (!err)
		err = proc_stat__read(process->pid, &stat);
	if (err)
		return explain_failure(pid, err);
	text_printable(process->comm, sizeof(process->comm), stat.comm);
	if (stat.is_kernel_thread || stat.is_zombie) {
		log_error("process %u (%s) %s: there is nothing to probe", pid, process->comm,
			  stat.is_zombie ? "has ended and waits for its parent"
					 : "is a kernel thread");
		return -EINVAL;
	}
	if (!proc_stat__exe(process->pid, &exe)) {
		process->exe = text_printable_dup(exe);
		free(exe);
	}
	process->seccomp = proc_seccomp(process->pid);
	return 0;
}

int doctor_process__read(uint32_t pid, bool may_trace, const struct named_objects *named,
			 struct doctor_process **out)
{
	struct doctor_process *process = calloc(1, sizeof(*process));
	int err;

	if (!process)
		return -ENOMEM;
	err = identify(process, pid);
	if (err)
		goto fail;
	insn_costs__assume(&process->costs);
	process->measured = may_trace && !doctor_calibrate(&process->costs);
	err = -ENOMEM;
	process->cache = allocator_cache__new(&process->costs);
	if (process->cache) {
		allocator_cache__search_go(process->cache);
		allocator_cache__set_named(process->cache, named);
		err = allocator_cache__each_mapped(process->cache, (pid_t)process->pid, add_object,
						   process, &process->scan);
	}
	if (err) {
		explain_failure(pid, err);
		goto fail;
	}
	process->malloc_owner =
		malloc_owner__find(process->pid, process->objects, process->object_count);
	*out = process;
	return 0;
fail:
	doctor_process__free(process);
	return err;
}

void doctor_process__free(struct doctor_process *process)
{
	if (!process)
		return;
	for (size_t i = 0; i < process->object_count; i++) {
		allocator_object__put(process->objects[i].object);
		free(process->objects[i].path);
	}
	free(process->objects);
	allocator_cache__free(process->cache);
	free(process->exe);
	free(process);
}
