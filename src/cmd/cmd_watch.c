// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/watch_options.h"
#include "watch/watch.h"

int cmd_watch(int argc, char **argv)
{
	struct watch_options options;
	int code = watch_options__parse(argc, argv, &options);

	if (code >= 0)
		return code;
	log_bridge_libbpf();
	if (options.once)
		return watch__once(&options) ? EXIT_FAILED : EXIT_OK;
	return watch__run(&options) ? EXIT_FAILED : EXIT_OK;
}
