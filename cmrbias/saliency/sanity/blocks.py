"""The blocks of a classifier, and the classifier with some of them drawn anew."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from torch import Tensor

from cmrbias.backbones import Classifier
from cmrbias.training.monitor import estimated_statistics

HEAD = "head"


def blocks_of(classifier: Classifier) -> tuple[str, ...]:
    """Returns the names of the classifier's blocks from the head down to the input.

    They are ``head`` and the backbone's outermost parts that hold anything (names as in its
    ``named_modules``), where it has more than one; in the opposite order to that in which the network
    lists them, which is the order in which they are computed in any usual network.
    """
    names = [name.split(".") for name in classifier.backbone.state_dict()]
    depth = 1
    while len({tuple(name[:depth]) for name in names}) == 1 and all(len(name) > depth + 1 for name in names):
        depth += 1
    listed = dict.fromkeys(".".join(name[:depth]) for name in names)
    return (HEAD, *reversed(listed))


@contextmanager
def randomised(
    classifier: Classifier, fresh: Classifier, blocks: Sequence[str], batches: Iterable[Tensor]
) -> Iterator[Classifier]:
    """Within, a copy of the classifier whose ``blocks`` are those of ``fresh``.

    Their weights are a new initialisation and affine batch norms are reset with them; running statistics
    are estimated on ``batches`` in these blocks and in those that come after them, which get other
    inputs than they were trained on.

    Args:
        classifier: trained.
        fresh: one of the same form with weights drawn anew (see ``baselines.redrawn``).
        blocks: some of ``blocks_of(classifier)``.
        batches: of training images (N, 1, H, W).
    """
    made = copy.deepcopy(classifier)
    if HEAD in blocks:
        made.head.load_state_dict(fresh.head.state_dict())
    anew = {
        name: value for name, value in fresh.backbone.state_dict().items() if _block(name, blocks) is not None
    }
    made.backbone.load_state_dict({**classifier.backbone.state_dict(), **anew})
    order = blocks_of(classifier)
    lowest = max(order.index(block) for block in blocks)
    changed = [block for block in order[: lowest + 1] if block != HEAD]
    with estimated_statistics(made.backbone, batches if changed else (), changed):
        yield made


def _block(name: str, blocks: Sequence[str]) -> str | None:
    """Returns which of the blocks a tensor of the backbone's state belongs to."""
    return next((block for block in blocks if name == block or name.startswith(f"{block}.")), None)
