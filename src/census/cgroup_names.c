// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "census/cgroup_names.h"

#include <stdbool.h>
#include <string.h>

#define ID_LEN 64 /* hex digits of a container's id */

/* A part of the path between slashes; not terminated. */
struct component {
	const char *text;
	size_t len;
};

static bool starts(const struct component *c, const char *prefix)
{
	size_t len = strlen(prefix);

	return c->len >= len && memcmp(c->text, prefix, len) == 0;
}

static bool ends(const struct component *c, const char *suffix)
{
	size_t len = strlen(suffix);

	return c->len >= len && memcmp(c->text + c->len - len, suffix, len) == 0;
}

static bool is(const struct component *c, const char *text)
{
	return c->len == strlen(text) && starts(c, text);
}

/* Cut to the room there is. */
static void set(char *out, size_t size, const char *text, size_t len)
{
	if (len >= size)
		len = size - 1;
	memcpy(out, text, len);
	out[len] = '\0';
}

#define SET(field, text, len) set(field, sizeof(field), text, len)

static bool is_hex(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (!strchr("0123456789abcdef", text[i]) || !text[i])
			return false;
	}
	return true;
}

static bool is_id(const char *text, size_t len)
{
	return len == ID_LEN && is_hex(text, len);
}

/*
 * What runtimes put before the id: in a scope of systemd ("docker-<id>.scope"; Docker, Podman,
 * containerd's CRI plugin, nerdctl, CRI-O), as a directory ("crio-<id>", "libpod-<id>"), or, where
 * containerd is told to leave systemd out of it, behind a colon ("…slice:cri-containerd:<id>").
 */
static const struct {
	const char *prefix, *runtime;
} scopes[] = {
	{"docker-", "docker"},      {"cri-containerd-", "containerd"},
	{"nerdctl-", "containerd"}, {"crio-", "cri-o"},
	{"libpod-", "podman"},      {":cri-containerd:", "containerd"},
	{":docker:", "docker"},     {":crio:", "cri-o"},
};

static bool parse_scope(const struct component *c, struct cgroup_facts *out)
{
	size_t len = c->len - (ends(c, ".scope") ? strlen(".scope") : 0);

	for (size_t i = 0; i < sizeof(scopes) / sizeof(*scopes); i++) {
		size_t prefix = strlen(scopes[i].prefix);

		if (len < prefix + ID_LEN || !is_id(c->text + len - ID_LEN, ID_LEN) ||
		    memcmp(c->text + len - ID_LEN - prefix, scopes[i].prefix, prefix) ||
		    /* With a dash nothing comes before it: "libpod-conmon-<id>" is none. */
		    (scopes[i].prefix[0] != ':' && len != prefix + ID_LEN))
			continue;
		SET(out->container_id, c->text + len - ID_LEN, ID_LEN);
		SET(out->runtime, scopes[i].runtime, strlen(scopes[i].runtime));
		return true;
	}
	return false;
}

/* The uid as the API has it, with dashes; systemd's names have underscores for them. A static
 * pod's is 32 digits without any. */
static bool parse_uid(const char *text, size_t len, char *out, size_t size)
{
	static const size_t dashes[] = {8, 13, 18, 23};

	if (len >= size || (len != 36 && len != 32))
		return false;
	set(out, size, text, len);
	for (size_t i = 0; len == 36 && i < 4; i++) {
		if (out[dashes[i]] != '_' && out[dashes[i]] != '-')
			return false;
		out[dashes[i]] = '0';
	}
	if (!is_hex(out, len))
		return false;
	for (size_t i = 0; len == 36 && i < 4; i++)
		out[dashes[i]] = '-';
	return true;
}

/* Where the uid starts in "pod<uid>", and in "kubepods-burstable-pod<uid>.slice" with whatever kind
 * and others put before "kubepods"; what ends it is cut off. NULL when there is none. */
static const char *find_uid(struct component *c)
{
	const char *colon = memchr(c->text, ':', c->len);
	const char *found;

	if (starts(c, "pod"))
		return c->text + strlen("pod");
	/* containerd without systemd: "<the pod's slice>:cri-containerd:<id>". */
	if (colon)
		c->len = colon - c->text;
	if (!ends(c, ".slice"))
		return NULL;
	c->len -= strlen(".slice");
	found = memmem(c->text, c->len, "kubepods", strlen("kubepods"));
	found = found ? memmem(found, c->text + c->len - found, "-pod", strlen("-pod")) : NULL;
	return found ? found + strlen("-pod") : NULL;
}

static bool parse_pod(const struct component *component, struct cgroup_facts *out)
{
	struct component c = *component;
	const char *found = find_uid(&c);
	char uid[sizeof(out->pod_uid)];

	if (!found || !parse_uid(found, c.text + c.len - found, uid, sizeof(uid)))
		return false;
	memcpy(out->pod_uid, uid, sizeof(uid));
	return true;
}

/* Names rather than ids: "lxc/web", "lxc.payload.web", "systemd-nspawn@web.service". */
static bool parse_machine(const struct component *c, const struct component *before,
			  struct cgroup_facts *out)
{
	const char *runtime = "lxc";
	const char *name = c->text;
	size_t len = c->len;

	if (is(before, "lxc") || is(before, "lxc.payload")) {
		;
	} else if (starts(c, "lxc.payload.")) {
		name += strlen("lxc.payload.");
		len -= strlen("lxc.payload.");
	} else if (starts(c, "systemd-nspawn@") && ends(c, ".service")) {
		runtime = "systemd-nspawn";
		name += strlen("systemd-nspawn@");
		len -= strlen("systemd-nspawn@") + strlen(".service");
	} else {
		return false;
	}
	SET(out->container_id, name, len);
	SET(out->runtime, runtime, strlen(runtime));
	return true;
}

/* An id alone is a directory below the runtime's, or the pod's. */
static bool parse_bare_id(const struct component *c, const struct component *before,
			  struct cgroup_facts *out)
{
	const char *runtime = "";
	struct cgroup_facts ignored = {0};

	if (!is_id(c->text, c->len))
		return false;
	if (is(before, "docker"))
		runtime = "docker";
	else if (is(before, "default") || is(before, "k8s.io"))
		runtime = "containerd"; /* containerd's namespaces */
	else if (is(before, "libpod_parent"))
		runtime = "podman";
	else if (parse_pod(before, &ignored))
		runtime = "kubernetes";
	SET(out->container_id, c->text, c->len);
	SET(out->runtime, runtime, strlen(runtime));
	return true;
}

static void parse_unit(const struct component *c, struct cgroup_facts *out)
{
	/* systemd escapes names that look like the kernel's files with an underscore (cg_escape in
	 * basic/cgroup-util.c). */
	size_t escaped = c->len && c->text[0] == '_';

	if (ends(c, ".service") || ends(c, ".scope"))
		SET(out->unit, c->text + escaped, c->len - escaped);
}

void cgroup_names__parse(const char *path, struct cgroup_facts *out)
{
	struct component before = {"", 0};

	out->container_id[0] = out->runtime[0] = out->pod_uid[0] = out->unit[0] = '\0';
	for (const char *p = path + strspn(path, "/"); *p; p += strspn(p, "/")) {
		struct component c = {p, strcspn(p, "/")};

		parse_pod(&c, out);
		parse_unit(&c, out);
		if (!parse_scope(&c, out) && !parse_machine(&c, &before, out))
			parse_bare_id(&c, &before, out);
		before = c;
		p += c.len;
	}
}
