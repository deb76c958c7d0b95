"""Saliency maps against masks: ``cmrbias.ops`` beside plain torch, eager and compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.benchmarks.timing import Row, milliseconds
from cmrbias.ops import gradcam, gradcam_overlap, overlap, project_masks
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


def compare(of: Problem, repeats: int, compiled: bool) -> Iterator[tuple[str, list[Row]]]:
    """Yields each task and how long every way takes; all ways are checked to agree first.

    Args:
        of: what is computed.
        repeats: how often each way is timed; the median counts.
        compiled: also time ``torch.compile``, which takes a minute to compile.
    """
    a, g, maps, masks = of.activations, of.gradients, of.maps, of.masks
    tasks: dict[str, tuple[Callable[[], Scores], Callable[..., Scores], tuple[Tensor, ...]]] = {
        "A, G -> five scores": (lambda: _five(gradcam_overlap(a, g, masks)[1]), _torch_all, (a, g, masks)),
        "maps -> five scores": (lambda: _five(overlap(maps, masks)), _torch_five, (maps, masks)),
        "maps -> AKS, DSC": (lambda: _two(maps, masks), _torch_two, (maps, masks)),
    }
    for name, (ours, plain, arguments) in tasks.items():
        calls: dict[str, Callable[[], Scores]] = {"cmrbias": ours, "torch eager": lambda: plain(*arguments)}
        if compiled:
            faster = torch.compile(plain)
            calls["torch.compile"] = lambda: faster(*arguments)
        yield name, timed(calls, repeats)


def timed(calls: dict[str, Callable[[], Scores]], repeats: int) -> list[Row]:
    """Returns a row a call; the first is ours, and the others must give the same scores.

    Raises:
        AssertionError: they do not.
    """
    results = {name: call() for name, call in calls.items()}
    expected = results["cmrbias"]
    for name, scores in results.items():
        for ours, theirs in zip(expected, scores, strict=True):
            # thresholds and peaks in float32 differ by a pixel here and there
            torch.testing.assert_close(theirs.double(), ours, rtol=0, atol=5e-3, msg=f"{name} differs")
    times = milliseconds(calls, repeats)
    return [Row(name, time, time / times["cmrbias"]) for name, time in times.items()]


def growth(images: tuple[int, ...], repeats: int) -> list[tuple[int, float, float]]:
    """Returns (N, milliseconds, microseconds an image) of maps -> five scores, and of small problems alike."""
    result = []
    for n in images:
        of = problem(n, channels=1)
        call = {"cmrbias": lambda of=of: overlap(of.maps, of.masks)}
        time = milliseconds(call, repeats)["cmrbias"]
        result.append((n, time, 1000 * time / n))
    return result


def sizes(repeats: int) -> list[tuple[str, float, float]]:
    """Returns (what, milliseconds, ratio of eager torch) of maps -> five scores over sizes and classes."""
    result = []
    for cells, size in ((6, 96), (7, 224), (7, 225), (14, 224), (16, 512)):
        of = problem(64, channels=1, cells=cells, size=size)
        calls = {
            "cmrbias": lambda of=of: _five(overlap(of.maps, of.masks)),
            "torch eager": lambda of=of: _torch_five(of.maps, of.masks),
        }
        rows = timed(calls, repeats)
        result.append((f"64 images, {cells} x {cells} -> {size} px", rows[0].milliseconds, rows[1].ratio))
    for targets in (1, 4, 14):
        of = problem(64, channels=1)
        maps = torch.rand(64, targets, 7, 7, generator=torch.Generator().manual_seed(1))
        calls = {
            "cmrbias": lambda maps=maps: _five(overlap(maps, of.masks)),
            "torch eager": lambda maps=maps: tuple(
                s.view(64, -1)
                for s in _torch_five(maps.flatten(0, 1), of.masks.repeat_interleave(maps.shape[1], 0))
            ),
        }
        rows = timed(calls, repeats)
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


def _five(found: object) -> Scores:
    return tuple(score(found) for score in (aks, dsc, dice, iou, pointing))


def _two(maps: Tensor, masks: Tensor) -> Scores:
    found = overlap(maps, project_masks(masks, tuple(maps.shape[-2:])))
    return aks(found), dsc(found)


# --- the plain way --------------------------------------------------------------------------------


def _torch_maps(activations: Tensor, gradients: Tensor) -> Tensor:
    return (gradients.mean((2, 3), keepdim=True) * activations).sum(1).relu()


def _torch_upsampled(maps: Tensor, masks: Tensor) -> Tensor:
    size = (masks.shape[1], masks.shape[2])
    whole = F.interpolate(maps[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    low, high = whole.amin((1, 2), keepdim=True), whole.amax((1, 2), keepdim=True)
    return (whole - low) / (high - low)


def _torch_two(maps: Tensor, masks: Tensor) -> Scores:
    x = _torch_upsampled(maps, masks)
    inside, total = (x * masks).sum((1, 2)), x.sum((1, 2))
    return inside / total, 2 * inside / (total + masks.sum((1, 2)))


def _torch_five(maps: Tensor, masks: Tensor) -> Scores:
    x = _torch_upsampled(maps, masks)
    inside, total, area = (x * masks).sum((1, 2)), x.sum((1, 2)), masks.sum((1, 2))
    hot = x >= 0.5
    both, either = (hot & masks).sum((1, 2)), hot.sum((1, 2)) + area
    peak = masks.flatten(1).gather(1, x.flatten(1).argmax(1, keepdim=True))[:, 0]
    return inside / total, 2 * inside / (total + area), 2 * both / either, both / (either - both), peak


def _torch_all(activations: Tensor, gradients: Tensor, masks: Tensor) -> Scores:
    return _torch_five(_torch_maps(activations, gradients), masks)
