"""The montage shows the cases' own pixels, outlines around the structures, and only in a PNG file."""

import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from cmrbias.cli.cohort.show import command
from cmrbias.cohorts.format import Cohort
from cmrbias.cohorts.writer import CohortWriter
from cmrbias.errors import CmrbiasError
from cmrbias.report.montage import COLOURS, choose_cases, draw_montage


def write_cohort(out, shapes=((64, 64),), masks=True, values=(40, 200)):
    """One case a shape: dark, a brighter square in the middle, an RV around it."""
    with CohortWriter(
        out,
        name="squares",
        frames=("ED", "ES"),
        structures=("RV",),
        targets={"label": {"kind": "class"}},
        preparation={},
        provenance={},
    ) as writer:
        for number, (height, width) in enumerate(shapes):
            images = np.full((2, height, width), values[0], np.uint8)
            images[:, height // 4 : height // 2, width // 4 : width // 2] = values[1]
            labels = (images == values[1]).astype(np.uint8) if masks else None
            row = {"case": f"c{number}", "patient": f"p{number}", "split": "train" if number % 2 else "test"}
            writer.add(row | {"label": "DCM"}, images, labels)
    return Cohort.open(out)


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB")).astype(int)


def count(picture, colour, tolerance=40):
    """Pixels near a colour, ``#RRGGBB`` or a grey value; antialiasing blends outlines a little."""
    wanted = [int(colour[i : i + 2], 16) for i in (1, 3, 5)] if isinstance(colour, str) else [colour] * 3
    return int((np.abs(picture - wanted).max(axis=-1) <= tolerance).sum())


def test_images_are_enlarged_by_a_whole_factor(tmp_path):
    cohort = write_cohort(tmp_path / "cohort", masks=False)
    draw_montage(cohort, np.array([0]), tmp_path / "out.png")
    picture = pixels(tmp_path / "out.png")
    # two frames, each stored pixel drawn as 4 x 4: 16 x 16 bright ones, the rest dark
    assert count(picture, 200, 0) == pytest.approx(2 * 16**2 * 16, abs=60)  # captions hold some such greys
    assert count(picture, 40, 0) == pytest.approx(2 * (64**2 - 16**2) * 16, abs=60)


def test_outlines_are_drawn_where_there_are_masks(tmp_path):
    draw_montage(write_cohort(tmp_path / "with"), np.array([0]), tmp_path / "with.png")
    draw_montage(write_cohort(tmp_path / "without", masks=False), np.array([0]), tmp_path / "without.png")
    outline = count(pixels(tmp_path / "with.png"), COLOURS["RV"])
    assert outline > 2 * 4 * 16 * 4 * 0.8  # two squares of 16 x 16 pixels, four times enlarged
    assert count(pixels(tmp_path / "without.png"), COLOURS["RV"]) == 0
    assert count(pixels(tmp_path / "with.png"), COLOURS["LV"]) == 0  # not in the legend either


def test_a_structure_at_the_edge_is_closed(tmp_path):
    cohort = write_cohort(tmp_path / "cohort", values=(200, 200))  # the whole image is RV
    draw_montage(cohort, np.array([0]), tmp_path / "out.png")
    assert count(pixels(tmp_path / "out.png"), COLOURS["RV"], 90) > 2 * 4 * 256 * 0.8


def test_cases_of_several_sizes(tmp_path):
    cohort = write_cohort(tmp_path / "cohort", shapes=((64, 64), (32, 48), (600, 500)))
    draw_montage(cohort, np.arange(3), tmp_path / "out.png")
    assert pixels(tmp_path / "out.png").shape[1] > 2 * 448


def test_the_chosen_cases_follow_split_and_seed(tmp_path):
    cohort = write_cohort(tmp_path / "cohort", shapes=((16, 16),) * 20)
    assert choose_cases(cohort, 100).tolist() == list(range(20))
    train = choose_cases(cohort, 4, "train", seed=1)
    assert len(train) == 4
    assert set(train) <= set(cohort.cases("train"))
    assert train.tolist() == choose_cases(cohort, 4, "train", seed=1).tolist()
    assert train.tolist() != choose_cases(cohort, 4, "train", seed=2).tolist()


@pytest.mark.parametrize("name", ["out.jpg", "absent/out.png", "cohort/cohort.json"])
def test_only_a_png_in_a_folder_that_exists(tmp_path, name):
    cohort = write_cohort(tmp_path / "cohort")
    before = (tmp_path / "cohort" / "cohort.json").read_bytes()
    with pytest.raises(CmrbiasError, match=r"\.png"):
        draw_montage(cohort, np.array([0]), tmp_path / name)
    assert (tmp_path / "cohort" / "cohort.json").read_bytes() == before


def test_pyplot_and_its_global_state_are_not_touched(tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)
    draw_montage(write_cohort(tmp_path / "cohort"), np.array([0]), tmp_path / "out.png")
    assert "matplotlib.pyplot" not in sys.modules


def test_the_command_says_where_it_wrote(tmp_path, monkeypatch):
    write_cohort(tmp_path / "cohort", shapes=((16, 16),) * 4)
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(command, ["cohort", "--cases", "3"], catch_exceptions=False)
    assert result.output.splitlines() == [
        "wrote cohort.png: 3 of 4 cases",
        "next: cmrbias cohort check cohort",
    ]
    assert (tmp_path / "cohort.png").is_file()


def test_long_captions_are_cut_to_their_image(tmp_path):
    with CohortWriter(
        tmp_path / "cohort",
        name="long",
        frames=("single",),
        structures=(),
        targets={f"finding{number}": {"kind": "binary"} for number in range(14)},
        preparation={},
        provenance={},
    ) as writer:
        row = {"case": "c", "patient": "p", "split": "train"} | {f"finding{n}": 1 for n in range(14)}
        writer.add(row, np.full((1, 256, 256), 7, np.uint8), None)
    draw_montage(Cohort.open(tmp_path / "cohort"), np.array([0]), tmp_path / "out.png")
    caption = pixels(tmp_path / "out.png")[84 + 256 :]  # below head and image
    columns = np.flatnonzero((caption > 60).any(axis=(0, 2)))
    gap = np.diff(columns).max()
    assert gap > 12  # between the frame's name and the targets
    assert columns.max() < 18 + 256
