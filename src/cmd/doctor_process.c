// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/doctor_process.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "census/proc_stat.h"
#include "cmd/doctor_calibrate.h"
#include "probe/allocator.h"
#include "probe/attach.h"

#define NAME_COLUMNS 28

struct doctor_object {
	char *path; /* printable */
	const struct allocator_object *object;
};

struct doctor_process {
	uint32_t pid;
	char comm[4 * PROC_COMM_MAX]; /* printable */
	char *exe;                    /* printable, NULL when unknown */
	int seccomp;                  /* 0 none, 1 strict, 2 filter; negative: unknown */
	struct insn_costs costs;
	bool measured;
	struct allocator_cache *cache;
	struct allocator_scan scan;
	struct doctor_object *objects;
	size_t object_count;
};

static const char *seccomp_name(int mode)
{
	static const char *const names[] = {"none", "strict", "filter"};

	return mode >= 0 && mode < 3 ? names[mode] : NULL;
}

static int add_object(void *ctx, const struct allocator_mapping *mapping)
{
	struct doctor_process *process = ctx;
	struct doctor_object *bigger, *added;

	bigger = reallocarray(process->objects, process->object_count + 1, sizeof(*bigger));
	if (!bigger)
		return -ENOMEM;
	process->objects = bigger;
	added = &bigger[process->object_count];
	added->path = text_printable_dup(mapping->path);
	if (!added->path)
		return -ENOMEM;
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

/* Where the creation of arenas would be seen, best source first; as probe/coverage.c attaches. */
static bool uses_return_probe(const struct allocator_object *object)
{
	return object->kind == ALLOCATOR_GLIBC && object->arena_symbol != ARENA_SYMBOL_NONE &&
	       object->arena_get2.ready && attach__return_probes_safe();
}

static const char *arena_source(const struct allocator_object *object)
{
	if (object->usdt_arena_new)
		return "usdt";
	return uses_return_probe(object) ? "symbol" : "mapping";
}

static const char *arena_detail(const struct allocator_object *object)
{
	if (object->usdt_arena_new)
		return "libc:memory_arena_new";
	if (object->arena_symbol == ARENA_SYMBOL_NONE)
		return "sizes and alignment of mappings; libc's debug symbols would add arena_get2";
	if (!object->arena_get2.ready)
		return "sizes and alignment of mappings; arena_get2 takes no probe";
	if (!attach__return_probes_safe())
		return "sizes and alignment of mappings; this kernel's return probes (6.11 to "
		       "6.13) "
		       "can kill a process that has a seccomp filter";
	if (object->arena_symbol == ARENA_SYMBOL_DEBUG_FILE)
		return "arena_get2 and its return, found in libc's separate debug file";
	return "arena_get2 and its return, found in libc's own symbols";
}

static json_t *site_json(const struct doctor_process *process, const struct site *site, bool ready)
{
	const struct insn_cost *cost = &process->costs.cls[site->cls];
	char address[24];

	if (!ready)
		return json_null();
	snprintf(address, sizeof(address), "0x%llx", (unsigned long long)site->offset);
	return json_pack("{s:I, s:s, s:s, s:s, s:b, s:o}", "insn_offset",
			 (json_int_t)site->insn_offset, "file_offset", address, "instruction",
			 site->text, "class", insn_class__name(site->cls), "emulated",
			 cost->emulated, "hit_ns",
			 cost->measured ? json_real(cost->hit_ns) : json_null());
}

/* All of them; the key leaves out those that another one stands for. */
static json_t *names_json(const struct allocator_function *function)
{
	json_t *names = json_array();

	for (size_t i = 0; i < family__size(); i++)
		if (family_set__has(&function->names, i))
			json_array_append_new(names, json_string(family__name(i)->shown));
	return names;
}

static json_t *functions_json(const struct doctor_process *process,
			      const struct allocator_object *object)
{
	json_t *functions = json_array();

	for (size_t i = 0; i < object->function_count; i++) {
		const struct allocator_function *function = &object->functions[i];

		json_array_append_new(
			functions, json_pack("{s:s, s:o, s:b, s:b, s:o}", "key", function->key,
					     "names", names_json(function), "jumps_to_others",
					     function->handoff != HANDOFF_NONE, "calls_others",
					     function->nested_count > 0, "site",
					     site_json(process, &function->site, function->ready)));
	}
	for (size_t i = 0; object->go && i < object->go->count; i++)
		json_array_append_new(functions,
				      json_pack("{s:s, s:o}", "key", object->go->functions[i].name,
						"site",
						site_json(process, &object->go->functions[i].site,
							  object->go->functions[i].ready)));
	return functions;
}

static json_t *arenas_json(const struct allocator_object *object)
{
	if (object->kind != ALLOCATOR_GLIBC)
		return json_null();
	return json_pack("{s:s, s:s, s:b}", "source", arena_source(object), "detail",
			 arena_detail(object), "return_probe", uses_return_probe(object));
}

static json_t *object_json(const struct doctor_process *process, const struct doctor_object *entry)
{
	const struct allocator_object *object = entry->object;
	json_t *soname = json_null();
	char *printable = text_printable_dup(object->soname);

	if (printable && *printable)
		soname = json_string(printable);
	free(printable);
	return json_pack("{s:s, s:o, s:s, s:b, s:b, s:b, s:o, s:o}", "path", entry->path, "soname",
			 soname, "allocator", allocator_kind__name(object->kind), "named",
			 object->is_named, "go", object->is_go, "static", object->is_static,
			 "arenas", arenas_json(object), "functions",
			 functions_json(process, object));
}

json_t *doctor_process__json(const struct doctor_process *process)
{
	json_t *objects = json_array();

	for (size_t i = 0; i < process->object_count; i++)
		json_array_append_new(objects, object_json(process, &process->objects[i]));
	return json_pack("{s:I, s:s, s:s?, s:s?, s:b, s:i, s:i, s:o}", "pid",
			 (json_int_t)process->pid, "comm", process->comm, "exe", process->exe,
			 "seccomp", seccomp_name(process->seccomp), "costs_measured",
			 process->measured, "objects_mapped", (int)process->scan.objects,
			 "objects_unread", (int)process->scan.unread, "objects", objects);
}

static void print_function(const struct doctor_process *process, const char *name,
			   const struct site *site, bool ready, FILE *out)
{
	const struct insn_cost *cost = &process->costs.cls[site->cls];
	char where[ALLOCATOR_KEY_MAX + 16];

	if (!ready) {
		fprintf(out, "    %-*s takes no probe\n", NAME_COLUMNS, name);
		return;
	}
	snprintf(where, sizeof(where), "%s+0x%x", name, site->insn_offset);
	/* Joined names and operators: a line of their own. */
	if (strlen(where) > NAME_COLUMNS)
		fprintf(out, "    %s\n    %-*s ", where, NAME_COLUMNS, "");
	else
		fprintf(out, "    %-*s ", NAME_COLUMNS, where);
	fprintf(out, "%-26s %-8s %-14s ", site->text, insn_class__name(site->cls),
		cost->emulated ? "emulated" : "single-stepped");
	if (cost->measured)
		fprintf(out, "%5.0f ns\n", cost->hit_ns);
	else
		fprintf(out, "not measured\n");
}

/* Only probed by `trace --buckets go`. */
static void print_go(const struct doctor_process *process, const struct go_malloc *go, FILE *out)
{
	if (go->stack_args) {
		fprintf(out, "    %-28s takes no probe: Go before 1.17 passes sizes on the stack\n",
			GO_MALLOC_KEY);
		return;
	}
	for (size_t i = 0; i < go->count; i++)
		print_function(process, go->functions[i].name, &go->functions[i].site,
			       go->functions[i].ready, out);
	fprintf(out, "    Go's own allocator: %s, probed with --buckets go\n",
		go->version[0] ? go->version : "version not known");
}

static void print_object(const struct doctor_process *process, const struct doctor_object *entry,
			 FILE *out)
{
	const struct allocator_object *object = entry->object;

	fprintf(out, "\n  %s: %s%s%s%s\n", entry->path, allocator_kind__name(object->kind),
		object->is_named ? ", named by --symbols" : "",
		object->is_static ? ", static program" : "", object->is_go ? ", Go" : "");
	for (size_t i = 0; i < object->function_count; i++)
		print_function(process, object->functions[i].key, &object->functions[i].site,
			       object->functions[i].ready, out);
	if (object->go)
		print_go(process, object->go, out);
	if (object->kind == ALLOCATOR_GLIBC)
		fprintf(out, "    arenas: by %s (%s)\n", arena_source(object),
			arena_detail(object));
}

void doctor_process__print(const struct doctor_process *process, FILE *out)
{
	const char *seccomp = seccomp_name(process->seccomp);

	fprintf(out, "%s (pid %u), %s, seccomp %s\n", process->comm, process->pid,
		process->exe ? process->exe : "program unknown", seccomp ? seccomp : "unknown");
	if (!process->object_count)
		fprintf(out,
			"\n  None of the %u files that it runs has an allocator's functions.\n",
			process->scan.objects);
	for (size_t i = 0; i < process->object_count; i++)
		print_object(process, &process->objects[i], out);
	if (process->scan.unread)
		fprintf(out, "\n  %u of %u mapped files could not be searched.\n",
			process->scan.unread, process->scan.objects);
}
