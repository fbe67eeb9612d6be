# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Families of processes that do not drift at their end, each chosen to look as if it did."""

import numpy as np

import shapes
from cycles import add_cycles, draw_cycle
from families_drift import draw_deploys, grows_in, rate_of, set_arenas, need_census
from plan import DAY, HOUR, Growth, criterion, draw_walk


def steady_noise(plan, draw):
    """Nothing but noise, some of it correlated over days."""
    add_noise(plan, draw)


def add_noise(plan, draw):
    """More of it than where it hides a leak: by itself it comes to growth that would count."""
    plan.errors = draw.log(1.2, 60)


def random_walk(plan, draw):
    draw_walk(plan, draw)
    plan.white = draw.flat(0, 0.1)
    add_noise(plan, draw)


def cycle(plan, draw):
    """Load by day and week; the swing may grow while its mean does not."""
    add_cycles(plan, draw, draw.log(0.2, 4))
    if draw.chance(0.5):
        add_noise(plan, draw)


def warm_up(plan, draw):
    """A cache that fills over hours to days and is full."""
    add_warm_up(plan, draw, draw.log(3 * HOUR, 72 * HOUR))
    if draw.chance(0.25):
        add_cycles(plan, draw, draw.log(0.1, 1))
    if draw.chance(0.2):
        # Restarted in between: it warms up again.
        plan.lives.append(draw.flat(0.2, 0.6) * plan.days * DAY)
        plan.shifts.append(draw.flat(0.98, 1.02))


def warm_where(plan, draw):
    if plan.kind == "go":
        return "go_alloc"
    if plan.kind == "other":
        return "direct"
    return draw.pick({"in_use": 70, "file": 15, "shmem": 10, "direct": 5})


def add_warm_up(plan, draw, tau):
    height = plan.virtual * draw.log(0.3, 3)
    shape = draw.pick({"settling": 60, "ramp": 25, "tail": 15})
    if shape == "settling":
        smooth = shapes.settling(height, tau)
    elif shape == "ramp":
        smooth = shapes.ramp(height, tau * 2.5)
    else:
        smooth = shapes.tail(height, tau, draw.flat(1.5, 3))
    where = warm_where(plan, draw)
    plan.growths.append(Growth(where, smooth, reset=where not in ("file", "shmem")))


def log_like(plan, draw):
    """Grows with the logarithm of time: fast for days, with little ahead at the end."""
    tau = draw.log(0.05, 12) * HOUR
    ahead = float(shapes.ahead(shapes.logarithm(1.0, tau), plan.days * DAY))
    scale = float(criterion(plan.level)) * draw.flat(0.08, 0.24) / ahead
    plan.growths.append(Growth(warm_where(plan, draw), shapes.logarithm(scale, tau)))
    plan.virtual = min(plan.virtual, scale * 8)


def high_water(plan, draw):
    """Its heap keeps what its largest load took: each new record is kept for good."""
    need_kind(plan, "c")
    plan.high_water, plan.heavy, plan.spikes = True, False, 0.0
    # The records of larger noise would be expected to grow by more than a quarter of what counts.
    plan.sigma_most = 0.4 * float(criterion(plan.level))
    if draw.chance(0.5):
        add_cycles(plan, draw, draw.log(0.1, 0.6), steady=True)


def need_kind(plan, kind):
    plan.kind = kind
    plan.busy = {"c": "heap", "go": "go", "other": "direct"}[kind]


def config_steps(plan, draw):
    """One to three changes of configuration: a pool made larger, a data set loaded."""
    for _ in range(draw.pick({1: 50, 2: 35, 3: 15})):
        size = plan.virtual * draw.log(0.08, 1.5) * (1 if draw.chance(0.65) else -1)
        size = max(size, -0.2 * plan.level)
        when = draw.flat(0.06, 0.93) * plan.days * DAY
        plan.steps.append((when, size, draw.log(60, 4 * HOUR)))
    if draw.chance(0.3):
        add_cycles(plan, draw, draw.log(0.05, 0.6))


def flush_saw(plan, draw):
    """Memtables that fill for hours to days and are written out; collections of garbage."""
    size = min(plan.virtual * draw.log(0.2, 3), plan.level * 0.5)
    plan.saws.append((size, draw.log(0.5 * HOUR, 40 * HOUR), draw.flat(0.05, 0.4)))
    if draw.chance(0.4):
        plan.saws.append((size * draw.flat(0.2, 0.7), draw.log(2 * HOUR, 40 * HOUR), 0.2))


def restarted(plan, draw):
    """Restarted daily or oftener, each life with its own warm-up of hours and its own level."""
    plan.errors = max(plan.errors, 12.0)
    period = draw.pick({0.2: 15, 0.5: 15, 1.0: 50, 2.0: 20}) * DAY
    when = draw.flat(0.05, 1) * period
    while when < plan.days * DAY:
        plan.lives.append(when)
        plan.shifts.append(float(draw.rng.normal(1, 0.006)))
        when += period * (1 + draw.flat(-0.02, 0.02))
    tau = draw.log(0.05, 1) * HOUR * 4 * min(period / DAY, 1)
    height = plan.virtual * draw.log(0.02, 0.5)
    plan.growths.append(Growth(warm_where(plan, draw), shapes.settling(height, tau), reset=True))
    if draw.chance(0.3):
        add_cycles(plan, draw, draw.log(0.02, 0.3))
        restart_when_idle(plan, draw, when)


def restart_when_idle(plan, draw, when):
    """As one does. Restarted at the height of its load each day, a process would never be seen to
    give anything back, and nobody could tell load from a leak."""
    size = plan.cycles[0][0]
    for _ in range(200):
        cycle = draw_cycle(plan, draw)
        near = cycle.values(when + np.array([-2 * HOUR, -HOUR, 0, HOUR]), DAY)
        if near.max() < cycle.table.min() + 0.15:
            plan.cycles = [(size, cycle)]
            return
    plan.cycles = []


def deploys(plan, draw):
    """A version every few days, each of another size, some larger than the one before."""
    draw_deploys(plan, draw, 1.5, 9)
    if draw.chance(0.25):
        # What is added stays: each is a little larger.
        plan.shifts = list(np.cumprod(np.maximum(1 + draw.rng.normal(
            0.01, 0.015, len(plan.shifts)), 0.9)))
    add_warm_up(plan, draw, draw.log(0.5 * HOUR, 8 * HOUR))
    plan.growths[-1].reset = True


def arena_full(plan, draw):
    """All arenas there may be, since some time: what looked like a leak has ended."""
    need_census(plan, "c")
    plan.cpus = draw.pick({2: 3, 4: 4, 8: 3, 16: 1})
    plan.arena_limit = 8 * plan.cpus
    plan.threads = draw.whole(plan.arena_limit, 3 * plan.arena_limit)
    first = draw.whole(1, max(2, plan.arena_limit // 4))
    set_arenas(plan, draw, first, draw.flat(0.05, 0.75) * plan.days * DAY, draw.pick(
        {0.0: 50, 1.5: 50}))


def pressure(plan, draw):
    """The host or its group is short of memory: pages of files go and come back, others are
    swapped out, and nothing has leaked."""
    plan.file_share = draw.flat(0.15, 0.6)
    for _ in range(draw.whole(1, 4)):
        of_file = draw.flat(0.2, 0.9) if draw.chance(0.8) else 0.0
        of_anon = draw.flat(0.02, 0.4) if draw.chance(0.7) else 0.0
        plan.pressure.append((draw.flat(0.05, 0.95) * plan.days * DAY, of_file, of_anon,
                              draw.log(2 * HOUR, 20 * HOUR), draw.log(12 * HOUR, 60 * DAY)))


def cured(plan, draw):
    """Leaked for days, until a deploy or a changed setting ended it."""
    end = draw.flat(0.3, 0.75) * plan.days * DAY
    start = draw.flat(0, 0.5) * end if draw.chance(0.4) else 0.0
    kept = draw.chance(0.3)
    # That it has ended can be seen in what came after it.
    plan.window, plan.errors = end, max(plan.errors, 5.0)
    if not kept:
        plan.lives.append(end)
        plan.shifts.append(draw.flat(0.97, 1.03))
    if draw.chance(0.3):
        add_cycles(plan, draw, draw.log(0.05, 0.6))
    plan.growths.append(Growth(grows_in(plan, draw), shapes.line(rate_of(plan)), start=start,
                               end=end, kept=kept))


def spiky(plan, draw):
    """Jobs that take much for a short time."""
    plan.spikes = draw.log(1, 12)
    add_noise(plan, draw)
    plan.heavy = True


def short(plan, draw):
    """Less than a day or so of it: no verdict can be had."""
    plan.days = draw.log(0.1, 1.1)
    plan.gaps = []
    if draw.chance(0.5):
        plan.tau = min(plan.tau, 2 * HOUR)
        height = plan.virtual * draw.log(0.05, 1)
        plan.growths.append(Growth(warm_where(plan, draw), shapes.settling(
            height, plan.days * DAY / draw.flat(8, 20))))


def slow(plan, draw):
    """Grows, but by less than a quarter of what counts."""
    rate = float(criterion(plan.level)) * draw.flat(0.05, 0.22) / (14 * DAY)
    plan.growths.append(Growth(grows_in(plan, draw), shapes.line(rate)))


# So that the plain methods reach about what is published for such a corpus: F1 of .78 (least
# squares), .82 (Mann-Kendall), .85 (Hamed-Rao), .80 (Theil-Sen).
FAMILIES = {
    steady_noise: 18,
    random_walk: 11,
    cycle: 18,
    warm_up: 8,
    log_like: 4,
    high_water: 3,
    config_steps: 6,
    flush_saw: 10,
    restarted: 6,
    deploys: 5,
    arena_full: 2,
    pressure: 5,
    cured: 3,
    spiky: 2,
    short: 4,
    slow: 3,
}
