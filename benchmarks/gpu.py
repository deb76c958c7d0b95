"""Claim: on a GPU the kernels take little more than their bytes, and many times less than plain torch.

Device times from replays of a recorded graph, so without Python's share, in turn on inputs that caches cannot
hold together: the floor is every byte read and written once at the bandwidth of a large copy (the faster of
two ways), measured in the same run. All ways are checked to agree first.

    python benchmarks/gpu.py [--images 1024] [--repeats 50] [--compiled]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cmrbias.benchmarks.saliency import (
    Problem,
    Scores,
    five,
    problem,
    torch_all,
    torch_five,
    torch_two,
    two,
)
from cmrbias.benchmarks.swap import discs
from cmrbias.ops import (
    background_swap,
    background_swap_reference,
    gradcam,
    gradcam_overlap,
    overlap,
    project_masks,
)

SETS = 4  # of inputs, which take turns
Call = partial[Any]
Task = tuple[int, list[Call], list[Call]]  # bytes that must be moved, our way, the plain way if there is one


def device_ms(calls: Sequence[Call], repeats: int) -> float:
    """Returns the median time that the device takes for a call's kernels, of calls one after the other."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for call in calls:
            call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for call in calls:
            call()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        graph.replay()
        end.record()
        end.synchronize()
        times.append(start.elapsed_time(end) / len(calls))
    return statistics.median(times)


def copied_per_ms(repeats: int) -> float:
    """Returns the bytes that a pass over 1 GiB reads and writes in a ms: as a copy, or as a kernel."""
    source = torch.ones(2**28, device="cuda")
    target = torch.empty_like(source)
    ways = (partial(target.copy_, source), partial(torch.neg, source, out=target))
    return 2 * source.nbytes / min(device_ms([way] * SETS, repeats) for way in ways)


def problems(images: int) -> list[Problem]:
    """Returns sets of inputs on the GPU: the same images, in another order each."""
    of = problem(images)
    parts = (of.activations.cuda(), of.gradients.cuda(), of.maps.cuda(), of.masks.cuda())
    return [Problem(*(part.roll(turn, 0) for part in parts)) for turn in range(SETS)]


def check(ours: Scores, theirs: Scores) -> None:
    """As on the processor: float32 decides thresholds otherwise by a pixel here and there."""
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        off = ((one - other.double()).abs() > 5e-3).double().mean().item()
        assert off <= (0.01 if number == 4 else 0), f"score {number} differs in {off:.1%} of rows"


def saliency_tasks(images: int) -> dict[str, Task]:
    given = problems(images)
    least = given[0].bytes
    small = given[0].maps.nbytes + given[0].masks.nbytes

    def calls(way: Callable[..., object], *parts: str) -> list[Call]:
        return [partial(way, *(getattr(of, part) for part in parts)) for of in given]

    everything, maps_only = ("activations", "gradients", "masks"), ("maps", "masks")
    tasks: dict[str, Task] = {
        "A, G float32 -> sums, counts": (least, calls(gradcam_overlap, *everything), []),
        "A, G float32 -> maps": (least - given[0].masks.nbytes, calls(gradcam, *everything[:2]), []),
        "maps -> sums, counts": (small, calls(overlap, *maps_only), []),
        "maps -> sums": (small, calls(partial(overlap, threshold=None), *maps_only), []),
        "masks -> projections": (small, calls(partial(project_masks, size=(7, 7)), "masks"), []),
        "A, G -> five scores": (least, calls(five_of_all, *everything), calls(torch_all, *everything)),
        "maps -> five scores": (small, calls(five_of_maps, *maps_only), calls(torch_five, *maps_only)),
        "maps -> AKS, DSC": (small, calls(two, *maps_only), calls(torch_two, *maps_only)),
    }
    for _, ours, plain in tasks.values():
        if plain:
            check(ours[0](), plain[0]())
    half = [Problem(of.activations.bfloat16(), of.gradients.bfloat16(), of.maps, of.masks) for of in given]
    tasks["A, G bfloat16 -> sums, counts"] = (
        half[0].bytes,
        [partial(gradcam_overlap, of.activations, of.gradients, of.masks) for of in half],
        [],
    )
    projected = [(of.maps, project_masks(of.masks, (7, 7))) for of in given]
    tasks["maps, projections -> sums"] = (
        2 * given[0].maps.nbytes,
        [partial(overlap, *parts) for parts in projected],
        [],
    )
    return tasks


def five_of_all(activations: Tensor, gradients: Tensor, masks: Tensor) -> Scores:
    return five(gradcam_overlap(activations, gradients, masks)[1])


def five_of_maps(maps: Tensor, masks: Tensor) -> Scores:
    return five(overlap(maps, masks))


def torch_swap(images: Tensor, masks: Tensor, donors: Tensor) -> Tensor:
    return torch.where(masks, images, images[donors])


def swap_tasks(images: int) -> dict[str, Task]:
    torch.manual_seed(0)
    pictures, masks = torch.rand(images, 1, 224, 224).cuda(), discs(images, 1, 224).cuda()
    donors = torch.randperm(images).cuda()
    given = [(pictures.roll(turn, 0), masks.roll(turn, 0), donors) for turn in range(SETS)]
    least = 2 * pictures.nbytes + masks.nbytes
    assert torch.equal(background_swap(*given[0], "donor"), torch_swap(*given[0]))
    tasks: dict[str, Task] = {}
    for fill in ("donor", "mean", "inpaint"):
        reference = background_swap_reference(*given[0], fill)
        torch.testing.assert_close(background_swap(*given[0], fill), reference, rtol=0, atol=1e-6)
        ours = [partial(background_swap, *batch, fill) for batch in given]
        plain = [partial(torch_swap, *batch) for batch in given] if fill == "donor" else []
        tasks[f"swap, fill={fill}"] = (least, ours, plain)
    return tasks


def compiled(calls: list[Call]) -> list[Call]:
    (way,) = {call.func for call in calls}
    fast = torch.compile(way)
    return [partial(fast, *call.args) for call in calls]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--images", type=int, default=1024)
    parser.add_argument("--repeats", type=int, default=50)
    parser.add_argument("--compiled", action="store_true", help="also time torch.compile")
    options = parser.parse_args()
    moved = copied_per_ms(options.repeats)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}: copy {moved / 1e9:.2f} TB/s")
    print(
        f"{options.images} images, K = 1024, 7 x 7 -> 224 px: device us; bytes' us; ours / bytes'; TB/s; "
        "torch eager / ours; torch.compile / ours"
    )
    tasks = saliency_tasks(options.images) | swap_tasks(options.images)
    for name, (least, ours, plain) in tasks.items():
        time, floor = device_ms(ours, options.repeats), least / moved
        line = f"  {name:32}{1000 * time:9.1f}{1000 * floor:9.1f}{time / floor:7.2f}{least / time / 1e9:7.2f}"
        if plain:
            line += f"{device_ms(plain, options.repeats) / time:8.1f}"
        if plain and options.compiled:
            line += f"{device_ms(compiled(plain), options.repeats) / time:8.1f}"
        print(line, flush=True)
    print("across numbers of images, A, G float32 -> sums, counts: device us, and us an image")
    for count in (1, 16, 64, 256, 1024, 4096):
        ways = [partial(gradcam_overlap, of.activations, of.gradients, of.masks) for of in problems(count)]
        time = 1000 * device_ms(ways, options.repeats)
        print(f"  {count:6}{time:10.1f}{time / count:10.3f}", flush=True)


if __name__ == "__main__":
    main()
