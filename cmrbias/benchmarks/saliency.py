"""Saliency maps against masks: ``cmrbias.ops`` beside plain torch, eager and compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.benchmarks.figure import check_figure, draw_growth
from cmrbias.benchmarks.timing import (
    Row,
    bandwidth,
    in_new_process,
    milliseconds,
    milliseconds_in_loops,
)
from cmrbias.ops import Overlap, Projection, gradcam, gradcam_overlap, overlap, project_masks
from cmrbias.scores import aks, dice, dsc, iou, pointing

Scores = tuple[Tensor, ...]


@dataclass(frozen=True)
class Problem:
    """A layer's activations and gradients (N, K, h, w), its maps (N, h, w), and masks (N, H, W)."""

    activations: Tensor
    gradients: Tensor
    maps: Tensor
    masks: Tensor

    @property
    def bytes(self) -> int:
        """Bytes that must be read: activations, gradients and masks."""
        tensors = (self.activations, self.gradients, self.masks)
        return sum(t.numel() * t.element_size() for t in tensors)


def problem(
    images: int, channels: int = 1024, cells: int = 7, size: int = 224, dtype: torch.dtype = torch.float32
) -> Problem:
    """Returns random activations and gradients, and discs of 5 % of the image for hearts."""
    generator = torch.Generator().manual_seed(0)
    shape = (images, channels, cells, cells)
    activations = torch.rand(shape, generator=generator).to(dtype)
    gradients = torch.randn(shape, generator=generator).to(dtype)
    centre = size * (0.4 + 0.2 * torch.rand(images, 2, 1, 1, generator=generator))
    grid = torch.arange(size)
    masks = (grid[:, None] - centre[:, 0]) ** 2 + (grid - centre[:, 1]) ** 2 < (size / 8) ** 2
    return Problem(activations, gradients, gradcam(activations, gradients), masks)


def compare(
    images: int = 256, repeats: int = 21, threads: int | None = None, compiled: bool = False
) -> list[tuple[str, list[Row]]]:
    """Returns each task with a row a way to do it: ours, plain torch's, and the bytes'.

    Each task stands twice: with the ways in turn, so that each finds the caches full of what the other has
    read, and in a loop over one way, as one uses it.

    All ways are checked to give the same scores first. ``bytes / bandwidth`` is the time to read
    activations, gradients and masks (of maps: the masks) once, at the read bandwidth that is measured in the
    same run. Masks projected before are those of a data set whose maps are scored more than once.

    Args:
        images: how many, of 224 px, with K = 1024 channels of 7 x 7 cells.
        repeats: timed rounds, of which medians are taken.
        threads: of torch and of the kernels; None leaves torch's choice.
        compiled: also time ``torch.compile``, which takes a minute to compile.

    Raises:
        AssertionError: two ways differ.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    of = problem(images)
    a, g, maps, masks = of.activations, of.gradients, of.maps, of.masks
    projected = project_masks(masks, (maps.shape[-2], maps.shape[-1]))
    tasks: dict[str, tuple[Callable[[], Scores], Callable[[], Scores]]] = {
        "A, G -> five scores": (
            lambda: five(gradcam_overlap(a, g, masks)[1]),
            partial(torch_all, a, g, masks),
        ),
        "maps -> five scores": (lambda: five(overlap(maps, masks)), partial(torch_five, maps, masks)),
        "maps -> AKS, DSC": (partial(two, maps, masks), partial(torch_two, maps, masks)),
        "maps -> AKS, DSC, masks projected before": (
            partial(two, maps, projected),
            partial(torch_two, maps, masks),
        ),
    }
    result = []
    for task, (ours, plain) in tasks.items():
        calls = {"cmrbias": ours, "torch eager": plain}
        if compiled:
            calls["torch.compile"] = torch.compile(plain)
        result.append((task, timed(calls, repeats)))
        result.append((f"{task}; in a loop over one way", timed(calls, repeats, milliseconds_in_loops)))
    speed = bandwidth()
    for task, rows in result:
        if "projected" not in task:
            least = 1000 * (of.bytes if task.startswith("A, G") else masks.numel()) / speed
            rows.append(Row("bytes / bandwidth", least, least / rows[0].milliseconds))
    return result


def timed(
    calls: dict[str, Callable[[], Scores]],
    repeats: int,
    measure: Callable[[dict[str, Callable[[], Scores]], int], dict[str, float]] = milliseconds,
) -> list[Row]:
    """Returns a row a call, as measured; the first is ours, and the others must give the same scores.

    Raises:
        AssertionError: they do not.
    """
    results = {name: call() for name, call in calls.items()}
    for name, scores in results.items():
        for number, (ours, theirs) in enumerate(zip(results["cmrbias"], scores, strict=True)):
            # float32 decides thresholds otherwise by a pixel here and there, and between tied maxima
            off = ((theirs.double() - ours).abs() > 5e-3).double().mean().item()
            assert off <= (0.01 if number == 4 else 0), f"{name}: score {number} differs in {off:.1%} of rows"
    times = measure(calls, repeats)
    return [Row(name, time, time / times["cmrbias"]) for name, time in times.items()]


def growth(images: tuple[int, ...], repeats: int) -> list[tuple[int, float, float]]:
    """Returns (N, milliseconds, microseconds an image) of maps -> five scores."""
    result = []
    for n in images:
        of = problem(n, channels=1)
        call = {"cmrbias": partial(overlap, of.maps, of.masks)}
        time = milliseconds(call, repeats)["cmrbias"]
        result.append((n, time, 1000 * time / n))
    return result


def sizes(repeats: int) -> list[tuple[str, float, float]]:
    """Returns (what, milliseconds, ratio of eager torch) of maps -> five scores over sizes and classes."""
    result = []
    for cells, size in ((6, 96), (7, 224), (7, 225), (14, 224), (16, 512)):
        of = problem(64, channels=1, cells=cells, size=size)
        rows = timed(_both(of.maps, of.masks), repeats)
        result.append((f"64 images, {cells} x {cells} -> {size} px", rows[0].milliseconds, rows[1].ratio))
    for targets in (1, 4, 14):
        maps = torch.rand(64, targets, 7, 7, generator=torch.Generator().manual_seed(1))
        rows = timed(_both(maps, problem(64, channels=1).masks), repeats)
        result.append((f"64 images, {targets} classes each", rows[0].milliseconds, rows[1].ratio))
    return result


def small_call(repeats: int = 500) -> dict[str, float]:
    """Returns microseconds of calls with one image."""
    of = problem(1, channels=16)
    calls = {
        "gradcam": lambda: gradcam(of.activations, of.gradients),
        "overlap": lambda: overlap(of.maps, of.masks),
        "gradcam_overlap": lambda: gradcam_overlap(of.activations, of.gradients, of.masks),
    }
    return {name: 1000 * time for name, time in milliseconds(calls, repeats).items()}


def _both(maps: Tensor, masks: Tensor) -> dict[str, Callable[[], Scores]]:
    """Returns maps -> five scores our way and the plain way, which knows no classes: it repeats the masks."""
    shape = maps.shape[:-2]

    def plain() -> Scores:
        repeated = masks if maps.ndim == 3 else masks.repeat_interleave(maps.shape[1], 0)
        return tuple(s.view(shape) for s in torch_five(maps.flatten(0, -3), repeated))

    return {"cmrbias": lambda: five(overlap(maps, masks)), "torch eager": plain}


def five(found: Overlap) -> Scores:
    """Returns AKS, soft DSC, Dice, IoU and the pointing game."""
    return tuple(score(found) for score in (aks, dsc, dice, iou, pointing))


def two(maps: Tensor, masks: Tensor | Projection) -> Scores:
    """Returns AKS and soft DSC, which need no counts."""
    found = overlap(maps, masks, threshold=None)
    return aks(found), dsc(found)


def report(
    images: int = 256,
    repeats: int = 21,
    threads: int | None = None,
    compiled: bool = False,
    figure: Path | None = None,
) -> Iterator[str]:
    """Yields a table's lines: all tasks, malloc tuned and as it is (``timing``), sizes, small calls.

    Args:
        images, repeats, threads, compiled: as in ``compare``.
        figure: PNG file of time against the number of images.

    Raises:
        CmrbiasError: the figure cannot be drawn.
    """
    if figure is not None:
        check_figure(figure)
    arguments = {"images": images, "repeats": repeats, "threads": threads, "compiled": compiled}
    yield (
        f"saliency of {images} images, K = 1024, 7 x 7 -> 224 px, float32, "
        f"{threads or torch.get_num_threads()} thread(s): ms, and how many times ours"
    )
    for keep_memory in (True, False):
        yield "malloc tuned" if keep_memory else "malloc as it is"
        for task, rows in in_new_process(compare, arguments, keep_memory):
            yield f"  {task}"
            for row in (Row(*values) for values in rows):
                yield f"    {row.way:18}{row.milliseconds:9.2f}{row.ratio:8.2f}"
    yield "maps -> five scores across sizes and classes, malloc tuned: ms, and torch eager's over it"
    for what, time, ratio in in_new_process(sizes, {"repeats": repeats}, True):
        yield f"  {what:36}{time:9.3f}{ratio:8.1f}"
    yield "maps -> overlap across numbers of images: ms, and microseconds an image"
    rows = growth((1, 4, 16, 64, 256, 1024, 4096), repeats)
    for number, time, each in rows:
        yield f"  {number:5}{time:10.3f}{each:8.2f}"
    if figure is not None:
        draw_growth(rows, "overlap of N images, 7 x 7 cells, 224 x 224 pixels", figure)
        yield f"  {figure}"
    yield "one image: microseconds a call"
    for name, microseconds in small_call().items():
        yield f"  {name:20}{microseconds:8.1f}"


# --- the plain way --------------------------------------------------------------------------------


def torch_maps(activations: Tensor, gradients: Tensor) -> Tensor:
    """Returns GradCAM in plain torch, in the dtype given."""
    return (gradients.mean((2, 3), keepdim=True) * activations).sum(1).relu()


def _torch_upsampled(maps: Tensor, masks: Tensor) -> Tensor:
    size = (masks.shape[1], masks.shape[2])
    whole = F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    low, high = whole.amin((1, 2), keepdim=True), whole.amax((1, 2), keepdim=True)
    return (whole - low) / (high - low)


def torch_two(maps: Tensor, masks: Tensor) -> Scores:
    """Returns what ``two`` does, as one writes it in torch."""
    x = _torch_upsampled(maps, masks)
    inside, total = (x * masks).sum((1, 2)), x.sum((1, 2))
    return inside / total, 2 * inside / (total + masks.sum((1, 2)))


def torch_five(maps: Tensor, masks: Tensor) -> Scores:
    """Returns what ``five`` does, as one writes it in torch."""
    x = _torch_upsampled(maps, masks)
    inside, total, area = (x * masks).sum((1, 2)), x.sum((1, 2)), masks.sum((1, 2))
    hot = x >= 0.5
    both, either = (hot & masks).sum((1, 2)), hot.sum((1, 2)) + area
    peak = masks.flatten(1).gather(1, x.flatten(1).argmax(1, keepdim=True))[:, 0]
    return inside / total, 2 * inside / (total + area), 2 * both / either, both / (either - both), peak


def torch_all(activations: Tensor, gradients: Tensor, masks: Tensor) -> Scores:
    """Returns ``torch_five`` of ``torch_maps``."""
    return torch_five(torch_maps(activations, gradients), masks)
