"""Aim: background_swap takes at most 1.5 x the time its bytes need, and a third of torch.where's.

Prints the table of cmrbias.benchmarks.swap, which says what is measured and how.

    python benchmarks/swap.py [--cases 256] [--size 224] [--repeats 21] [--threads N] [--device cpu|cuda]
"""

from __future__ import annotations

import argparse

from cmrbias.benchmarks.swap import report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    for line in report(**vars(parser.parse_args())):
        print(line, flush=True)


if __name__ == "__main__":
    main()
