"""How long ``cmrbias --help`` and ``cmrbias plugins list`` take, beside importing torch alone.

Run: python benchmarks/startup.py
Claim: under 0.3 s each, with the example plugin installed (pip install ./plugins/cmrbias-example).
"""

from __future__ import annotations

import importlib.metadata
import statistics
import subprocess
import sys
import time
from pathlib import Path

SCRIPT = str(Path(sys.executable).parent / "cmrbias")


def seconds(command: list[str], repeats: int = 7) -> float:
    """Returns the median wall time of a command in fresh processes, after one that warms the disk cache."""
    times = []
    for _ in range(repeats + 1):
        started = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def main() -> None:
    plugins = [e.dist.name for e in importlib.metadata.entry_points(group="cmrbias") if e.dist]
    print(f"plugins installed: {', '.join(plugins) or 'none'}")
    torch = seconds([sys.executable, "-c", "import torch"], repeats=3)
    for arguments in (["--help"], ["plugins", "list"]):
        taken = seconds([SCRIPT, *arguments])
        name = f"cmrbias {' '.join(arguments)}"
        print(f"{name:<22} {taken:.3f} s   {torch / taken:.1f} x quicker than import torch")


if __name__ == "__main__":
    main()
