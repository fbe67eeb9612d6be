# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Families of processes that drift: each takes a drawn plan and gives it its growth.

The growth of 14 days is plan.virtual, drawn for every series, drifting or not, so that noise and
cycles, which are sized by it, tell nothing.
"""

import shapes
from cycles import add_cycles, draw_cycle
from plan import AHEAD, DAY, HOUR, MIB, Growth


def grows_in(plan, draw):
    """What it is that grows. Without a census only what the kernel tells can be told."""
    if plan.census in ("none", "rss"):
        plan.kind, plan.busy = "c", "heap"
        return "in_use"
    if plan.kind == "go":
        return draw.pick({"go_alloc": 65, "go_frag": 15, "direct": 10, "in_use": 10})
    if plan.kind == "other":
        return draw.pick({"direct": 70, "in_use": 30})
    return draw.pick({"in_use": 75, "free": 15, "direct": 10})


def rate_of(plan):
    return plan.virtual / AHEAD


def leak(plan, draw):
    plan.growths.append(Growth(grows_in(plan, draw), shapes.line(rate_of(plan))))


def leak_cycle(plan, draw):
    add_cycles(plan, draw, draw.log(0.1, 2.5))
    leak(plan, draw)


def leak_steps(plan, draw):
    """A file descriptor's buffers per reload, a pool's chunk: whole pieces, hours to days apart."""
    gap = draw.log(3 * HOUR, 40 * HOUR)
    step = rate_of(plan) * gap
    smooth = shapes.line(rate_of(plan))
    real = shapes.in_steps(smooth, step, draw.rng, 45 * DAY)
    plan.step_noise = (step * step / 10, gap / 4)
    plan.growths.append(Growth(grows_in(plan, draw), smooth, real))


def leak_load(plan, draw):
    """Leaks per request: as the load goes, so does the leak, and mostly so does memory."""
    cycle = draw_cycle(plan, draw)
    if draw.chance(0.6):
        plan.cycles.append((plan.virtual * draw.log(0.05, 1), cycle))
    smooth = shapes.by_load(rate_of(plan), cycle, 0.0)
    plan.growths.append(Growth(grows_in(plan, draw), smooth))


def leak_late(plan, draw):
    """Nothing for one to three weeks, then a leak: a new version, or a new way of being used."""
    plan.days = max(plan.days, 17)
    start = draw.flat(7 * DAY, plan.days * DAY - 5 * DAY)
    if draw.chance(0.4):
        add_cycles(plan, draw, draw.log(0.05, 0.6))
    if draw.chance(0.3):
        plan.lives, plan.shifts = [0.0, start], [1.0, draw.flat(0.96, 1.04)]
    plan.growths.append(Growth(grows_in(plan, draw), shapes.line(rate_of(plan)), start=start))


def leak_restarted(plan, draw):
    """Restarted daily, or nearly so: what leaks in a life is gone with it."""
    # Told from a warm-up by how a life ends: that takes half of the errors of its whole slope.
    plan.errors = max(plan.errors, 12.0)
    period = draw.pick({1.0: 70, 0.5: 10, 2.0: 20}) * DAY
    jitter = draw.pick({60.0: 50, 1800.0: 50})
    when = draw.flat(0.05, 1) * period
    while when < plan.days * DAY:
        plan.lives.append(when)
        plan.shifts.append(float(draw.rng.normal(1, 0.004)))
        when += period + draw.flat(-jitter, jitter)
    if draw.chance(0.3):
        warm = Growth("in_use", shapes.settling(plan.virtual * draw.log(0.02, 0.2), 0.5 * HOUR),
                      reset=True)
        plan.growths.append(warm)
    where = grows_in(plan, draw)
    plan.growths.append(Growth(where, shapes.line(rate_of(plan)), reset=True))


def leak_deploys(plan, draw):
    """A new version every few days, each of another size, all of them leaking."""
    draw_deploys(plan, draw, 3, 9)
    plan.growths.append(Growth(grows_in(plan, draw), shapes.line(rate_of(plan)), reset=True))


def draw_deploys(plan, draw, least_days, most_days):
    spread = draw.log(0.002, 0.05)
    when = draw.flat(1, most_days) * DAY
    while when < (plan.days - 3) * DAY:
        plan.lives.append(when)
        plan.shifts.append(float(draw.rng.normal(1, spread)))
        when += draw.flat(least_days, most_days) * DAY


def leak_swapped(plan, draw):
    """The leak goes on while the kernel swaps it out: RSS stands still or falls."""
    if plan.census == "rss":
        plan.census = "none"
    leak(plan, draw)
    plan.anon_cap = plan.level * draw.flat(0.7, 1.05)
    plan.cap_slope = rate_of(plan) * draw.flat(0, 0.6)
    plan.limit_bytes = 1


def leak_log(plan, draw):
    """Slower and slower, but still with the criterion ahead: by the rule it drifts."""
    tau = draw.log(2, 10) * DAY
    whole = shapes.logarithm(1.0, tau)
    scale = plan.virtual / float(shapes.ahead(whole, plan.days * DAY))
    plan.growths.append(Growth(grows_in(plan, draw), shapes.logarithm(scale, tau)))


def leak_warm(plan, draw):
    """A warm-up of its own first, then what remains is the leak."""
    height = plan.virtual * draw.log(0.3, 3)
    plan.growths.append(Growth("in_use" if plan.kind == "c" else "direct",
                               shapes.settling(height, draw.log(2 * HOUR, 40 * HOUR))))
    leak(plan, draw)


def leak_saw(plan, draw):
    """The floor under a sawtooth rises."""
    size, period = plan.virtual * draw.log(0.1, 1.5), draw.log(1 * HOUR, 20 * HOUR)
    plan.saws.append((size, period, 0.25))
    plan.step_noise = (size * size / 12, period / 10)
    leak(plan, draw)


def arena_growth(plan, draw):
    """One arena after another up to the limit, still with some ahead; each stays as it is."""
    need_census(plan, "c")
    plan.cpus = draw.pick({4: 3, 8: 4, 16: 3, 32: 2})
    plan.arena_limit = 8 * plan.cpus
    plan.threads = draw.whole(plan.arena_limit, 3 * plan.arena_limit)
    first = draw.whole(1, max(2, plan.arena_limit // 4))
    if draw.chance(0.6):
        full, bend = plan.days * draw.flat(1.15, 2.5), 0.0
    else:
        full, bend = plan.days * draw.flat(1.3, 2.5), draw.flat(0.5, 2)
    set_arenas(plan, draw, first, full * DAY, bend)


def set_arenas(plan, draw, first, until_full, bend):
    count = shapes.arena_count(first, plan.arena_limit, until_full, bend)
    gained = float(count(plan.days * DAY) - first)
    # The growth is mostly seen already: it is sized by what was gained, not by what is ahead.
    each = plan.virtual * plan.days / 14 / max(gained, 1)
    each = min(max(each, 2 * MIB), 64 * MIB)
    plan.arenas, plan.arena_count, plan.arena_bytes = first, count, each
    smooth = lambda u: each * (count(u) - first)
    real = shapes.in_steps(smooth, each, draw.rng, 45 * DAY)
    gap = until_full / max(plan.arena_limit - first, 1)
    plan.step_noise = (each * each / 10, gap / 4)
    plan.growths.append(Growth("arenas", smooth, real))


def need_census(plan, kind):
    plan.kind = kind
    plan.busy = {"c": "heap", "go": "go", "other": "direct"}[kind]
    if plan.census in ("none", "rss"):
        plan.census = "all"


def of(kind, where):
    def family(plan, draw):
        need_census(plan, kind or plan.kind)
        if draw.chance(0.3):
            add_cycles(plan, draw, draw.log(0.05, 1))
        plan.growths.append(Growth(where, shapes.line(rate_of(plan))))

    return family


def thread_growth(plan, draw):
    """Threads that nobody joins; each with its stack and a little heap."""
    need_census(plan, plan.kind)
    plan.growths.append(Growth("threads", shapes.line(rate_of(plan))))


def file_growth(plan, draw):
    plan.file_share = draw.flat(0.1, 0.6)
    of(None, "file")(plan, draw)


def shmem_growth(plan, draw):
    plan.shmem_share = draw.flat(0.05, 0.5)
    of(None, "shmem")(plan, draw)


FAMILIES = {
    leak: 19,
    leak_cycle: 11,
    leak_steps: 7,
    leak_load: 6,
    leak_late: 9,
    leak_restarted: 6,
    leak_deploys: 5,
    leak_swapped: 5,
    leak_log: 2,
    leak_warm: 4,
    leak_saw: 3,
    arena_growth: 6,
    ("fragmentation", of("c", "free")): 5,
    ("direct_growth", of("other", "direct")): 3,
    ("go_growth", of("go", "go_alloc")): 4,
    ("go_fragmentation", of("go", "go_frag")): 3,
    thread_growth: 3,
    file_growth: 2,
    shmem_growth: 2,
}
