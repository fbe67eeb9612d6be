# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""The scorer on results whose scores are known by hand. Run by tests/drift/scorer.sh."""

import json
import math
import os
import subprocess
import sys
import tempfile
import unittest

SCORE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tools/simulate/score")
DAY = 86400
MIB = 1 << 20


def label(name, drift, **more):
    """20 days; those that drift do so from day 4 on, by 10 MiB a day."""
    base = {
        "series": name, "family": "still", "drift": drift, "verdicts": ["none"], "onset_s": None,
        "slope_bytes_per_h": None, "slope_errors": None, "drifting": [], "grey": [], "days": 20,
        "level_bytes": 300 * MIB, "criterion_bytes": 24 * MIB, "ahead_bytes": 0,
        "growth": [[0, 0], [20 * DAY, 0]],
    }
    if drift:
        base.update({
            "family": "leak", "verdicts": ["leak"], "onset_s": 4 * DAY,
            "slope_bytes_per_h": 10 * MIB / 24, "slope_errors": 100.0, "ahead_bytes": 140 * MIB,
            "drifting": [[4 * DAY, 20 * DAY]],
            "growth": [[0, 0], [4 * DAY, 0], [20 * DAY, 160 * MIB]],
        })
    return {**base, **more}


def result(name, drift, alarms=(), verdict=None, slope=10.0, onset=None):
    return {"series": name, "drift": drift, "alarms": [list(alarm) for alarm in alarms],
            "verdict": verdict or ("leak" if drift else "none"), "onset_s": onset,
            "slope_bytes_per_h": slope * MIB / 24}


class Scores(unittest.TestCase):
    def score(self, labels, *columns, options=()):
        """The figures of the columns, each a list of results."""
        with tempfile.TemporaryDirectory() as place:
            paths = []
            for name, lines in [("labels", labels)] + [
                    (chr(ord("a") + i), lines) for i, lines in enumerate(columns)]:
                paths.append(os.path.join(place, name + ".jsonl"))
                with open(paths[-1], "w", encoding="ascii") as file:
                    file.writelines(json.dumps(line) + "\n" for line in lines)
            done = subprocess.run([SCORE, *paths, *options], capture_output=True, text=True,
                                  check=False)
        self.assertEqual(done.stderr, "")
        self.status = done.returncode
        self.output = done.stdout
        return json.loads(done.stdout)["a"] if "--json" in options else None

    def figures(self, labels, results):
        return self.score(labels, results, options=["--json"])

    def test_precision_recall(self):
        labels = [label(f"d{i}", True, slope_errors=10.0 if i < 2 else 100.0) for i in range(4)]
        labels += [label(f"s{i}", False) for i in range(6)]
        results = [result(f"d{i}", i != 0) for i in range(4)]
        results += [result(f"s{i}", i == 0) for i in range(6)]
        got = self.figures(labels, results)
        self.assertEqual(got["precision"], 3 / 4)
        self.assertEqual(got["recall"], 3 / 4)
        self.assertEqual(got["f1"], 3 / 4)
        self.assertEqual(got["recall_few_errors"], 1 / 2)

    def test_unscored_and_missing(self):
        labels = [label("d0", True), label("d1", True), label("u", None), label("s0", False)]
        got = self.figures(labels, [result("d0", True), result("u", True)])
        self.assertEqual(got["precision"], 1)
        self.assertEqual(got["recall"], 1 / 2)
        self.score(labels, [result("d0", True)], options=["--list-errors"])
        self.assertEqual(self.output.count("missing "), 3)

    def test_verdict(self):
        labels = [label("d0", True), label("d1", True, verdicts=["fragmentation", "leak"]),
                  label("d2", True), label("s0", False)]
        results = [result("d0", True), result("d1", True, verdict="fragmentation"),
                   result("d2", True, verdict="fragmentation"), result("s0", True)]
        self.assertEqual(self.figures(labels, results)["verdict_right"], 2 / 3)

    def test_no_verdicts(self):
        labels, results = [label("d0", True)], [{**result("d0", True), "verdict": None}]
        self.assertIsNone(self.figures(labels, results)["verdict_right"])

    def test_slope(self):
        labels = [label(f"d{i}", True) for i in range(4)]
        labels.append(label("d4", True, slope_bytes_per_h=None))
        results = [result("d0", True, slope=12.4), result("d1", True, slope=12.6),
                   result("d2", True, slope=7.6), result("d3", False), result("d4", True, slope=9)]
        self.assertEqual(self.figures(labels, results)["slope_within_25"], 2 / 3)

    def test_false_alarms(self):
        """Before the onset, after a cure and on what is still; not between the classes."""
        labels = [
            label("d0", True),
            label("cured", False, drifting=[[2 * DAY, 8 * DAY]]),
            label("grey", False, grey=[[0, 10 * DAY]]),
            label("s0", False),
        ]
        results = [
            result("d0", True, [(3 * DAY, 3.5 * DAY), (6 * DAY, None)]),
            result("cured", False, [(3 * DAY, 9 * DAY), (10 * DAY, 11 * DAY)]),
            result("grey", False, [(5 * DAY, 6 * DAY)]),
            result("s0", False, [(5 * DAY, 6 * DAY), (8 * DAY, 9 * DAY)]),
        ]
        got = self.figures(labels, results)
        # 4 + 14 + 10 + 20 days in which nothing drifts.
        self.assertAlmostEqual(got["false_alarms_per_1000_days"], 1000 * 4 / 48)
        self.assertEqual(got["alarms_on_settling"], 1)

    def test_alarm_at_the_very_end_is_true(self):
        got = self.figures([label("d0", True)], [result("d0", True, [(20 * DAY, None)])])
        self.assertEqual(got["false_alarms_per_1000_days"], 0)
        self.assertEqual(got["median_delay_h"], 16 * 24)

    def test_delay(self):
        labels = [label(f"d{i}", True) for i in range(3)]
        results = [result("d0", True, [(5 * DAY, None)]), result("d1", True, [(7 * DAY, None)]),
                   result("d2", True, [(12 * DAY, None)])]
        got = self.figures(labels, results)
        self.assertEqual(got["median_delay_h"], 72)
        self.assertAlmostEqual(got["median_grown_mib"], 30)

    def test_alarm_from_before_counts_from_the_onset(self):
        got = self.figures([label("d0", True)], [result("d0", True, [(3 * DAY, None)])])
        self.assertEqual(got["median_delay_h"], 0)
        self.assertEqual(got["false_alarms_per_1000_days"], 1000 / 4)

    def test_only_an_alarm_that_lasts_beyond_the_onset_counts(self):
        over = [result("d0", True, [(1 * DAY, 2 * DAY), (6 * DAY, 7 * DAY)])]
        self.assertEqual(self.figures([label("d0", True)], over)["median_delay_h"], 48)
        across = [result("d0", True, [(3 * DAY, 5 * DAY)])]
        self.assertEqual(self.figures([label("d0", True)], across)["median_delay_h"], 0)

    def test_never_is_for_ever(self):
        labels = [label(f"d{i}", True) for i in range(3)]
        results = [result("d0", True, [(5 * DAY, None)]), result("d1", True), result("d2", True)]
        self.assertEqual(self.figures(labels, results)["median_delay_h"], math.inf)

    def test_no_alarms_known(self):
        got = self.figures([label("d0", True)], [{**result("d0", True), "alarms": None}])
        self.assertIsNone(got["median_delay_h"])
        self.assertIsNone(got["false_alarms_per_1000_days"])

    def test_onset(self):
        got = self.figures([label("d0", True)], [result("d0", True, onset=3 * DAY)])
        self.assertEqual(got["median_onset_error_h"], 24)

    def test_require(self):
        labels = [label("d0", True), label("s0", False)]
        results = [result("d0", True), result("s0", False)]
        self.score(labels, results, options=["--require", "a:precision>=1"])
        self.assertEqual(self.status, 0)
        self.score(labels, results, options=["--require", "a:precision>=1.01"])
        self.assertEqual(self.status, 1)
        self.assertIn("NOT KEPT: a:precision>=1.01", self.output)
        self.score(labels, results, options=["--require", "a:median_delay_h<=72"])
        self.assertEqual(self.status, 1)

    def test_families(self):
        labels = [label("d0", True), label("d1", True), label("s0", False)]
        results = [result("d0", True, verdict="fragmentation"), result("d1", False),
                   result("s0", True)]
        self.score(labels, results, options=["--families"])
        rows = {line.split()[0]: line.split()[1:] for line in self.output.splitlines()
                if line.startswith(("leak", "still"))}
        self.assertEqual(rows["leak"], ["2", ".", "1", "1", ".", ".", "."])
        self.assertEqual(rows["still"], ["1", "1", ".", ".", ".", ".", "."])


if __name__ == "__main__":
    sys.exit(unittest.main())
