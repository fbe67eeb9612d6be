# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Writes a series in the format that `memdrift analyze` reads: a header line, a line per sample."""

import json

import numpy as np

from plan import HOUR

# Columns in the order of the contract. Those of a pass over /proc are in every sample, those of a
# census of the heaps in some.
PASS = ["rss", "anon", "file", "shmem", "swap", "threads"]
CENSUS = ["brk", "arena_resident", "arenas", "malloc_in_use", "malloc_free", "go_heap", "go_alloc",
          "go_idle", "direct_mapping", "thread_stack"]
GO = {"go_heap", "go_alloc", "go_idle"}


def key(column):
    return column if column in ("arenas", "threads") else column + "_bytes"


def template(columns):
    fields = "".join(f', "{key(column)}": %d' for column in columns)
    return '{"series": "%s", "t_s": %d, "pid": %d, "start_time": %d' + fields + "}\n"


def columns_of(plan):
    passed = ["rss"] if plan.census == "rss" else PASS
    if plan.census in ("none", "rss"):
        return passed, passed
    heaps = [column for column in CENSUS if plan.kind == "go" or column not in GO]
    return passed, passed + heaps


def census_at(plan, clock, keep, rng):
    """Where a census succeeded: at most once an hour for some processes, and not always."""
    done = keep & (rng.random(len(keep)) < 0.93)
    if plan.census == "hourly" or plan.interval < 900:
        hour = np.floor(clock.times / HOUR)
        done &= np.concatenate(([True], np.diff(hour) > 0))
    return done


def header(series, plan, values, draw):
    limit = None
    if plan.limit_bytes:
        limit = int(max(values["rss"].max(), plan.anon_cap) * draw.flat(1.1, 4)) >> 20 << 20
    known = plan.kind != "go" or draw.chance(0.5)
    return {"series": series, "interval_s": int(plan.interval), "start_unix": plan.start_unix,
            "limit_bytes": limit,
            "arena_limit": plan.arena_limit if known and not draw.chance(0.1) else None,
            "cpus": plan.cpus}


def write_series(out, series, plan, clock, keep, values, draw):
    out.write(json.dumps(header(series, plan, values, draw)) + "\n")
    passed, counted = columns_of(plan)
    census = census_at(plan, clock, keep, draw.rng)[keep]
    pids = draw.rng.integers(300, 4000000, len(plan.lives))
    starts = np.sort(np.array(plan.lives))
    ticks = (plan.start_unix % 10000000 * 100 + starts * 100).astype(np.int64)
    life = clock.life[keep]
    times = clock.times[keep]
    times = times + draw.rng.integers(0, max(2, int(plan.interval / 60)), len(times))
    short, full = template(passed), template(counted)
    rows = np.stack([times, pids[life], ticks[life]] +
                    [values[column][keep] for column in counted], axis=1).astype(np.int64).tolist()
    width = 3 + len(passed)
    out.write("".join([full % (series, *row) if seen else short % (series, *row[:width])
                       for row, seen in zip(rows, census.tolist())]))
