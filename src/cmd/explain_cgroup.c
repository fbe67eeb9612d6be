// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/explain_cgroup.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "census/cgroup_memory.h"
#include "cmd/cmd.h"
#include "cmd/report_file.h"
#include "output/cgroup_report.h"

static int write_json(FILE *out, const struct cgroup_memory *memory)
{
	json_t *root = cgroup_json__make(memory);
	int err = -ENOMEM;

	if (root) {
		errno = 0;
		err = json_dumpf(root, out, JSON_INDENT(1) | JSON_REAL_PRECISION(12))
			      ? (errno ? -errno : -EIO)
			      : 0;
	}
	json_decref(root);
	fputc('\n', out);
	return err;
}

static int write_text(FILE *out, const struct cgroup_memory *memory)
{
	struct text_options options = report_file__narrow_options(out);

	return cgroup_text__write(out, memory, &options);
}

int explain_cgroup(const char *path, bool json, FILE *out)
{
	struct cgroup_memory memory;
	int err = cgroup_memory__read(path, &memory);

	if (err)
		return EXIT_FAILED;
	err = json ? write_json(out, &memory) : write_text(out, &memory);
	cgroup_memory__free(&memory);
	if (!err && (fflush(out) || ferror(out)))
		err = -errno;
	if (err)
		log_error("cannot write the explanation: %s", strerror(-err));
	return err ? EXIT_FAILED : EXIT_OK;
}
