// SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "cmd/cmd.h"
#include "cmd/trace_session.h"
#include "probe/feature.h"
#include "stack/debuginfod.h"

static int open_output(const char *path, FILE **file)
{
	if (!path)
		return EXIT_OK;
	*file = fopen(path, "we");
	if (*file)
		return EXIT_OK;
	log_error("cannot write %s: %s", path, strerror(errno));
	return EXIT_FAILED;
}

int cmd_trace(int argc, char **argv)
{
	struct trace_session session = {0};
	char message[FEATURE_MESSAGE_MAX];
	struct trace_options options;
	int code = trace_options__parse(argc, argv, &options), err;

	if (code >= 0) {
		trace_options__free(&options);
		return code;
	}
	log_bridge_libbpf();
	if (feature__require(message, sizeof(message))) {
		log_error("%s", message);
		return EXIT_FAILED;
	}
	/* A reader of the report that goes away is an error of writing, not a reason to die. */
	session.sigpipe = signal(SIGPIPE, SIG_IGN);
	/* Before the trace: a long one must not end in a report that cannot be written. */
	code = open_output(options.output, &session.output);
	if (code == EXIT_OK)
		code = profile_files__open(&session.profile, &options.profile);
	if (code == EXIT_OK)
		code = recording_file__open(&session.recording, options.record);
	if (code == EXIT_OK && options.debuginfod && debuginfod__load())
		code = EXIT_FAILED;
	if (code != EXIT_OK) {
		recording_file__close(&session.recording);
		profile_files__close(&session.profile);
		return code;
	}

	code = trace_session__start(&session, &options);
	if (code < 0) {
		log_info("the trace has begun; ^C ends it with the report");
		err = trace_session__run(&session);
		trace_session__stop(&session);
		if (err)
			log_error("the trace broke off: %s; what follows is what it saw until then",
				  strerror(-err));
		code = trace_report__write(&session);
		if (err && code == EXIT_OK)
			code = EXIT_FAILED;
	}
	recording_file__close(&session.recording);
	profile_files__close(&session.profile);
	trace_session__free(&session);
	trace_options__free(&options);
	return code;
}
