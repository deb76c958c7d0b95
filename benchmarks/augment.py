"""Claim: the paper's views are made no slower than by a plain torch loop over images, and how fast.

Random resized crop, flips, contrast and rotation of 224 x 224 float32 sources, to 64 and to 224 pixels,
on one thread. Both ways use the same draws and are checked to make the same views before they are timed;
they take turns, and each time is the median of the repeats.

    python benchmarks/augment.py [--images 256] [--sizes 64 224] [--repeats 7]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
import torch.nn.functional as F
from torch import Tensor

import cmrbias
from cmrbias.api import Params, draws
from cmrbias.augmentations.pipeline import build_pipeline
from cmrbias.registry import collect

SOURCE = 224
NAMES = ("crop", "flip", "contrast", "rotate")


def plain_view(image: Tensor, size: int, draw: dict[str, Params], row: int) -> Tensor:
    """Returns one view (1, 1, size, size) of an image (1, 1, 224, 224), as a tutorial would write it."""
    crop = {name: values[row].item() for name, values in draw["crop"].items()}
    height = round(SOURCE * min(1.0, (crop["share"] / crop["ratio"]) ** 0.5))
    width = round(SOURCE * min(1.0, (crop["share"] * crop["ratio"]) ** 0.5))
    if height == SOURCE or width == SOURCE:  # the ratio did not fit
        height, width = (max(n, round(SOURCE * crop["share"])) if n < SOURCE else n for n in (height, width))
    top, left = int(crop["down"] * (SOURCE - height + 1)), int(crop["across"] * (SOURCE - width + 1))
    part = image[:, :, top : top + height, left : left + width]
    view = F.interpolate(part, (size, size), mode="bilinear", antialias=True)
    if draw["flip"]["horizontal"][row]:
        view = view.flip(3)
    if draw["flip"]["vertical"][row]:
        view = view.flip(2)
    factor = draw["contrast"]["factor"][row].item()
    view = (factor * view + (1 - factor) * view.mean()).clamp(0, 1)
    cos, sin = draw["rotate"]["cos"][row].item(), draw["rotate"]["sin"][row].item()
    matrix = torch.tensor([[[cos, -sin, 0.0], [sin, cos, 0.0]]])
    grid = F.affine_grid(matrix, [1, 1, size, size], align_corners=False)
    return F.grid_sample(view, grid, align_corners=False) * 2 - 1


def compare(images: Tensor, size: int, repeats: int) -> None:
    """Prints one row of the table."""
    registry = collect(cmrbias.plugin_manager(), "augmentations")
    pipeline = build_pipeline(registry, {name: {} for name in NAMES}, size)
    keys = draws.keys(0, 0, torch.arange(len(images)), 0)

    def ours() -> Tensor:
        return pipeline(images, None, keys, {})[0]

    def plain() -> Tensor:
        draw = {}
        for name in NAMES:
            augmentation = registry.get(name)(registry.get(name).Options(), size)
            draw[name] = augmentation.draw(draws.derive(keys, draws.salt(name)))
        draw["crop"] = {name: values[:, 0] for name, values in draw["crop"].items()}
        return torch.cat([plain_view(images[r : r + 1], size, draw, r) for r in range(len(images))])

    torch.testing.assert_close(ours(), plain(), atol=1e-4, rtol=0)
    times: dict[str, list[float]] = {"ours": [], "plain": []}
    for _ in range(repeats):
        for name, call in (("ours", ours), ("plain", plain)):
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    fast, slow = (len(images) / statistics.median(times[name]) for name in ("ours", "plain"))
    print(f"{size:>6} {fast:>14,.0f} {slow:>14,.0f} {fast / slow:>8.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 224])
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(arguments.images, 1, SOURCE, SOURCE, generator=generator).mul_(0.9).add_(0.05)
    print(f"{arguments.images} images of {SOURCE} px, one thread: views a second")
    print(f"{'px':>6} {'ours':>14} {'plain loop':>14} {'ratio':>8}")
    for size in arguments.sizes:
        compare(images, size, arguments.repeats)


if __name__ == "__main__":
    main()
