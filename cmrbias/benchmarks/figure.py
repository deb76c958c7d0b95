"""A figure of time against the number of images: linear growth is the dashed line."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from cmrbias.errors import CmrbiasError
from cmrbias.files import make_folder, refuse_unwritable, write_atomically


def check_figure(path: Path) -> None:
    """Raises unless ``draw_growth`` can draw into a file, before anything is timed.

    Raises:
        CmrbiasError: it is no .png file, or its folder cannot be written.
        MissingExtra: matplotlib is not installed.
    """
    if path.suffix != ".png":
        raise CmrbiasError(f"--figure {path}: expected the name of a .png file, got {path.name!r}")
    refuse_unwritable(path.parent)
    from cmrbias.report.overlays import require_matplotlib

    require_matplotlib("drawing a figure")


def draw_growth(rows: Sequence[tuple[int, float, float]], title: str, path: Path) -> None:
    """Draws (N, milliseconds, microseconds an image) into a PNG file, both axes logarithmic.

    The dashed line is linear growth from the last row: where the points lie on it, an image costs the same
    however many there are; where they leave it, the call itself does.
    """
    from matplotlib.figure import Figure

    numbers, times = [row[0] for row in rows], [row[1] for row in rows]
    figure = Figure(figsize=(5, 3.8), dpi=120, facecolor="white", layout="constrained")
    axes = figure.add_subplot()
    linear = [times[-1] * number / numbers[-1] for number in numbers]
    axes.plot(numbers, linear, "--", color="#999999", label=f"linear, {rows[-1][2]:.2f} us an image")
    axes.plot(numbers, times, "o-", color="#0072B2", label="measured")
    axes.set(xscale="log", yscale="log", xlabel="images", ylabel="milliseconds a call")
    axes.set_title(title, fontsize=9, loc="left")
    axes.set_xticks(numbers, [str(number) for number in numbers])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    make_folder(path.parent)
    write_atomically(path, lambda file: figure.savefig(file, format="png"))
