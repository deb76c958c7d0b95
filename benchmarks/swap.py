"""Claim: background_swap is not slower than torch.where, and its smooth fill beats its plain torch form.

Times on 256 images of 224 x 224 float32 with one and two frames, discs for hearts, random donors. Each
row is checked to compute the same values before it is timed; ratios are from one run, median of repeats.

    python benchmarks/swap.py [--cases 256] [--size 224] [--threads N] [--device cpu|cuda]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from cmrbias.ops import background_swap, background_swap_reference


def discs(cases: int, frames: int, size: int) -> Tensor:
    """Returns heart masks (cases, frames, size, size) bool: discs of about 5 % of the frame."""
    centre = size * (0.4 + 0.2 * torch.rand(cases, frames, 2, 1, 1))
    grid = torch.arange(size)
    distance = (grid[:, None] - centre[:, :, 0]) ** 2 + (grid - centre[:, :, 1]) ** 2
    return distance < (size / 8) ** 2


def milliseconds(calls: dict[str, Callable[[], Tensor]], device: str, repeats: int) -> dict[str, float]:
    """Returns each call's median time; the calls take turns, so that the machine's mood hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if device == "cuda":
                torch.cuda.synchronize()
            times[name].append(1000 * (time.perf_counter() - start))
    return {name: statistics.median(values) for name, values in times.items()}


def compare(frames: int, options: argparse.Namespace) -> None:
    torch.manual_seed(0)
    images = torch.rand(options.cases, frames, options.size, options.size).to(options.device)
    masks = discs(options.cases, frames, options.size).to(options.device)
    donors = torch.randperm(options.cases).to(options.device)
    ours = {
        f"cmrbias fill={fill}": lambda fill=fill: background_swap(images, masks, donors, fill)
        for fill in ("donor", "mean", "inpaint")
    }
    plain = {
        "torch.where": lambda: torch.where(masks, images, images[donors]),
        "torch mean": lambda: background_swap_reference(images, masks, donors, "mean"),
        "torch inpaint": lambda: background_swap_reference(images, masks, donors, "inpaint"),
    }
    for (name, call), (other, reference) in zip(ours.items(), plain.items(), strict=True):
        torch.testing.assert_close(call(), reference(), rtol=0, atol=1e-6, msg=f"{name} is not {other}")
    times = milliseconds({**ours, **plain}, options.device, options.repeats)
    print(f"\n{options.cases} cases, {frames} frame(s) of {options.size} x {options.size} float32")
    for name, other in zip(ours, plain, strict=True):
        ours_ms, plain_ms = times[name], times[other]
        print(
            f"  {name:21} {ours_ms:7.2f} ms   {other:13} {plain_ms:7.2f} ms   ratio {plain_ms / ours_ms:5.2f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=11)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"{options.device}, {options.threads} thread(s), torch {torch.__version__}")
    for frames in (1, 2):
        compare(frames, options)


if __name__ == "__main__":
    main()
