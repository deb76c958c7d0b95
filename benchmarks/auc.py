"""Aim: bootstrap_auc takes 1/50 of vectorised numpy's time and 1/1,000 of a loop over scikit-learn.

README says where which holds.
Prints the table of cmrbias.benchmarks.auc, which says what is measured and how.

    python benchmarks/auc.py [--cases 500] [--classes 4] [--resamples 2000] [--looped 200] [--threads N]
"""

from __future__ import annotations

import argparse

from cmrbias.benchmarks.auc import report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=500)
    parser.add_argument("--classes", type=int, default=4)
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--looped", type=int, default=200, help="resamples that scikit-learn does")
    parser.add_argument("--repeats", type=int, default=21)
    parser.add_argument("--threads", type=int)
    for line in report(**vars(parser.parse_args())):
        print(line, flush=True)


if __name__ == "__main__":
    main()
