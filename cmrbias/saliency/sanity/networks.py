"""Maps of the trained network beside those of random ones, of partly random ones, and of other runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from cmrbias import draws
from cmrbias.backbones import Classifier
from cmrbias.plugins import Plugins
from cmrbias.saliency.baselines import redrawn, untrained
from cmrbias.saliency.sanity.blocks import blocks_of, randomised
from cmrbias.saliency.sanity.maps import MapMaker, Patients, on_one_grid
from cmrbias.saliency.sanity.others import Other
from cmrbias.saliency.sanity.result import Null, Similarity, Stage
from cmrbias.saliency.sanity.similarity import MEASURES, similarities
from cmrbias.statistics import average_seeds

DRAWS = 10  # pairs of independently initialised networks

Compared = list[dict[str, np.ndarray]]
"""Similarities (R,) of the frames' maps by two networks: a method's, by measure."""


@dataclass(frozen=True)
class Trained:
    """The trained network's maps, and what other networks need to make theirs of the same frames.

    Attributes:
        maker: of maps.
        classes: that are explained: the trained network's predictions, a batch at a time.
        maps: each method's (R, h, w).
        patients: of the R frames.
        batches: of training images, for running statistics.
        plugins: what is installed.
        seeds: of networks that are drawn: one for the blocks, then three a draw.
    """

    maker: MapMaker
    classes: list[Tensor]
    maps: list[np.ndarray]
    patients: Patients
    batches: list[Tensor]
    plugins: Plugins
    seeds: list[int]

    @classmethod
    def of(cls, maker: MapMaker, plugins: Plugins, resamples: int, seed: int) -> Trained:
        """Returns the maps of the subject's own classifier.

        Args:
            maker: of maps of the subject.
            plugins: what is installed.
            resamples: of the bootstrap over patients.
            seed: of the resamples and of the networks; none of these is initialised as by a training.
        """
        classes = maker.predicted()
        keys = draws.keys(seed, 0, torch.arange(1 + 3 * DRAWS), draws.salt("sanity"))
        return cls(
            maker,
            classes,
            maker.maps(maker.subject.classifier, classes),
            Patients.of(maker, resamples, seed),
            maker.subject.training_images(),
            plugins,
            [key & (2**63 - 1) for key in keys.tolist()],
        )

    def beside(self, network: Classifier, order: Sequence[int] | None = None) -> Compared:
        """Returns how alike the maps of another network are; ``order`` as in ``MapMaker.maps``."""
        return compared(self.maps, self.maker.maps(network, self.classes, order))

    def random(self, like: Classifier, seed: int, order: Sequence[int] | None = None) -> list[np.ndarray]:
        """Returns the maps of a network of the same form that was never trained."""
        with untrained(like, self.plugins, self.batches, seed) as network:
            return self.maker.maps(network, self.classes, order)

    def similarity(self, drawn: Sequence[Compared], method: int, measure: str) -> Similarity:
        """Returns the mean over draws, then patients, of one method's similarities."""
        values = [each[method][measure] for each in drawn]
        scores = average_seeds(np.stack([self.patients.scores(each) for each in values]))
        every = np.concatenate(values)
        return Similarity(self.patients.mean(scores), len(every), int(np.isnan(every).sum()))

    def null(self, drawn: Sequence[Compared], method: int, measure: str) -> Null:
        """Returns the mean over patients in each draw."""
        scores = (self.patients.scores(each[method][measure]) for each in drawn)
        known = (each[~np.isnan(each)] for each in scores)
        return Null(tuple(float(each.mean()) if len(each) else float("nan") for each in known))


@dataclass(frozen=True)
class RandomNetworks:
    """Similarities in each of ``DRAWS`` draws of networks.

    Attributes:
        to_trained: of a random network's maps to the trained one's.
        null: to another random network's.
        across: to those of a random network of another backbone; empty where none is compared.
    """

    to_trained: list[Compared]
    null: list[Compared]
    across: list[Compared]


def random_networks(trained: Trained, other: Other | None) -> RandomNetworks:
    """Returns what random networks have in common, the second backbone being that of ``other``."""
    found = RandomNetworks([], [], [])
    classifier = trained.maker.subject.classifier
    for draw in range(DRAWS):
        seeds = trained.seeds[1 + 3 * draw : 4 + 3 * draw]
        first, second = (trained.random(classifier, seed) for seed in seeds[:2])
        found.to_trained.append(compared(trained.maps, first))
        found.null.append(compared(first, second))
        if other is not None:
            third = trained.random(other.classifier, seeds[2], other.order)
            found.across.append(compared(first, third))
    return found


def partly_random(trained: Trained) -> list[Stage]:
    """Returns the stages of one random network taking over: all but the last of the cascade."""
    classifier = trained.maker.subject.classifier
    fresh = redrawn(classifier, trained.plugins, trained.seeds[0])
    blocks = blocks_of(classifier)
    found = []
    for depth, block in enumerate(blocks):
        wanted: list[tuple[tuple[str, ...], tuple[str, ...]]] = [(("independent",), (block,))]
        if depth == 0:  # both are the same
            wanted = [(("cascading", "independent"), (block,))]
        elif depth < len(blocks) - 1:
            wanted.append((("cascading",), blocks[: depth + 1]))
        for orders, chosen in wanted:
            with randomised(classifier, fresh, chosen, trained.batches) as network:
                beside = trained.beside(network)
            found += [
                Stage(method.name, measure, order, block, trained.similarity([beside], number, measure))
                for number, method in enumerate(trained.maker.methods)
                for measure in MEASURES
                for order in orders
            ]
    return found


def networks(blocks: int, others: int, across: bool) -> int:
    """Returns how many networks make maps: the trained, partly random, random and other ones."""
    return 2 * blocks - 1 + (2 + across) * DRAWS + others


def compared(first: list[np.ndarray], second: list[np.ndarray]) -> Compared:
    """Returns how alike the maps (R, h, w) of two networks are, by each method."""
    return [similarities(*on_one_grid(a, b)) for a, b in zip(first, second, strict=True)]
