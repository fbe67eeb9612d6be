// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/doctor_process_impl.h"
#include "probe/attach.h"

/* Of a function and its offset. */
#define NAME_COLUMNS 28

static const char *seccomp_name(int mode)
{
	static const char *const names[] = {"none", "strict", "filter"};

	return mode >= 0 && mode < 3 ? names[mode] : NULL;
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

static json_t *object_json(const struct doctor_process *process, const struct malloc_object *entry)
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

static json_t *malloc_json(const struct malloc_object *owner)
{
	if (!owner)
		return json_null();
	return json_pack("{s:s, s:s}", "allocator", allocator_kind__name(owner->object->kind),
			 "path", owner->path);
}

json_t *doctor_process__json(const struct doctor_process *process)
{
	json_t *objects = json_array();

	for (size_t i = 0; i < process->object_count; i++)
		json_array_append_new(objects, object_json(process, &process->objects[i]));
	return json_pack("{s:I, s:s, s:s?, s:o, s:s?, s:b, s:i, s:i, s:o}", "pid",
			 (json_int_t)process->pid, "comm", process->comm, "exe", process->exe,
			 "malloc", malloc_json(process->malloc_owner), "seccomp",
			 seccomp_name(process->seccomp), "costs_measured", process->measured,
			 "objects_mapped", (int)process->scan.objects, "objects_unread",
			 (int)process->scan.unread, "objects", objects);
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
		fprintf(out, "    %-*s takes no probe: Go before 1.17 passes sizes on the stack\n",
			NAME_COLUMNS, GO_MALLOC_KEY);
		return;
	}
	for (size_t i = 0; i < go->count; i++)
		print_function(process, go->functions[i].name, &go->functions[i].site,
			       go->functions[i].ready, out);
	fprintf(out, "    Go's own allocator: %s, probed with --buckets go\n",
		go->version[0] ? go->version : "version not known");
}

static void print_object(const struct doctor_process *process, const struct malloc_object *entry,
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
	if (process->malloc_owner)
		fprintf(out, "\n  Its malloc is %s's: %s\n",
			process->malloc_owner->object->kind == ALLOCATOR_UNKNOWN
				? "an unknown allocator"
				: allocator_kind__name(process->malloc_owner->object->kind),
			process->malloc_owner->path);
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
