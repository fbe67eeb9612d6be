# SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause)
"""corpus_check.py CORPUS LABELS: whether simulated series are what their labels say, by the samples
alone. Run by tests/drift/corpus.sh; says what is wrong and exits 1."""

import gzip
import json
import sys
from collections import Counter, defaultdict

import numpy as np

DAY = 86400.0
PAGE = 4096
# Their last week is a line, but for noise that is small against it.
PLAIN = {"leak", "leak_late", "leak_swapped", "fragmentation", "go_growth", "go_fragmentation",
         "direct_growth", "thread_growth"}

wrong = []


def expect(true, what):
    if not true:
        wrong.append(what)


def read_series(path):
    headers, samples = {}, defaultdict(list)
    with gzip.open(path, "rt", encoding="ascii") as file:
        for line in file:
            value = json.loads(line)
            if "t_s" in value:
                samples[value["series"]].append(value)
            else:
                headers[value["series"]] = value
    return headers, samples


def check_sample(sample):
    """The sums that hold in every process."""
    name = f"{sample['series']} at {sample['t_s']}"
    expect(all(v >= 0 for k, v in sample.items() if k != "series"), f"{name}: below zero")
    if "anon_bytes" not in sample:
        return
    parts = sample["anon_bytes"] + sample["file_bytes"] + sample["shmem_bytes"]
    expect(parts == sample["rss_bytes"], f"{name}: anon + file + shmem is not RSS")
    if "brk_bytes" not in sample or sample["swap_bytes"]:
        return
    heap = sample["brk_bytes"] + sample["arena_resident_bytes"]
    chunks = sample["malloc_in_use_bytes"] + sample["malloc_free_bytes"]
    expect(abs(heap - chunks) <= 4 * PAGE, f"{name}: chunks are not the heap")
    known = heap + sample["direct_mapping_bytes"] + sample["thread_stack_bytes"]
    known += sample.get("go_heap_bytes", 0) + sample.get("go_idle_bytes", 0)
    expect(known <= sample["anon_bytes"] + 8 * PAGE, f"{name}: more parts than anon")
    expect(sample.get("go_alloc_bytes", 0) <= sample.get("go_heap_bytes", 0),
           f"{name}: more allocated than in use")


def check_series(header, samples):
    name = header["series"]
    times = [sample["t_s"] for sample in samples]
    expect(all(a < b for a, b in zip(times, times[1:])), f"{name}: time does not ascend")
    limit = header["arena_limit"]
    if limit:
        expect(max(s.get("arenas", 0) for s in samples) <= limit, f"{name}: too many arenas")
    for sample in samples:
        check_sample(sample)


def check_class(label):
    """By what it says of itself: never between the classes."""
    share = label["ahead_bytes"] / label["criterion_bytes"]
    expect(share >= 1 if label["drift"] else share < 0.25, f"{label['series']}: in between")
    if label["drift"]:
        expect(label["slope_errors"] > 5, f"{label['series']}: nobody could see that")


def check_slope(label, samples):
    """A line through the last week (after the onset) has the slope that the label says."""
    end = samples[-1]["t_s"]
    start = max(end - 7 * DAY, label["onset_s"])
    late = [s for s in samples if s["t_s"] >= start and s["pid"] == samples[-1]["pid"]]
    times = np.array([s["t_s"] for s in late], float)
    values = np.array([s["rss_bytes"] + s.get("swap_bytes", 0) for s in late], float)
    found = np.polyfit(times, values, 1)[0] * 3600
    truth = label["slope_bytes_per_h"]
    return abs(found - truth) <= 0.25 * truth


def main():
    headers, samples = read_series(sys.argv[1])
    with open(sys.argv[2], encoding="ascii") as file:
        labels = [json.loads(line) for line in file]
    expect(sum(label["drift"] for label in labels) == round(len(labels) / 5), "not a fifth drifts")
    expect(set(headers) == {label["series"] for label in labels}, "other labels than series")
    right = Counter()
    for label in labels:
        name = label["series"]
        check_series(headers[name], samples[name])
        check_class(label)
        clear = label["drift"] and label["family"] in PLAIN and label["slope_errors"] > 80
        if clear:
            right[check_slope(label, samples[name])] += 1
    # A step of configuration or memory pressure in the week bends some.
    expect(right[True] >= 4 and right[True] >= 4 * right[False], f"slopes: {dict(right)}")
    print(f"{len(labels)} series, {dict(right)} slopes right")
    print("\n".join(wrong[:20]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
