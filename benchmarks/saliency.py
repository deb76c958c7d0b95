"""Aim: scores from activations and gradients cost at most twice the time to read them.

And 14 x less than plain torch, malloc tuned; from maps 50 x (five scores) and 100 x (AKS, DSC) less;
README says where which holds.
Prints the table of cmrbias.benchmarks.saliency, which says what is measured and how.

    python benchmarks/saliency.py [--images 256] [--repeats 21] [--threads N] [--compiled] [--figure F.png]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from cmrbias.benchmarks.saliency import report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--compiled", action="store_true", help="also time torch.compile")
    parser.add_argument("--figure", type=Path, help="PNG file: time against the number of images")
    for line in report(**vars(parser.parse_args())):
        print(line, flush=True)


if __name__ == "__main__":
    main()
