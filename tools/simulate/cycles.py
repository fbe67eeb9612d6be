# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Draws the daily and weekly cycles that both kinds of families may have."""

from noise import Cycle
from plan import WEEK


def draw_cycle(plan, draw, growing=0.0):
    shape = draw.pick({"harmonics": 45, "box": 35, "job": 20})
    weekend = 1.0 if draw.chance(0.35) else draw.flat(0.15, 0.9)
    return Cycle(draw.rng, shape, weekend, plan.start_unix, growing)


def add_cycles(plan, draw, share, steady=False):
    """share: from least to most, of the growth that the series is sized by."""
    growing = draw.flat(-0.5, 1.0) if not steady and draw.chance(0.2) else 0.0
    size = min(plan.virtual * share, plan.level * 0.3)
    plan.cycles.append((size, draw_cycle(plan, draw, growing)))
    if draw.chance(0.3):
        weekly = Cycle(draw.rng, "harmonics", 1.0, plan.start_unix, 0.0, WEEK)
        plan.cycles.append((size * draw.flat(0.1, 0.7), weekly))
