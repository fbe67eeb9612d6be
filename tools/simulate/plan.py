# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What one simulated process is to do, before anything of it is computed.

A Plan is drawn by a family (families_still.py, families_drift.py), turned into the samples of its
components by components.py and into its truth by label.py. Times are seconds since the series'
start, sizes bytes.
"""

import math
from dataclasses import dataclass, field

import numpy as np

MIB = 1 << 20
HOUR = 3600.0
DAY = 86400.0
WEEK = 7 * DAY
AHEAD = 14 * DAY  # the criterion looks this far ahead

CRITERION_BYTES = 24 * MIB
CRITERION_SHARE = 0.02

# What grows, and what that is called.
VERDICTS = {
    "in_use": "leak",
    "free": "fragmentation",
    "arenas": "arena-growth",
    "direct": "direct-mapping-growth",
    "go_alloc": "go-heap-growth",
    "go_frag": "go-heap-fragmentation",
    "threads": "thread-growth",
    "file": "file-growth",
    "shmem": "shmem-growth",
}


def criterion(level_bytes):
    """Growth in 14 days from which a process of this level drifts."""
    return np.maximum(CRITERION_BYTES, CRITERION_SHARE * level_bytes)


@dataclass
class Growth:
    """Memory gained for good: what the label is about.

    smooth(u) is the expected gain u seconds after it began, never falling; real(u), when given, the
    gain as it happens (in steps). With reset it begins anew in each life of the process, else it
    begins once, at start. From end on it does not go on: what was gained is kept or gone.
    """

    where: str
    smooth: object
    real: object = None
    start: float = 0.0
    end: float = math.inf
    reset: bool = False
    kept: bool = False


@dataclass
class Plan:
    """family is its name in the labels; see components.py for what each field does."""

    family: str = ""
    days: float = 21.0
    interval: float = 600.0
    start_unix: int = 0
    level: float = 0.0  # where it starts, noise and growth apart
    virtual: float = 0.0  # growth in 14 days that noise and everything else are sized by
    errors: float = 0.0  # standard errors that this growth's slope is to have
    kind: str = "c"  # c, go, other
    census: str = "all"  # all, hourly, none; rss: not even the parts of RSS
    busy: str = "heap"  # the part that noise and cycles are in: heap, go, direct, file, shmem
    cpus: int = 4
    arena_limit: int = 32
    arenas: int = 1
    threads: int = 4
    growths: list = field(default_factory=list)
    lives: list = field(default_factory=lambda: [0.0])  # when each begins
    shifts: list = field(default_factory=lambda: [1.0])  # level of each, as a factor
    noise_kind: str = "ar"
    tau: float = 0.0  # correlation time of the noise
    white: float = 0.2  # share of uncorrelated noise in its variance
    heavy: bool = False  # innovations of a t distribution
    spikes: float = 0.0  # a day
    cycles: list = field(default_factory=list)
    steps: list = field(default_factory=list)  # (when, bytes, seconds it takes)
    saws: list = field(default_factory=list)  # (bytes, mean period in seconds, jitter)
    pressure: list = field(default_factory=list)  # (when, of file, of anon, recovery s, swap-in s)
    anon_cap: float = 0.0  # anonymous memory above this is swapped out
    cap_slope: float = 0.0  # by which the cap falls, bytes/s
    high_water: bool = False  # freed memory is never given back
    file_share: float = 0.08
    shmem_share: float = 0.0
    gaps: list = field(default_factory=list)  # (from, to)
    missing: float = 0.0  # share of samples
    limit_bytes: int = 0
    sigma: float = 0.0  # of the noise; set from errors
    sigma_most: float = math.inf
    window: float = 0.0  # errors are those from here to the end
    step_noise: tuple = (0.0, 0.0)  # variance and correlation time of what steps add to it
    arena_count: object = None  # smooth count over time, for arena families
    arena_bytes: float = 0.0


class Draw:
    """Random numbers of the wide distributions that sizes and times have."""

    def __init__(self, rng):
        self.rng = rng

    def log(self, low, high):
        return float(math.exp(self.rng.uniform(math.log(low), math.log(high))))

    def flat(self, low, high):
        return float(self.rng.uniform(low, high))

    def whole(self, low, high):
        """Both ends included."""
        return int(self.rng.integers(low, high + 1))

    def chance(self, share):
        return bool(self.rng.random() < share)

    def pick(self, weights):
        names = list(weights)
        shares = np.array([weights[name] for name in names], float)
        return names[int(self.rng.choice(len(names), p=shares / shares.sum()))]


INTERVALS = {300.0: 5, 600.0: 15, 900.0: 20, 1200.0: 20, 1800.0: 40}
KINDS = {"c": 55, "go": 27, "other": 18}
PHIS = {0.0: 10, 0.5: 10, 0.8: 15, 0.9: 20, 0.95: 17, 0.98: 16, 0.99: 12}


def draw_plan(draw):
    """What all families have in common: size, sampling, noise, gaps. None of it tells the class."""
    plan = Plan()
    plan.days = draw.flat(14, 28)
    plan.interval = draw.pick(INTERVALS)
    plan.start_unix = 1700000000 + draw.whole(0, 70 * 86400)
    plan.level = float(np.clip(math.exp(draw.rng.normal(math.log(300), 1.5)), 20, 40960)) * MIB
    plan.virtual = float(criterion(plan.level)) * draw.log(1.3, 40)
    plan.errors = draw.log(6, 1200)
    plan.kind = draw.pick(KINDS)
    plan.census = draw.pick({"all": 45, "hourly": 35, "none": 15, "rss": 5})
    plan.busy = {"c": "heap", "go": "go", "other": "direct"}[plan.kind]
    plan.cpus = draw.pick({2: 2, 4: 4, 8: 4, 16: 2, 32: 1})
    plan.arena_limit = 8 * plan.cpus
    plan.threads = draw.whole(1, 64)
    plan.arenas = 1 if plan.threads == 1 else draw.whole(1, min(plan.arena_limit, plan.threads))
    plan.file_share = draw.flat(0.02, 0.25)
    if draw.chance(0.1):
        plan.shmem_share = draw.flat(0.05, 0.5)
    if draw.chance(0.1):
        plan.busy, plan.file_share = "file", draw.flat(0.2, 0.6)
    draw_noise(plan, draw)
    draw_losses(plan, draw)
    draw_disturbances(plan, draw)
    return plan


def draw_noise(plan, draw):
    plan.white = draw.flat(0.02, 0.4)
    plan.heavy = draw.chance(0.3)
    plan.spikes = draw.log(0.05, 3) if draw.chance(0.4) else 0.0
    if draw.chance(0.2):
        draw_walk(plan, draw)
    else:
        phi = draw.pick(PHIS)
        plan.tau = -plan.interval / math.log(phi) if phi else 0.0


def draw_walk(plan, draw):
    plan.noise_kind = "walk"
    plan.tau = draw.log(4 * HOUR, min(48 * HOUR, plan.days * DAY / 8))


def draw_disturbances(plan, draw):
    """What happens to any process: a setting changed, memory reclaimed for a while."""
    if plan.errors > 20 and draw.chance(0.08):
        plan.steps.append((draw.flat(0.1, 0.9) * plan.days * DAY,
                           min(plan.virtual * draw.log(0.05, 0.5), 0.3 * plan.level),
                           draw.log(60, 2 * HOUR)))
    if draw.chance(0.08):
        plan.pressure.append((draw.flat(0.05, 0.9) * plan.days * DAY, draw.flat(0.2, 0.9),
                              draw.flat(0, 0.2), draw.log(2 * HOUR, 12 * HOUR),
                              draw.log(12 * HOUR, 60 * DAY)))


def draw_losses(plan, draw):
    """Gaps (the host or memdrift was down), single samples that are missing, limits."""
    for _ in range(draw.pick({0: 50, 1: 30, 2: 15, 3: 5})):
        start = draw.flat(0, plan.days * DAY * 0.95)
        plan.gaps.append((start, start + draw.log(1 * HOUR, 40 * HOUR)))
    plan.missing = draw.flat(0, 0.05) if draw.chance(0.3) else 0.0
    plan.limit_bytes = 1 if draw.chance(0.4) else 0
