# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Shapes of growth: bytes gained over time since it began, for Growth.smooth and Growth.real."""

import numpy as np

from plan import AHEAD


def line(rate):
    return lambda u: rate * np.maximum(u, 0.0)


def settling(height, tau):
    """1 - exp: a cache that fills the slower the fuller it is."""
    return lambda u: height * -np.expm1(-np.maximum(u, 0.0) / tau)


def tail(height, tau, power):
    """Settles like a power of time, slower than any exponential."""
    return lambda u: height * (1 - (1 + np.maximum(u, 0.0) / tau) ** -power)


def logarithm(scale, tau):
    """Never settles, but grows ever more slowly."""
    return lambda u: scale * np.log1p(np.maximum(u, 0.0) / tau)


def ramp(height, length):
    """Straight up to a bound, then flat: a cache with a limit."""
    return lambda u: height * np.clip(u / length, 0.0, 1.0)


def by_load(rate, cycle, start):
    """As much as there is load; over whole weeks rate."""
    base = cycle.integral(np.asarray(start, float))
    return lambda u: rate * (cycle.integral(start + np.maximum(u, 0.0)) - base)


def in_steps(smooth, step, rng, until):
    """What a smooth shape comes to when it is taken in whole steps, each at about its time.

    A step is never more than 0.35 of its distance early or late: it does not add up to a walk.
    """
    grid = np.linspace(0, until, 4000)
    total = smooth(grid)
    count = int(total[-1] / step)
    due = (np.arange(count) + 0.5 + rng.uniform(-0.35, 0.35, count)) * step
    times = np.interp(due, total, grid)
    return lambda u: step * np.searchsorted(times, u, side="right").astype(float)


def arena_count(first, limit, until_full, bend):
    """Arenas over time. bend 0: one after another; more: ever rarer, as threads find new ones
    ever more rarely. Full at until_full."""

    def count(u):
        part = np.clip(u / until_full, 0.0, 1.0)
        if bend > 0:
            part = np.expm1(-bend * part) / np.expm1(-bend)
        return first + (limit - first) * part

    return count


def ahead(smooth, at):
    return smooth(at + AHEAD) - smooth(at)
