"""AUPRC: how well the pixels of the heart are found by thresholding a map, whatever the threshold."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from cmrbias.ops.upsample import upsample
from cmrbias.saliency.baselines import centred_gaussian
from cmrbias.saliency.sanity.maps import MapMaker, Patients
from cmrbias.saliency.sanity.result import Localisation
from cmrbias.saliency.sanity.similarity import is_constant
from cmrbias.saliency.sanity.verdicts import localised
from cmrbias.statistics import average_precision


def localise(maker: MapMaker, maps: Sequence[np.ndarray], patients: Patients) -> list[Localisation]:
    """Returns how well each method's maps find the heart, beside the prevalence and a centred Gaussian.

    Args:
        maker: of the maps; it knows the masks.
        maps: each method's (R, h, w), as ``maker`` made them.
        patients: of the R frames.
    """
    grids = {each.shape[1:] for each in maps}
    gaussians = {grid: centred_gaussian(*grid).numpy() for grid in grids}
    share: list[float] = []
    of_maps: list[list[float]] = [[] for _ in maps]
    of_gaussians: dict[tuple[int, ...], list[float]] = {grid: [] for grid in grids}
    at = 0
    for _, shown, complete in maker.batches():
        assert shown.masks is not None
        for heart in shown.masks.flatten(0, 1)[complete].cpu().numpy():
            share.append(heart.mean())
            for each, found in zip(maps, of_maps, strict=True):
                found.append(pixel_auprc(each[at], heart))
            for grid, gaussian in gaussians.items():
                of_gaussians[grid].append(pixel_auprc(gaussian, heart))
            at += 1
    prevalence = float(np.nanmean(patients.scores(np.array(share))))
    return [
        _localisation(method.name, of_map, of_gaussians[each.shape[1:]], prevalence, each, patients)
        for method, of_map, each in zip(maker.methods, of_maps, maps, strict=True)
    ]


def pixel_auprc(saliency: np.ndarray, heart: np.ndarray) -> float:
    """Returns the average precision of an upsampled map (h, w) for the pixels of a mask (H, W) bool.

    NaN where the mask is empty; the prevalence where the map is constant.
    """
    whole = np.full(heart.shape, saliency.flat[0], np.float64)  # constants stay so
    if saliency.max() > saliency.min():
        whole = upsample(torch.as_tensor(saliency), *heart.shape).numpy()
    return average_precision(whole.ravel(), heart.ravel())


def _localisation(
    name: str,
    of_map: list[float],
    of_gaussian: list[float],
    prevalence: float,
    maps: np.ndarray,
    patients: Patients,
) -> Localisation:
    constant = is_constant(maps)
    values, beside = np.array(of_map), np.array(of_gaussian)
    auprc = patients.mean(patients.scores(np.where(constant, np.nan, values)))
    difference = patients.mean(patients.scores(np.where(constant, 0.0, values) - beside))
    gaussian = float(np.nanmean(patients.scores(beside)))
    verdict, sentence = localised(auprc, gaussian, prevalence, difference)
    undefined = int(constant.sum())
    return Localisation(
        name, auprc, len(maps), undefined, prevalence, gaussian, difference, verdict, sentence
    )
