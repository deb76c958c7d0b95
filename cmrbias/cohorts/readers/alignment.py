"""Laying a mask on its image where the two are files of their own, whose headers may disagree.

Of two files of one kind of axes (NIfTI's x, y, z; or the rows and columns of DICOM, NumPy and pictures)
equal indices are one place, so the mask is turned as its image is, whatever its own header says of
spacing and position, or if it says nothing. Only where both headers say how they lie, and differently, or
the axes are of two kinds, must the headers decide: they do if they put both files' pixels at one place.
"""

from __future__ import annotations

import numpy as np

from cmrbias.cohorts.case import SourceError
from cmrbias.cohorts.readers.grid import Grid
from cmrbias.cohorts.readers.imagefile import ImageFile


def labels_on(image: ImageFile, mask: ImageFile) -> np.ndarray:
    """Returns a mask's labels (Z, H, W) as they lie on ``image.pixels``; their shape is not checked.

    Raises:
        SourceError: which pixel of the mask is which of the image cannot be told.
    """
    same_axes = (mask.kind == "NIfTI") == (image.kind == "NIfTI")
    both_say = mask.grid.oriented and image.grid.oriented
    contradict = both_say and not mask.grid.turns_like(image.grid, len(mask.stored))
    if same_axes and not contradict:
        return image.grid.turn(mask.stored)
    if both_say:
        _check_place(image, mask)
    else:
        _check_unsaid(image, mask)
    return mask.pixels


def _check_place(image: ImageFile, mask: ImageFile) -> None:
    """Raises a SourceError unless the headers put the pixels of both at one place, within half a pixel."""
    if mask.pixels.shape != image.pixels.shape:
        return  # told by whoever checks the labels
    place, there, here = (
        image.grid.place,
        image.grid.corners(image.stored.shape),
        mask.grid.corners(mask.stored.shape),
    )
    apart = "at places that are not both known"
    if place is not None and there is not None and here is not None:
        distance = float(np.linalg.norm(here - there, axis=-1).max())
        if distance <= np.linalg.norm(place[2:], axis=1).min() / 2:
            return
        apart = f"up to {distance:.1f} mm from the image's"
    raise SourceError(
        f"{mask.path}: its header turns it ({mask.grid.text}) otherwise than that of its image {image.path} "
        f"({image.grid.text}) and puts its pixels {apart}, so one of the two is wrong; {_advice(image)}"
    )


def _check_unsaid(image: ImageFile, mask: ImageFile) -> None:
    """Raises a SourceError if NIfTI's x and y may not be the other's columns and rows.

    They are as ITK converts pictures, where no header turns anything. But arrays are saved as (x, y, z), by
    users of nibabel, or as (z, y, x), by those of SimpleITK, and only unequal sides tell.
    """
    if "NumPy" in (mask.kind, image.kind) and len(set(mask.stored.shape)) < 3:
        why = "a NumPy array of equal sides may be (x, y, z) or (z, y, x)"
    elif not (_as_stored(image) and _as_stored(mask)):
        why = "a header turns one of them, and the other does not say how it lies"
    else:
        return
    raise SourceError(
        f"{mask.path}: which of its pixels lies on which of the {image.kind} image {image.path} cannot be "
        f"told ({why}); {_advice(image)}"
    )


def _as_stored(file: ImageFile) -> bool:
    return file.grid.turns_like(Grid(), len(file.stored))


def _advice(image: ImageFile) -> str:
    if image.kind == "NIfTI":
        return (
            "save the mask as NIfTI, in the order of the image's voxels and with the image's header (affine)"
        )
    return "save the mask as .npy or .png, in the order of the image's stored rows and columns"
