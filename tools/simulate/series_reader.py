# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Reads RSS + swap of each series from files in `memdrift analyze`'s input format."""

import gzip
import json

import numpy as np

HOUR = 3600.0


def lines_of(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(path, "rt", encoding="utf-8") as file:
        yield from file


def series_of(path):
    """(name, times, bytes), one series after another."""
    name, times, values = None, [], []
    for line in lines_of(path):
        sample = json.loads(line)
        if "t_s" not in sample:
            if name is not None:
                yield name, np.array(times, float), np.array(values, float)
            name, times, values = sample["series"], [], []
            continue
        if sample.get("rss_bytes") is None:
            continue
        times.append(sample["t_s"])
        values.append(sample["rss_bytes"] + (sample.get("swap_bytes") or 0))
    if name is not None:
        yield name, np.array(times, float), np.array(values, float)


def hourly(times, values):
    """Medians of the hours that have samples, at the middle of the hour."""
    hours = np.floor(times / HOUR).astype(int)
    edges = np.flatnonzero(np.diff(hours)) + 1
    groups = np.split(values, edges)
    firsts = hours[np.concatenate(([0], edges))] if len(hours) else hours
    return (firsts + 0.5) * HOUR, np.array([np.median(group) for group in groups if len(group)])
