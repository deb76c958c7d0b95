"""How long opening a large cohort takes, and how much memory a row costs.

    python benchmarks/open_cohort.py [ROWS]

Aim, at 4.8 million rows: open under 5 s, one more column under 4 s, at most 64 bytes a row resident.
Opening reads no images, so none are made: only ``cases.csv`` and a header that lists its shards.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np

from cmrbias.cohorts.format import AREA_COLUMNS, VERSION, Cohort
from cmrbias.cohorts.writer import SHARD_CASES


def make(folder: Path, rows: int) -> None:
    """Writes the table and the header of a cohort of chest X-rays, four a patient."""
    classes = ["none", "effusion", "cardiomegaly", "oedema", "nodule", "fracture"]
    draw = np.random.default_rng(0).integers(0, 2**63, size=rows)
    with (folder / "cases.csv").open("w") as table:
        table.write(f"case,patient,study,split,label,mask_CXR,{','.join(AREA_COLUMNS)},laterality,age\n")
        for i, number in enumerate(draw.tolist()):
            split = "test" if (i // 4) % 10 < 3 else "train"
            table.write(
                f"{number:016x},{i // 4:016x},{i // 2:016x},{split},{classes[number % 6]},,0,0,512,512,"
                f"{'AP' if number % 2 else 'PA'},{number % 90}\n"
            )
    shards = [
        {
            "cases": min(SHARD_CASES, rows - first),
            "height": 512,
            "width": 512,
            "files": {"images": {"file": f"images-{first // SHARD_CASES:05d}.npy", "sha256": "0" * 64}},
        }
        for first in range(0, rows, SHARD_CASES)
    ]
    header = {
        "format": VERSION,
        "digest": "0" * 64,
        "frames": ["CXR"],
        "structures": [],
        "targets": {"label": {"kind": "class", "classes": sorted(classes)}},
        "arrays": {"images": {"kind": "image", "dtype": "uint8", "channels": 1}},
        "shards": shards,
    }
    (folder / "cohort.json").write_text(json.dumps(header))


def seconds(call) -> tuple[float, object]:
    start = time.perf_counter()
    result = call()
    return time.perf_counter() - start, result


def main() -> None:
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        make(Path(folder), rows)
        size = (Path(folder) / "cases.csv").stat().st_size
        print(f"{rows:,} rows, cases.csv {size / 1e6:.0f} MB")
        opening, cohort = seconds(lambda: Cohort.open(folder))
        print(f"open (header, row count, split)   {opening:6.2f} s")
        for column in ("label", "patient", "age"):
            took, _ = seconds(lambda column=column: cohort.codes(column))
            print(f"one more column: {column:<16} {took:6.2f} s")
        del cohort
        tracemalloc.start()
        cohort = Cohort.open(folder)
        opened = tracemalloc.get_traced_memory()[0] / rows
        cohort.codes("patient")
        more = tracemalloc.get_traced_memory()[0] / rows
        print(f"resident: {opened:.1f} bytes a row when open, {more:.1f} with the column 'patient'")


if __name__ == "__main__":
    main()
