# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Noise of unit variance, and what it does to the slope of a line fitted through it."""

import math

import numpy as np
from scipy.signal import lfilter

from plan import DAY, HOUR


def white(rng, count, heavy):
    if not heavy:
        return rng.standard_normal(count)
    return rng.standard_t(4, count) / math.sqrt(2.0)


def autoregressive(rng, count, interval, tau, heavy):
    """AR(1), stationary from its first sample on."""
    if tau <= 0:
        return white(rng, count, heavy)
    phi = math.exp(-interval / tau)
    innovations = white(rng, count, heavy) * math.sqrt(1 - phi * phi)
    first = rng.standard_normal()
    return lfilter([1.0], [1.0, -phi], innovations, zi=[phi * first])[0]


def bounded_walk(rng, count, interval, tau):
    """A random walk between two walls. tau is the relaxation time of its slowest mode.

    Diffusion D between reflecting walls at distance L relaxes with pi^2 D / L^2; a flat
    distribution of width sqrt(12) has unit variance.
    """
    width = math.sqrt(12.0)
    spread = math.sqrt(2 * width * width / (math.pi**2 * tau) * interval)
    path = rng.uniform(0, width) + np.cumsum(rng.normal(0, spread, count))
    path = np.mod(path, 2 * width)
    return width / 2 - np.abs(path - width)


def noise(plan, rng, count):
    """The plan's noise, its standard deviation 1."""
    if plan.noise_kind == "walk":
        slow = bounded_walk(rng, count, plan.interval, plan.tau)
    else:
        slow = autoregressive(rng, count, plan.interval, plan.tau, plan.heavy)
    fast = white(rng, count, plan.heavy)
    return math.sqrt(1 - plan.white) * slow + math.sqrt(plan.white) * fast


def spikes(plan, rng, times):
    """Short and heavy-tailed, in units of the noise: memory that is taken and given back."""
    out = np.zeros(len(times))
    if plan.spikes <= 0:
        return out
    for _ in range(rng.poisson(plan.spikes * plan.days)):
        first = rng.integers(0, len(times))
        length = int(rng.integers(1, max(2, int(3 * HOUR / plan.interval))))
        out[first : first + length] += min(3 * (rng.pareto(1.8) + 1), 60)
    return out


def slope_error(plan, times, keep, life, sigma):
    """Standard error, bytes/s, of an ordinary least-squares slope through the noise of this plan.

    Exact for the noise's autocovariance: the variance of sum(w x) for the fit's weights w. Each
    life of the process has its own intercept. The step noise of leaks in steps is added to it.
    """
    count = len(times)
    centred = np.where(keep, times, 0.0)
    for which in np.unique(life[keep]):
        mask = keep & (life == which)
        centred[mask] = times[mask] - times[mask].mean()
    spread = (centred**2).sum()
    if spread <= 0:
        return math.inf
    weights = np.where(keep, centred / spread, 0.0)
    size = 1 << (2 * count - 1).bit_length()
    spectrum = np.fft.rfft(weights, size)
    overlap = np.fft.irfft(spectrum * np.conj(spectrum), size)[:count]
    lags = np.arange(count) * plan.interval
    covariance = np.zeros(count)
    if plan.tau > 0:
        covariance += (1 - plan.white) * np.exp(-lags / plan.tau)
        covariance[0] += plan.white
    else:
        covariance[0] = 1.0
    covariance *= sigma * sigma
    variance, tau = plan.step_noise
    if variance > 0:
        covariance += variance * np.exp(-lags / tau)
    return math.sqrt(max(overlap[0] * covariance[0] + 2 * (overlap[1:] * covariance[1:]).sum(), 0))


def saw(rng, times, size, period, jitter):
    """Fills from nothing to size and starts anew; each tooth takes its own time and height."""
    end = times[-1] + period
    count = int(end / period * 2) + 4
    lengths = period * np.exp(rng.normal(0, jitter, count))
    edges = np.cumsum(lengths) - rng.uniform(0, lengths[0])
    edges = np.concatenate(([edges[0] - lengths[0]], edges))
    at = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, count - 1)
    heights = size * np.exp(rng.normal(0, jitter / 2, count + 1))
    return heights[at] * np.clip((times - edges[at]) / lengths[at], 0, 1)


class Cycle:
    """Daily and weekly load, its mean over a week 0, from its least to its most 1.

    harmonics: smooth; box: office hours; job: a short batch job; weekend: load of Saturday and
    Sunday. growing: the swing changes by this share over the series, its mean does not.
    """

    GRID = 600.0

    def __init__(self, rng, shape, weekend, start_unix, growing=0.0, length=DAY):
        self.growing = growing
        self.start = float(start_unix)
        grid = np.arange(0, 7 * DAY, self.GRID)
        phase = rng.uniform(0, length)
        in_day = np.mod(grid - phase, length) / length
        if shape == "harmonics":
            load = np.cos(2 * math.pi * in_day)
            load += rng.uniform(0, 0.6) * np.cos(4 * math.pi * in_day + rng.uniform(0, 6.3))
            load += rng.uniform(0, 0.3) * np.cos(6 * math.pi * in_day + rng.uniform(0, 6.3))
            load -= load.min()
        elif shape == "box":
            edge = rng.uniform(0.02, 0.08)
            width = rng.uniform(0.3, 0.55)
            load = 1 / (1 + np.exp((np.abs(in_day - 0.5) - width / 2) / (edge / 2)))
        else:
            load = (in_day < rng.uniform(0.03, 0.12)).astype(float)
        day = np.floor(np.mod(grid - phase + 3 * DAY, 7 * DAY) / DAY)
        load *= np.where(day >= 5, weekend, 1.0)
        load /= load.max() - load.min()
        # What a leak by load follows: of mean 1.
        self.load = load / load.mean()
        self.table = load - load.mean()
        self.grid = grid

    def values(self, times, length):
        phase = np.mod(self.start + times, 7 * DAY)
        swing = 1 + self.growing * times / length
        return swing * np.interp(phase, self.grid, self.table, period=7 * DAY)

    def integral(self, until):
        """Of the load, from the series' start on; equal to until over whole weeks."""
        step = self.GRID
        total = np.concatenate(([0.0], np.cumsum(self.load) * step))
        edges = np.concatenate((self.grid, [7 * DAY]))

        def since_epoch(when):
            weeks = np.floor(when / (7 * DAY))
            return weeks * total[-1] + np.interp(when - weeks * 7 * DAY, edges, total)

        return since_epoch(self.start + until) - since_epoch(self.start)
