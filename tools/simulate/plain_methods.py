# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""What memory is customarily watched with, each applied fairly.

All see hourly medians of RSS + swap, and call drift only what also grows by the criterion of the
labels in 14 days: max(24 MiB, 2 % of the level of the last day). Significance is 5 %, two-sided.
None knows of restarts, cycles or components: that is what they are.
"""

import math

import numpy as np
from scipy import stats

from plan import AHEAD, DAY, criterion

SIGNIFICANCE = 0.05
FEWEST_HOURS = 48


class Hours:
    """Hourly medians, and what several methods need of them, computed once for all prefixes."""

    def __init__(self, times, values):
        self.times, self.values = times, values
        self.medians = {}
        count = len(times)
        rise = values[:, None] - values[None, :]
        span = times[:, None] - times[None, :]
        rows, columns = np.tril_indices(count, -1)
        self.slopes = rise[rows, columns] / span[rows, columns]
        # The pairs of the first n hours come first.
        self.signs = np.concatenate(([0], np.cumsum(np.sign(rise[rows, columns]))))

    def sen(self, count):
        if count not in self.medians:
            self.medians[count] = float(np.median(self.slopes[: count * (count - 1) // 2]))
        return self.medians[count]

    def kendall(self, count):
        """S and its variance, corrected for ties."""
        ties = np.unique(self.values[:count], return_counts=True)[1].astype(float)
        variance = (count * (count - 1) * (2 * count + 5)
                    - (ties * (ties - 1) * (2 * ties + 5)).sum()) / 18
        return float(self.signs[count * (count - 1) // 2]), variance


def enough(hours, count, slope):
    values, times = hours.values[:count], hours.times[:count]
    level = np.median(values[times > times[-1] - DAY])
    return slope * AHEAD >= criterion(level)


def kendall_p(score, variance):
    if variance <= 0:
        return 1.0
    return 2 * stats.norm.sf(max(abs(score) - 1, 0) / math.sqrt(variance))


def least_squares(hours, count):
    fit = stats.linregress(hours.times[:count], hours.values[:count])
    return fit.slope, fit.pvalue < SIGNIFICANCE


def mann_kendall(hours, count):
    return hours.sen(count), kendall_p(*hours.kendall(count)) < SIGNIFICANCE


def hamed_rao(hours, count):
    """Mann-Kendall, its variance corrected for the autocorrelation of the ranks (1998)."""
    slope = hours.sen(count)
    score, variance = hours.kendall(count)
    ranks = stats.rankdata(hours.values[:count] - slope * hours.times[:count])
    ranks -= ranks.mean()
    spectrum = np.fft.rfft(ranks, 2 * count)
    correlation = np.fft.irfft(spectrum * np.conj(spectrum))[:count]
    if correlation[0] <= 0:
        return slope, False
    lags = np.arange(1, count)
    correlation = correlation[1:] / correlation[0]
    correlation[np.abs(correlation) < stats.norm.ppf(0.975) / math.sqrt(count)] = 0
    weights = (count - lags) * (count - lags - 1.0) * (count - lags - 2.0)
    factor = 1 + 2 / (count * (count - 1.0) * (count - 2.0)) * (weights * correlation).sum()
    return slope, kendall_p(score, variance * (factor if factor > 0 else 1)) < SIGNIFICANCE


def theil_sen(hours, count):
    """The slope alone; its usual interval would make it Mann-Kendall."""
    return hours.sen(count), True


def cusum(hours, count):
    """One-sided, k = 0.5 and h = 5 standard deviations of the first two days; the slope is that of
    the level since the sum last left zero."""
    times, values = hours.times[:count], hours.values[:count]
    first = values[times < times[0] + 2 * DAY]
    spread = first.std() or 1.0
    steps = np.cumsum((values - first.mean()) / spread - 0.5)
    lowest = np.minimum.accumulate(np.minimum(steps, 0))
    left = int(np.flatnonzero(np.concatenate(([0], steps)) <= lowest[-1])[-1])
    since = max(times[-1] - times[min(left, count - 1)], DAY)
    now = np.median(values[times > times[-1] - DAY])
    return (now - first.mean()) / since, steps[-1] - lowest[-1] > 5


def predict_linear(hours, count):
    """Prometheus's predict_linear over a day, 14 days ahead."""
    near = hours.times[:count] > hours.times[count - 1] - DAY
    times, values = hours.times[:count][near], hours.values[:count][near]
    if len(times) < 3:
        return 0.0, False
    return float(np.polyfit(times - times[0], values, 1)[0]), True


METHODS = {
    "ols": least_squares,
    "mann-kendall": mann_kendall,
    "hamed-rao": hamed_rao,
    "theil-sen": theil_sen,
    "cusum": cusum,
    "predict_linear": predict_linear,
}


def judge(method, hours, count):
    """(drifts, slope in bytes/s)"""
    if count < FEWEST_HOURS:
        return None, None
    slope, significant = method(hours, count)
    return bool(significant and enough(hours, count, slope)), float(slope)


def alarms_of(method, hours, end):
    """Judged once a day by what is known by then."""
    alarms, on = [], False
    for day in range(2, int(end / DAY) + 1):
        count = int(np.searchsorted(hours.times, day * DAY))
        drifts, _ = judge(method, hours, count)
        if drifts and not on:
            alarms.append([day * DAY, None])
        elif on and not drifts:
            alarms[-1][1] = day * DAY
        on = bool(drifts)
    return alarms
