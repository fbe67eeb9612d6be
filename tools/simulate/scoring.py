# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""Compares results with labels. The rules are those that `tools/simulate/score --help` prints."""

import math
from bisect import bisect_right
from collections import defaultdict

DAY = 86400.0
HOUR = 3600.0
MIB = 1 << 20
FEW_ERRORS = 30
SLOPE_WITHIN = 0.25


def inside(when, stretches):
    return any(a <= when < b for a, b in stretches)


def drifting_until_end(label):
    """A stretch that lasts to the end includes the end."""
    end = label["days"] * DAY
    return [(a, math.inf if label["drift"] and b >= end - 2 * HOUR else b)
            for a, b in label["drifting"]]


def gain_at(label, when):
    """Of the curve that the label keeps as points."""
    points = label["growth"]
    after = bisect_right(points, [when, math.inf])
    if after == 0 or after == len(points):
        return points[min(after, len(points) - 1)][1]
    (t0, g0), (t1, g1) = points[after - 1], points[after]
    return g0 + (g1 - g0) * (when - t0) / (t1 - t0)


def grown(label, start, when):
    return gain_at(label, when) - gain_at(label, start)


def false_alarms(label, result):
    """Raisings at moments at which the series does not drift, and which are scored."""
    drifting, grey = drifting_until_end(label), label["grey"]
    return [on for on, _ in result["alarms"] or []
            if not inside(on, drifting) and not inside(on, grey)]


def settling_alarms(label, result):
    """True alarms by the rule, of growth that has ended by the end of the series."""
    if label["drift"]:
        return []
    return [on for on, _ in result["alarms"] or [] if inside(on, label["drifting"])]


def still_days(label):
    """Days in which an alarm would be a false one."""
    covered = sum(b - a for a, b in label["drifting"]) + sum(b - a for a, b in label["grey"])
    return max(label["days"] - covered / DAY, 0.0)


def first_alarm(label, result):
    """Seconds from the start of drifting to the first alarm that is on in it; infinite: none."""
    start = label["onset_s"]
    for on, off in result["alarms"] or []:
        if off is None or off > start:
            return max(on - start, 0.0)
    return math.inf


def slope_is_right(label, result):
    truth, found = label["slope_bytes_per_h"], result.get("slope_bytes_per_h")
    return found is not None and abs(found - truth) <= SLOPE_WITHIN * truth


class Tally:
    """What one method made of the labelled series."""

    def __init__(self, labels, results):
        self.families = defaultdict(lambda: defaultdict(int))
        self.errors = []
        self.count = defaultdict(int)
        self.false_alarms = self.settling = 0
        self.still_days = 0.0
        self.delays, self.grown, self.onsets = [], [], []
        self.verdicts_given = self.online = False
        for label in labels:
            result = results.get(label["series"])
            if result is None:
                # Not answered: neither found, nor called still.
                result = {"series": label["series"], "drift": False, "verdict": None, "alarms": []}
                self.note(label, result, "missing")
            if label["drift"] is not None:
                self.add(label, result)

    def note(self, label, result, error):
        self.families[label["family"]][error] += 1
        self.errors.append((error, label, result))

    def add(self, label, result):
        self.families[label["family"]]["series"] += 1
        called = bool(result["drift"])
        if label["drift"]:
            few = label["slope_errors"] is not None and label["slope_errors"] < FEW_ERRORS
            self.count["true"] += 1
            self.count["few"] += few
            if called:
                self.count["hit"] += 1
                self.count["few_hit"] += few
                self.add_detection(label, result)
            else:
                self.note(label, result, "miss")
        elif called:
            self.count["false"] += 1
            self.note(label, result, "false positive")
        self.add_online(label, result)

    def add_detection(self, label, result):
        if result.get("verdict") is not None:
            self.verdicts_given = True
            if result["verdict"] in label["verdicts"]:
                self.count["verdict"] += 1
            else:
                self.note(label, result, "wrong verdict")
        if label["slope_bytes_per_h"] is not None:
            self.count["sloped"] += 1
            if slope_is_right(label, result):
                self.count["slope"] += 1
            else:
                self.note(label, result, "wrong slope")
        if result.get("onset_s") is not None:
            self.onsets.append(abs(result["onset_s"] - label["onset_s"]) / HOUR)

    def add_online(self, label, result):
        self.online |= result["alarms"] is not None
        self.still_days += still_days(label)
        for on in false_alarms(label, result):
            self.false_alarms += 1
            self.note(label, {**result, "alarms": [[on, None]]}, "false alarm")
        self.settling += len(settling_alarms(label, result))
        if label["drift"]:
            delay = first_alarm(label, result)
            self.delays.append(delay / HOUR)
            self.grown.append(math.inf if math.isinf(delay) else grown(
                label, label["onset_s"], label["onset_s"] + delay) / MIB)

    def figures(self):
        """{name: number}; None where the method says nothing about it."""
        count = self.count
        found = count["hit"] + count["false"]
        precision = ratio(count["hit"], found)
        recall = ratio(count["hit"], count["true"])
        both = None
        if precision and recall:
            both = 2 * precision * recall / (precision + recall)
        return {
            "precision": precision,
            "recall": recall,
            "f1": both,
            "recall_few_errors": ratio(count["few_hit"], count["few"]),
            "verdict_right": ratio(count["verdict"], count["hit"]) if self.verdicts_given else None,
            "false_alarms_per_1000_days":
                ratio(1000 * self.false_alarms, self.still_days) if self.online else None,
            "alarms_on_settling": self.settling if self.online else None,
            "median_delay_h": median(self.delays) if self.online else None,
            "median_grown_mib": median(self.grown) if self.online else None,
            "slope_within_25": ratio(count["slope"], count["sloped"]),
            "median_onset_error_h": median(self.onsets),
        }


def ratio(part, whole):
    return part / whole if whole else None


def median(values):
    """Infinite when half are: what was never found took for ever."""
    if not values:
        return None
    ordered = sorted(values)
    middle = len(ordered) // 2
    if len(ordered) % 2 or math.isinf(ordered[middle]):
        return ordered[middle]
    return (ordered[middle - 1] + ordered[middle]) / 2
