"""MedAug's choice of partners against the published way, which filters a copy of the table for each image.

Run after ``pip install . ./plugins/cmrbias-medaug``. Prints a line a table and strategy: seconds to build,
pairs a second, bytes a row that stay, and the pairs a second of the published way (a copy and a scan of the
table an image, in numpy, so without what pandas costs besides), and checks that both allow the same partners.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch
from cmrbias_medaug.strategies import SameStudy, SameStudyDistinctLaterality

PUBLISHED = 50  # images that the published way pairs


class Images:
    """Patients with 1 to 12 images in 1 to 4 studies, frontal and lateral, in no order."""

    def __init__(self, rows: int, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        patient = rng.integers(0, max(rows // 4, 1), rows)
        self.columns = {
            "patient": patient,
            "study": patient * 4 + rng.integers(0, 4, rows),
            "laterality": rng.integers(0, 2, rows),
        }

    def __len__(self) -> int:
        return len(self.columns["patient"])

    def codes(self, column):
        """Returns codes (N,) int64."""
        return self.columns[column]

    def values(self, column):
        """Returns the lateralities, which are checked; of other columns only names of bad rows are asked."""
        assert column == "laterality", column
        return ["frontal", "lateral"]


def measure(strategy, table, pairs):
    """Returns seconds to build, pairs a second and resident bytes a row."""
    pairing = strategy(strategy.Options())
    start = time.perf_counter()
    pairing.fit(table)
    built = time.perf_counter() - start
    index = torch.from_numpy(np.random.default_rng(1).integers(0, len(table), pairs))
    pairing.partner(index[:1000], 0, 0)
    best = np.inf
    for epoch in range(3):
        start = time.perf_counter()
        for part in index.split(1 << 16):
            pairing.partner(part, epoch, 0)
        best = min(best, time.perf_counter() - start)
    tensors = {id(t): t for t in vars(pairing._blocks).values() if torch.is_tensor(t)}
    resident = sum(t.nbytes for t in tensors.values()) / len(table)
    return pairing, built, pairs / best, resident


def published(table, rows, distinct):
    """Scans the whole table for each image, as published; returns candidates and pairs a second."""
    columns = table.columns
    start, found = time.perf_counter(), []
    for row in rows:
        kept = {name: column.copy() for name, column in columns.items()}
        mask = (kept["patient"] == kept["patient"][row]) & (kept["study"] == kept["study"][row])
        if distinct:
            mask &= kept["laterality"] != kept["laterality"][row]
        found.append(np.flatnonzero(mask))
    return found, len(rows) / (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="10000,223000,4800000")
    parser.add_argument("--pairs", type=int, default=1_000_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    print(
        f"{'rows':>9}  {'strategy':<30}  build s  ns/row build  pairs/s (1 thread)  bytes/row  "
        "published pairs/s"
    )
    for count in map(int, arguments.rows.split(",")):
        table = Images(count)
        rows = np.random.default_rng(2).integers(0, count, PUBLISHED)
        for strategy in (SameStudy, SameStudyDistinctLaterality):
            distinct = strategy is SameStudyDistinctLaterality
            pairing, built, rate, resident = measure(strategy, table, arguments.pairs)
            allowed, slow = published(table, rows, distinct)
            drawn = pairing.partner(torch.from_numpy(rows), 0, 0).tolist()
            for row, partner, candidates in zip(rows.tolist(), drawn, allowed, strict=True):
                assert partner in (candidates if len(candidates) else [row]), (row, partner)
            print(
                f"{count:>9}  {pairing.name:<30}  {built:7.2f}  {built / count * 1e9:12.0f}  {rate:18,.0f}  "
                f"{resident:9.0f}  {slow:17,.0f}"
            )


if __name__ == "__main__":
    main()
