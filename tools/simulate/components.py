# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""From a plan to the samples of a process: every component, adding up as they do in Linux.

    rss  = anon + file + shmem
    anon = brk + arenas + Go heap and idle + direct mappings + stacks + rest, less what is swapped
    malloc in use + free = brk + arenas, swapped or not
"""

import numpy as np

import noise
from plan import AHEAD, DAY, HOUR, MIB, VERDICTS

PAGE = 4096
KEYS = ["rss", "anon", "file", "shmem", "swap", "brk", "arena_resident", "malloc_in_use",
        "malloc_free", "go_heap", "go_alloc", "go_idle", "direct_mapping", "thread_stack"]
COUNTS = ["arenas", "threads"]


class Clock:
    """The sampling grid and what is known of each moment: which life of the process it is in."""

    def __init__(self, plan, times):
        self.times = times
        self.plan = plan
        starts = np.sort(np.array(plan.lives))
        self.life = np.clip(np.searchsorted(starts, times, side="right") - 1, 0, None)
        self.age = times - starts[self.life]

    def since(self, growth):
        """Seconds that this growth has been going on; negative before it begins."""
        if growth.reset:
            return self.age
        return np.minimum(self.times, growth.end) - growth.start

    def active(self, growth):
        on = self.times >= growth.start
        return on & (self.times < growth.end)

    def gained(self, growth, shape):
        values = shape(np.maximum(self.since(growth), 0.0))
        here = self.times >= growth.start
        if not growth.kept:
            here &= self.times < growth.end
        return np.where(here, values, 0.0)

    def smooth(self):
        """Noise-free growth of all together."""
        return sum((self.gained(g, g.smooth) for g in self.plan.growths), np.zeros(len(self.times)))

    def ahead(self):
        """Noise-free growth in the 14 days after each moment, if the process lives on."""
        total = np.zeros(len(self.times))
        for growth in self.plan.growths:
            since = np.maximum(self.since(growth), 0.0)
            gain = growth.smooth(since + AHEAD) - growth.smooth(since)
            total += np.where(self.active(growth), gain, 0.0)
        if self.plan.high_water:
            total += high_water(self.plan, self.times + AHEAD) - high_water(self.plan, self.times)
        return total


def high_water(plan, times):
    """What the highest load and noise until then are expected to be: of much at first, while the
    week's highest load is still to come, and hardly more in the end."""
    grid = np.arange(0, times.max() + 600, 600.0)
    load = sum((size * cycle.values(grid, plan.days * DAY) for size, cycle in plan.cycles),
               np.zeros(len(grid)))
    highest = np.interp(times, grid, np.maximum.accumulate(load))
    draws = 2 + times / max(plan.tau, plan.interval)
    return 0.9 * (highest + plan.sigma * np.sqrt(2 * np.log(draws)))


def base_parts(plan, rng):
    """The level, cut into the parts that this kind of process has."""
    level = plan.level
    stacks = min(plan.threads * rng.uniform(16, 120) * 1024, 0.1 * level)
    mapped = min(plan.file_share + plan.shmem_share, 0.75) / (plan.file_share + plan.shmem_share)
    parts = {"stacks": stacks, "file": plan.file_share * mapped * level,
             "shmem": plan.shmem_share * mapped * level}
    left = level - sum(parts.values())
    rest = left * rng.uniform(0.01, 0.1)
    left -= rest
    shares = {"c": (rng.uniform(0.7, 0.97), 0.0), "go": (rng.uniform(0.01, 0.15), 0.75),
              "other": (rng.uniform(0.02, 0.2), 0.0)}[plan.kind]
    parts["heap"] = left * shares[0]
    parts["go"] = left * shares[1]
    parts["direct"] = left - parts["heap"] - parts["go"]
    parts["rest"] = rest
    return parts


def set_sigma(plan, clock, keep, slope, start):
    """Sizes the noise so that the slope has the standard errors the plan says; returns those."""
    window = keep & (clock.times >= start)
    step, plan.step_noise = plan.step_noise, (0.0, 0.0)
    unit = noise.slope_error(plan, clock.times, window, clock.life, 1.0)
    plan.sigma = float(np.clip(slope / (plan.errors * unit), 64 * 1024,
                               min(0.1 * plan.level, plan.sigma_most)))
    plan.step_noise = step
    return slope / noise.slope_error(plan, clock.times, window, clock.life, plan.sigma)


def movement(plan, clock, rng):
    """Everything that moves without being growth: noise, spikes, cycles, sawtooths."""
    times = clock.times
    length = plan.days * DAY
    out = plan.sigma * (noise.noise(plan, rng, len(times)) + noise.spikes(plan, rng, times))
    for size, cycle in plan.cycles:
        out += size * cycle.values(times, length)
    for size, period, jitter in plan.saws:
        out += noise.saw(rng, times, size, period, jitter)
    return out


def steps(plan, times):
    out = np.zeros(len(times))
    for when, size, takes in plan.steps:
        out += size * np.clip((times - when) / takes, 0, 1)
    return out


def reclaimed(plan, times):
    """Shares of the file pages and of anonymous memory that pressure has taken and not returned."""
    of_file, of_anon = np.zeros(len(times)), np.zeros(len(times))
    for when, file, anon, recovery, swap_in in plan.pressure:
        after = times - when
        on = after >= 0
        of_file = np.where(on, np.maximum(of_file, file * np.exp(-after * on / recovery)), of_file)
        of_anon = np.where(on, np.maximum(of_anon, anon * np.exp(-after * on / swap_in)), of_anon)
    return of_file, of_anon


def build(plan, clock, rng):
    """All components in bytes or counts, and the noise-free level over time."""
    times = clock.times
    base = base_parts(plan, rng)
    shift = np.array(plan.shifts)[clock.life]
    gain = {where: np.zeros(len(times)) for where in VERDICTS}
    for growth in plan.growths:
        gain[growth.where] += clock.gained(growth, growth.real or growth.smooth)
    moved = movement(plan, clock, rng)
    held = moved
    if plan.high_water:
        held = np.maximum.accumulate(moved) * 0.9 + moved * 0.1
    part = {name: np.full(len(times), value) for name, value in base.items()}
    part[plan.busy] *= shift
    part[plan.busy] += steps(plan, times)
    busy = part[plan.busy].copy()
    part[plan.busy] = np.maximum(busy + held, 0.1 * busy)
    # No more than some 60 of them in 14 days.
    per_thread = min(max(rng.uniform(24, 400) * 1024, plan.virtual / 60), 4 * MIB)
    thread_share = rng.uniform(0.6, 1.0)

    heap = part["heap"] + gain["in_use"] + gain["free"] + gain["arenas"]
    heap += gain["threads"] * (1 - thread_share)
    in_use = rng.uniform(0.55, 0.92) * base["heap"] * shift if plan.busy == "heap" else \
        np.full(len(times), rng.uniform(0.55, 0.92) * base["heap"])
    if plan.busy == "heap":
        in_use = in_use + steps(plan, times) * 0.9 + moved
    in_use += gain["in_use"] + gain["threads"] * (1 - thread_share) + 0.03 * gain["arenas"]
    in_use += min(0.15 * plan.sigma, 0.02 * base["heap"]) * rng.standard_normal(len(times))
    in_use = np.clip(in_use, 0.02 * heap, 0.985 * heap)

    stacks = part["stacks"] + gain["threads"] * thread_share
    direct = part["direct"] + gain["direct"]
    go_total = part["go"] + gain["go_alloc"] + gain["go_frag"]
    shares = rng.uniform(0.03, 0.25), rng.uniform(0.6, 0.9)
    go_idle = np.clip(shares[0] * base["go"] + 0.3 * plan.sigma * rng.standard_normal(len(times)),
                      0, 0.6 * go_total)
    go_heap = go_total - go_idle
    jitter = min(plan.sigma, 0.1 * base["go"]) * rng.uniform(0.3, 1.5)
    go_alloc = shares[1] * (go_heap - gain["go_frag"] - gain["go_alloc"]) + gain["go_alloc"] \
        - jitter * rng.uniform(0, 1, len(times))
    go_alloc = np.clip(go_alloc, 0.02 * go_total, 0.985 * go_heap)

    of_file, of_anon = reclaimed(plan, times)
    if plan.census == "rss":
        # Swapped-in pages would look like growth to anybody who is told of RSS alone.
        of_anon = np.zeros(len(times))
    file = (part["file"] + gain["file"]) * (1 - of_file)
    shmem = part["shmem"] + gain["shmem"]
    anon = heap + stacks + direct + go_total + part["rest"]
    swap = anon * of_anon
    if plan.anon_cap > 0:
        cap = np.maximum(plan.anon_cap - plan.cap_slope * times, 0.3 * plan.anon_cap)
        swap = np.maximum(swap, anon - cap * (1 + 0.003 * rng.standard_normal(len(times))))
    swap = np.clip(swap, 0, 0.95 * anon)
    present = 1 - swap / np.maximum(anon, 1)
    values = {
        "file": file, "shmem": shmem, "swap": swap, "malloc_in_use": in_use,
        "malloc_free": heap - in_use, "direct_mapping": direct * present,
        "thread_stack": stacks * present, "go_heap": go_heap, "go_alloc": go_alloc,
        "go_idle": go_idle,
    }
    values["brk"], values["arena_resident"], values["arenas"] = split_heap(
        plan, clock, rng, heap, gain["arenas"], present)
    values["threads"] = plan.threads + np.floor(gain["threads"] * thread_share / per_thread)
    values["threads"] += (rng.random(len(times)) < 0.1).astype(float)
    values = {key: np.floor(np.maximum(value, 0) / PAGE) * PAGE if key in KEYS else value
              for key, value in values.items()}
    values["anon"] = np.floor(anon * present / PAGE) * PAGE
    values["rss"] = values["anon"] + values["file"] + values["shmem"]
    level = base_level(plan, times, base, shift) + clock.smooth()
    return values, level


def base_level(plan, times, base, shift):
    return plan.level + base[plan.busy] * (shift - 1) + steps(plan, times)


def split_heap(plan, clock, rng, heap, arena_gain, present):
    """The main arena is in the brk heap, the others are mappings of their own."""
    count = np.full(len(clock.times), float(plan.arenas))
    if plan.arena_count is not None:
        count += np.round(arena_gain / plan.arena_bytes)
    elif plan.arenas > 1:
        # Those it needs come within its first hour.
        count = np.minimum(1 + np.floor(clock.age * plan.arenas / HOUR), plan.arenas)
    common = heap - arena_gain
    if plan.arenas == 1 and plan.arena_count is None:
        return heap * present, np.zeros(len(heap)), count
    share = rng.uniform(0.1, 0.6)
    return common * share * present, (common * (1 - share) + arena_gain) * present, count
