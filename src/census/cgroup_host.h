/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
#ifndef MEMDRIFT_CENSUS_CGROUP_HOST_H
#define MEMDRIFT_CENSUS_CGROUP_HOST_H

/*
 * In a container names of groups are relative to its own group ("/../../pod/x"), and its mounts
 * show no group above. One that sees the host's processes can look as process 1 does: fn runs in a
 * thread in the cgroup namespace of process 1, where names are whole and the mounts of process 1
 * (cgroup_mounts__read_init) lead to all groups. It may not read names of groups elsewhere.
 *
 * What fn returns; -ENOENT when that namespace is ours (so always in a container with processes of
 * its own), or without permission -EPERM or -EACCES, or -ENOMEM: fn then did not run.
 */
int cgroup_host__run(int (*fn)(void *ctx), void *ctx);

#endif
