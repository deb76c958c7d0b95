"""Signs of life other than the loss: spread of embeddings, labels of neighbours, AUC of a classifier."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cmrbias.statistics import binary_auc


def embedding_std(embeddings: Tensor) -> float:
    """Returns the mean over dimensions of the SD of normalised embeddings (N, D), times sqrt(D).

    1 for directions spread evenly over the sphere, 0 for a collapsed encoder (Chen and He 2021).
    """
    directions = F.normalize(embeddings.double(), dim=1)
    return float(directions.std(0, unbiased=False).mean() * directions.shape[1] ** 0.5)


def knn_accuracy(embeddings: Tensor, labels: np.ndarray, patients: np.ndarray, k: int = 5) -> float:
    """Returns the accuracy of a leave-one-patient-out k-nearest-neighbour vote by cosine similarity.

    Args:
        embeddings: (N, D).
        labels: (N,) int codes; rows with -1 take no part.
        patients: (N,) int codes: a row's own patient is never its neighbour.
        k: neighbours; ties between classes go to the class whose neighbours are nearer in sum.

    Returns:
        The share of rows, of those that have neighbours, whose vote is their label; NaN if none has.
    """
    known = torch.as_tensor(labels >= 0)
    directions = F.normalize(embeddings[known].double(), dim=1)
    label = torch.as_tensor(labels)[known]
    patient = torch.as_tensor(patients)[known]
    if len(label) == 0:
        return float("nan")
    similarity = directions @ directions.T
    similarity[patient[:, None] == patient[None, :]] = -torch.inf
    nearest, column = similarity.topk(min(k, len(label)), dim=1)
    usable = nearest > -torch.inf
    # one vote a neighbour; the similarity (in [-1, 1]) only breaks ties
    weight = torch.where(usable, 1.0 + nearest / (4.0 * k), 0.0)
    votes = torch.zeros(len(label), int(label.max()) + 1, dtype=torch.float64)
    votes.scatter_add_(1, label[column], weight)
    voted = usable.any(1)
    if not voted.any():
        return float("nan")
    return float((votes.argmax(1) == label)[voted].double().mean())


def macro_auc(scores: Tensor, labels: Tensor) -> float:
    """Returns the mean over classes of the one-vs-rest AUC, ties counting one half.

    Args:
        scores: (N, K), larger for a likelier class.
        labels: (N,) int64. Classes that all rows have, or none, take no part; NaN if no class is left.
    """
    outcomes = F.one_hot(labels, scores.shape[1]).bool().numpy()
    columns = zip(scores.numpy().T, outcomes.T, strict=True)
    areas = [binary_auc(column, outcome) for column, outcome in columns if 0 < outcome.sum() < len(outcome)]
    return sum(areas) / len(areas) if areas else float("nan")


@contextmanager
def estimated_statistics(
    network: nn.Module, batches: Iterable[Tensor], parts: Sequence[str] | None = None
) -> Iterator[None]:
    """Within, the running statistics of batch norms are those of ``batches`` (N, C, H, W) of inputs.

    A network that was never trained has placeholders (mean 0, variance 1) there, so that what it
    computes in eval mode is not what it would compute after the first epoch. Afterwards everything
    is as it was.

    Args:
        network: whose batch norms are meant.
        batches: of inputs.
        parts: names of modules (as in ``named_modules``) in which batch norms are estimated; the others
            keep their statistics and go by them. None: all.
    """
    found = {name: m for name, m in network.named_modules() if isinstance(m, _BatchNorm)}
    chosen = found if parts is None else [name for name in found if _is_in(name, parts)]
    norms = [found[name] for name in chosen]
    before = [({k: v.clone() for k, v in m.state_dict().items()}, m.momentum) for m in norms]
    training = network.training
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean over batches
    network.train(parts is None)
    for norm in norms:
        norm.train()
    try:
        with torch.no_grad():
            for batch in batches:
                network(batch)
        network.train(training)
        yield
    finally:
        network.train(training)
        for norm, (state, momentum) in zip(norms, before, strict=True):
            norm.load_state_dict(state)
            norm.momentum = momentum


def _is_in(name: str, parts: Sequence[str]) -> bool:
    return any(name == part or name.startswith(f"{part}.") for part in parts)
