// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "cmd/named_options.h"

#include <errno.h>

#include "base/log.h"
#include "base/text.h"
#include "cmd/cmd.h"

static int complain(const char *path)
{
	char file[256];

	log_error(
		"--object %s needs --symbols LIST behind it, such as malloc=my_alloc,free=my_free",
		text_printable(file, sizeof(file), path));
	return EXIT_USAGE;
}

int named_options__object(struct named_options *options, const char *path)
{
	if (options->pending)
		return complain(options->object);
	options->object = path;
	options->pending = true;
	return -1;
}

int named_options__symbols(struct named_options *options, const char *list)
{
	int err;

	if (!options->object) {
		log_error("--symbols needs --object FILE before it: the file that has them");
		return EXIT_USAGE;
	}
	options->pending = false;
	err = named_objects__add(&options->objects, options->object, list);
	if (!err)
		return -1;
	return err == -EINVAL ? EXIT_USAGE : EXIT_FAILED;
}

int named_options__check(const struct named_options *options)
{
	return options->pending ? complain(options->object) : -1;
}

void named_options__free(struct named_options *options)
{
	named_objects__free(&options->objects);
}

void named_options__warn_unseen(const struct named_options *options)
{
	char file[256];

	for (size_t i = 0; i < options->objects.count; i++) {
		const struct named_object *object = options->objects.list[i];

		if (!object->seen)
			log_warning("--object %s: no process that was looked at has mapped it",
				    text_printable(file, sizeof(file), object->path));
	}
}
