/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CMD_CMD_H
#define MEMDRIFT_CMD_CMD_H

/* Exit codes of every command; scripts rely on them. */
enum exit_code { EXIT_OK, EXIT_FAILED, EXIT_USAGE, EXIT_LOSSES };

int cmd_trace(int argc, char **argv);
int cmd_explain(int argc, char **argv);
int cmd_watch(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_analyze(int argc, char **argv);
int cmd_doctor(int argc, char **argv);

#endif
