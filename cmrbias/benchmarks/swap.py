"""Aim: background_swap takes at most 1.5 x the time its bytes need, and a third of torch.where's.

Both in one run, with malloc tuned; README says where which holds: on some machines torch.where itself takes
less than 3 x the time of those bytes. Discs of 5 % of the frame for hearts, random donors, float32.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from cmrbias.benchmarks.timing import Row, bandwidth, in_new_process, milliseconds
from cmrbias.errors import CmrbiasError
from cmrbias.ops import background_swap, background_swap_reference
from cmrbias.ops.extension import has_kernel


def compare(
    cases: int = 256,
    frames: int = 1,
    size: int = 224,
    repeats: int = 21,
    threads: int | None = None,
    device: str = "cpu",
) -> list[tuple[str, list[Row]]]:
    """Returns each task with a row a way to do it: ours, plain torch's where there is one, and the bytes'.

    Ours and torch's are checked to compute the same. ``bytes / bandwidth`` is the time for what
    ``fill=donor`` cannot avoid: every pixel of the result read once (from the recipient in its heart,
    else from the donor) and written once, and the masks read, at the bandwidth of a streaming copy that
    is measured in the same run.

    Args:
        cases: how many are swapped.
        frames: of each case; every one has its own mask.
        size: side of a frame in pixels.
        repeats: timed rounds, of which medians are taken.
        threads: of torch and of the kernels; None leaves torch's choice.
        device: ``cpu`` or ``cuda``.

    Raises:
        AssertionError: two ways differ.
        CmrbiasError: there is no kernel to measure.
    """
    if not has_kernel(torch.device(device)):
        raise CmrbiasError(
            f"benchmark swap: cmrbias._C was not built for {device}: reinstall cmrbias to build it"
        )
    if threads is not None:
        torch.set_num_threads(threads)
    torch.manual_seed(0)
    images = torch.rand(cases, frames, size, size).to(device)
    masks = discs(cases, frames, size).to(device)
    donors = torch.randperm(cases).to(device)
    least = 1000 * (2 * images.nbytes + masks.nbytes) / bandwidth(writing=True, device=device)
    table: list[tuple[str, list[Row]]] = []
    for task, ways in _tasks(images, masks, donors).items():
        ours, *others = (call() for call in ways.values())
        for other in others:
            torch.testing.assert_close(ours, other, rtol=0, atol=1e-6)
        times = milliseconds(ways, repeats) | {"bytes / bandwidth": least}
        table.append((task, [Row(way, time, time / times["cmrbias"]) for way, time in times.items()]))
    return table


def _tasks(images: Tensor, masks: Tensor, donors: Tensor) -> dict[str, dict[str, Callable[[], Tensor]]]:
    """Returns tasks, and the ways to do each; the first is ours."""
    batch = images, masks, donors
    return {
        "fill=donor": {
            "cmrbias": lambda: background_swap(*batch, "donor"),
            "torch.where": lambda: torch.where(masks, images, images[donors]),
        },
        "fill=mean": {
            "cmrbias": lambda: background_swap(*batch, "mean"),
            "torch": lambda: background_swap_reference(*batch, "mean"),
        },
        "fill=inpaint": {
            "cmrbias": lambda: background_swap(*batch, "inpaint"),
            "torch": lambda: background_swap_reference(*batch, "inpaint"),
        },
        "fill=donor, align=centroid": {"cmrbias": lambda: background_swap(*batch, "donor", "centroid")},
    }


def discs(cases: int, frames: int, size: int) -> Tensor:
    """Returns heart masks (cases, frames, size, size) bool: discs of about 5 % of the frame."""
    centre = size * (0.4 + 0.2 * torch.rand(cases, frames, 2, 1, 1))
    grid = torch.arange(size)
    distance = (grid[:, None] - centre[:, :, 0]) ** 2 + (grid - centre[:, :, 1]) ** 2
    return distance < (size / 8) ** 2


def report(
    cases: int = 256, size: int = 224, repeats: int = 21, threads: int | None = None, device: str = "cpu"
) -> Iterator[str]:
    """Yields a table's lines: one and two frames a case; malloc tuned, and as it is (``timing``)."""
    arguments = {"cases": cases, "size": size, "repeats": repeats, "threads": threads, "device": device}
    yield (
        f"background swap, {cases} cases of {size} x {size} float32, {device}, "
        f"{threads or torch.get_num_threads()} thread(s): ms, and how many times ours"
    )
    for frames in (1, 2):
        for keep_memory in (True, False) if device == "cpu" else (False,):
            malloc = "malloc tuned" if keep_memory else "malloc as it is"
            yield f"{frames} frame(s) a case, {malloc}"
            for task, rows in in_new_process(compare, {**arguments, "frames": frames}, keep_memory):
                yield f"  {task}"
                for row in (Row(*values) for values in rows):
                    yield f"    {row.way:18}{row.milliseconds:9.2f}{row.ratio:8.2f}"
