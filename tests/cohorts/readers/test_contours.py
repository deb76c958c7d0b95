"""Polygons -> label masks: areas against the shoelace formula, pixels against matplotlib."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.path import Path as Polygon

from cmrbias.cohorts.case import SourceError
from cmrbias.cohorts.readers.contours import Contours, draw_labels, fill_polygon, find_contours, read_contour


def shoelace(points: np.ndarray) -> float:
    x, y = points.T
    return abs(float(x @ np.roll(y, -1) - y @ np.roll(x, -1))) / 2


def circle(radius: float, x: float = 20.3, y: float = 18.6, count: int = 90) -> np.ndarray:
    angle = np.linspace(0, 2 * np.pi, count, endpoint=False)
    return np.stack([x + radius * np.cos(angle), y + radius * np.sin(angle)], axis=1)


def write(path, points) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{x:.4f} {y:.4f}\n" for x, y in points))


def test_a_square_holds_left_and_upper_border_only():
    square = np.array([[2, 1], [5, 1], [5, 4], [2, 4]], dtype=float)
    expected = np.zeros((6, 8), dtype=bool)
    expected[1:4, 2:5] = True
    np.testing.assert_array_equal(fill_polygon(square, (6, 8)), expected)


@pytest.mark.parametrize("radius", [3.0, 7.5, 14.2])
def test_the_area_of_a_circle_is_its_polygons(radius):
    points = circle(radius)
    filled = fill_polygon(points, (40, 44))
    # the error of a lattice count grows with the circumference's square root; one pixel per 10 is ample
    assert abs(filled.sum() - shoelace(points)) < 1 + 0.1 * 2 * np.pi * radius


@given(
    radii=st.lists(st.floats(2.0, 15.0), min_size=3, max_size=30),
    x=st.floats(12.0, 20.0),
    y=st.floats(12.0, 20.0),
)
def test_pixels_off_the_outline_are_those_of_matplotlib(radii, x, y):
    angle = np.linspace(0, 2 * np.pi, len(radii), endpoint=False)
    points = np.stack([x + radii * np.cos(angle), y + radii * np.sin(angle)], axis=1)
    rows, columns = np.mgrid[:36, :36]
    centres = np.stack([columns.ravel(), rows.ravel()], axis=1)
    polygon = Polygon(np.concatenate([points, points[:1]]), closed=True)
    near = polygon.contains_points(centres, radius=1e-6) != polygon.contains_points(centres, radius=-1e-6)
    same = fill_polygon(points, (36, 36)).ravel() == polygon.contains_points(centres)
    assert (same | near).all()


@given(x=st.integers(0, 12), y=st.integers(0, 12))
def test_triangles_that_share_edges_share_no_pixel(x, y):
    corners = np.array([[0, 0], [12, 0], [12, 12], [0, 12]], dtype=float)
    centre = np.array([x, y], dtype=float)
    triangles = [np.stack([corners[i], corners[(i + 1) % 4], centre]) for i in range(4)]
    total = sum(fill_polygon(t, (14, 14)).astype(int) for t in triangles)
    np.testing.assert_array_equal(total, fill_polygon(corners, (14, 14)))


def test_a_figure_of_eight_is_filled_by_the_even_odd_rule():
    twice = np.concatenate([circle(8), circle(8)])  # wound twice: every pixel is outside
    assert not fill_polygon(twice, (40, 44)).any()


def test_the_direction_and_start_of_a_contour_do_not_matter():
    points = circle(9.1)
    expected = fill_polygon(points, (40, 44))
    np.testing.assert_array_equal(fill_polygon(points[::-1], (40, 44)), expected)
    np.testing.assert_array_equal(fill_polygon(np.roll(points, 17, axis=0), (40, 44)), expected)


def test_a_polygon_that_leaves_the_image_is_cut():
    square = np.array([[-3, -3], [3, -3], [3, 3], [-3, 3]], dtype=float)
    filled = fill_polygon(square, (5, 5))
    assert filled[:3, :3].all()
    assert filled.sum() == 9


def test_files_count_pixels_from_one(tmp_path):
    file = tmp_path / "IM-0001-0007-icontour-manual.txt"
    file.write_text("1.00 1.00\n4.00 1.00\n\n4.00 3.00\n1.00 3.00\n")
    np.testing.assert_array_equal(read_contour(file), [[0, 0], [3, 0], [3, 2], [0, 2]])


def test_labels_are_pool_inside_and_myocardium_between(tmp_path):
    inner, outer = tmp_path / "i.txt", tmp_path / "o.txt"
    write(inner, circle(6) + 1)
    write(outer, circle(10) + 1)
    labels, structures = draw_labels(Contours(inner, outer), (40, 44))
    assert structures == ("MYO", "LV")
    np.testing.assert_array_equal(labels == 3, fill_polygon(circle(6), (40, 44)))
    np.testing.assert_array_equal(labels != 0, fill_polygon(circle(10), (40, 44)))
    assert set(np.unique(labels)) == {0, 2, 3}


def test_a_mask_says_what_it_lacks(tmp_path):
    file = tmp_path / "c.txt"
    write(file, circle(6) + 1)
    labels, structures = draw_labels(Contours(inner=file), (40, 44))
    assert structures == ("LV",)
    assert set(np.unique(labels)) == {0, 3}
    labels, structures = draw_labels(Contours(outer=file), (40, 44))
    assert structures == ()
    assert not labels.any()


def test_files_are_found_by_number_and_kind_in_any_subfolder(tmp_path):
    for name in ("i-contours/IM-0001-0048-icontour-manual.txt", "o/IM-0001-0048-ocontour-manual.txt"):
        write(tmp_path / name, circle(5))
    write(tmp_path / "i-contours" / "IM-0001-0100-icontour-manual.txt", circle(5))
    write(tmp_path / "i-contours" / "IM-0001-0100-icontour-auto.txt", circle(5))
    found = find_contours(tmp_path)
    assert list(found) == [48, 100]
    assert [p.name for p in found[48].paths] == [
        "IM-0001-0048-icontour-manual.txt", "IM-0001-0048-ocontour-manual.txt",
    ]  # fmt: skip
    assert found[100].outer is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2\n3 4\n", "at least three finite points, found 2"),
        ("1 2\n3 4\n5\n", "two numbers 'x y' a line"),
        ("1 2\n3 x\n5 6\n", "two numbers 'x y' a line"),
        ("1 2 3\n4 5 6\n", "two numbers 'x y' a line"),
        ("1 2\n3 nan\n5 6\n", "finite points"),
        ("", "found 0"),
        ("1 1\n60 1\n60 9\n", "outside of the image of 40 x 44"),
        ("1 1\n9 1\n9 42\n", "outside of the image of 40 x 44"),
        ("0 1\n9 1\n9 9\n", "outside of the image of 40 x 44"),
    ],
)
def test_a_bad_contour_is_named(tmp_path, text, message):
    file = tmp_path / "bad.txt"
    file.write_text(text)
    with pytest.raises(SourceError, match=message) as caught:
        draw_labels(Contours(inner=file), (40, 44))
    assert str(file) in str(caught.value)


def test_a_folder_without_contours_or_with_one_twice_is_named(tmp_path):
    with pytest.raises(SourceError, match=r"IM-0001-NNNN-icontour-manual\.txt, found none"):
        find_contours(tmp_path)
    for folder in ("a", "b"):
        write(tmp_path / folder / "IM-0001-0048-icontour-manual.txt", circle(5))
    with pytest.raises(SourceError, match="image 48 has another contour of this kind"):
        find_contours(tmp_path)


def test_real_contours_lie_on_the_edge_of_the_pool(shared_data):
    """Moved by (-1, -1), as FIRST_PIXEL says, inner contours lie on a steeper edge than unmoved ones."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    from cmrbias.cohorts.readers.dicom_files import read_images, read_pixels

    steepness = {0.0: [], 1.0: []}
    for original, patient in (("SC-HF-I-1", "SCD0000101"), ("SC-HF-I-4", "SCD0000301")):
        for number, files in find_contours(shared_data / "sunnybrook" / "contours" / original).items():
            (image,) = read_images(shared_data / "sunnybrook" / "cine" / patient / f"{number}.dcm")
            pixels = gaussian_filter(read_pixels(image), 0.7)
            edge = np.hypot(*np.gradient(pixels / pixels.max()))
            x, y = read_contour(files.inner).T
            for back in steepness:
                steepness[back].append(map_coordinates(edge, [y + back, x + back], order=1).mean())
            assert (
                abs(fill_polygon(read_contour(files.inner), image.size).sum() - shoelace(np.stack([x, y], 1)))
                < 40
            )
    assert np.mean(steepness[0.0]) > 1.1 * np.mean(steepness[1.0])
