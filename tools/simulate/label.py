# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The truth about a series, from its plan alone: noise has no part in it.

A process drifts at a moment when its noise-free growth over the next 14 days is at least
max(24 MiB, 2 % of its level then); it does not when that is under a quarter of it; between the two
nothing is scored. Growth is what the process gains for good while it lives: steps of
configuration, cycles, sawtooths, noise, spikes, reclaim and what a restart changes are none (but a
heap that keeps what its highest load took is expected to grow while that is still to come). For a
process that is restarted it is the gain of the running life, as if that went on for 14 days: a leak
that restarts hide is a leak. Before its onset a leak is none, after its cure neither. A stretch
shorter than a day in which the criterion is reached (the warm-up of a start) does not count, so
that an alarm in it is a false one.

The label of the series is the state at its end.
"""

import math

import numpy as np

from components import Clock
from plan import DAY, HOUR, VERDICTS, WEEK, criterion

SHORTEST_S = DAY
GRID_S = HOUR


def stretches(times, on):
    """[(from, to)] of the runs of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], on.astype(int), [0]))))
    return [(float(times[a]), float(times[min(b, len(times) - 1)]))
            for a, b in zip(edges[::2], edges[1::2])]


def states(plan, level_at):
    """On an hourly grid: times, growth ahead, criterion, and where the process drifts."""
    times = np.arange(0, plan.days * DAY + 1, GRID_S)
    clock = Clock(plan, times)
    ahead = clock.ahead()
    needed = criterion(level_at(times))
    return times, clock, ahead, needed


def truth(plan, level_at):
    """The label but for name and standard errors; None when it is not to be scored."""
    times, clock, ahead, needed = states(plan, level_at)
    if needed[-1] / 4 <= ahead[-1] < needed[-1]:
        return None
    drifts = bool(ahead[-1] >= needed[-1])
    drifting = [(a, b) for a, b in stretches(times, ahead >= needed) if b - a >= SHORTEST_S]
    if drifts and not drifting:
        return None
    grey = stretches(times, (ahead >= needed / 4) & (ahead < needed))
    growth = clock.smooth()
    points = np.unique(np.append(np.arange(0, len(times), int(6 * HOUR / GRID_S)), len(times) - 1))
    return {
        "family": plan.family,
        "drift": drifts,
        "verdicts": verdicts_of(plan) if drifts else ["none"],
        "onset_s": drifting[-1][0] if drifts else None,
        "slope_bytes_per_h": slope_at_end(plan) * HOUR if drifts else None,
        "drifting": drifting,
        "grey": [(a, b) for a, b in grey if b > a],
        "days": round(plan.days, 4),
        "level_bytes": int(level_at(times[-1:])[0]),
        "criterion_bytes": int(needed[-1]),
        "ahead_bytes": int(ahead[-1]),
        "growth": [[int(times[i]), int(growth[i])] for i in points],
    }


def verdicts_of(plan):
    """Of the growth that has most ahead; the first is the truth, others do as well."""
    clock = Clock(plan, np.array([plan.days * DAY]))
    best = max(plan.growths, key=lambda g: _ahead_of(plan, clock, g))
    if best.where == "direct" and plan.anon_cap > 0:
        # What is swapped out is missing in the resident direct mappings: they may even shrink.
        return [VERDICTS["direct"], VERDICTS["in_use"]]
    return [VERDICTS[best.where]]


def _ahead_of(plan, clock, growth):
    since = np.maximum(clock.since(growth), 0.0)
    gain = growth.smooth(since + 14 * DAY) - growth.smooth(since)
    return float(np.where(clock.active(growth), gain, 0.0)[-1])


def slope_at_end(plan):
    """Bytes/s: the mean of the week up to the end, when that is the mean of the week after it as
    well. Where the two differ by more than a quarter there is no one slope: not a number."""
    end = plan.days * DAY
    before = after = 0.0
    for growth in plan.growths:
        if end < growth.start or end >= growth.end:
            continue
        if growth.reset:
            # A line but for the warm-up of hours, which is left behind in the second week.
            gain = growth.smooth(np.array([WEEK, 2 * WEEK]))
            before += (gain[1] - gain[0]) / WEEK
            after += (gain[1] - gain[0]) / WEEK
            continue
        since = end - growth.start
        span = min(WEEK, since)
        gain = growth.smooth(np.array([since - span, since, since + WEEK]))
        before += (gain[1] - gain[0]) / span
        after += (gain[2] - gain[1]) / WEEK
    if before <= 0 or not 0.75 <= after / before <= 1 / 0.75:
        return math.nan
    return float(before)
