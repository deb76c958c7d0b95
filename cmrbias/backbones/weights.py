"""Loading weights into a backbone: torchvision's files, MoCo's and CheSS's checkpoints, our runs."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from cmrbias.api import Backbone
from cmrbias.errors import CmrbiasError

if TYPE_CHECKING:
    from cmrbias.plugins import Plugins

# what may stand before a backbone's own keys, and who writes it so
PREFIXES = (
    "",  # torchvision, and our runs
    "module.encoder_q.",  # MoCo v1 and v2, CheSS
    "module.base_encoder.",  # MoCo v3
    "module.",  # any network inside DataParallel
    "encoder_q.",
    "backbone.",
)
HEADS = ("classifier.", "fc.")  # what torchvision and MoCo put on top; not part of a backbone
_ZIP, _PICKLE = b"PK\x03\x04", b"\x80\x02\x8a"  # how files of torch begin: since 1.6, and before
CHECKPOINTS = ("best.pt", "last.pt")  # of a run, the first that exists


@dataclass(frozen=True)
class LoadReport:
    """What ``load_weights`` did, in keys of the backbone's state dict.

    Attributes:
        path: the file that was read.
        backbone: the network's name.
        prefix: what stood before the matching keys in the file.
        matched: tensors that were loaded.
        missing: tensors that the file does not hold, so that they keep their initial values.
        unexpected: tensors beside the matching ones (same prefix) that the backbone has no place for.
        summed: keys of 3-channel stems that were summed over RGB.
    """

    path: Path
    backbone: str
    prefix: str
    matched: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    summed: tuple[str, ...]

    def __str__(self) -> str:
        """One line for the terminal."""
        text = f"{self.path}: {len(self.matched)} tensors loaded into {self.backbone}"
        text += f" (keys under '{self.prefix}')" if self.prefix else ""
        text += "; stem summed over RGB" if self.summed else ""
        text += _some("; missing", self.missing)
        return text + _some("; not used", self.unexpected)


def load_weights(backbone: Backbone, path: Path | str) -> LoadReport:
    """Loads a file's weights into ``backbone``, in place.

    A classifier on top is left out; a 3-channel stem is summed over RGB, so that a grey image gives
    what it gave as three equal channels; a missing ``num_batches_tracked`` is no fault.

    Args:
        backbone: the network; unchanged if the file is refused.
        path: a torchvision file, a MoCo or CheSS checkpoint, a run of ours or a checkpoint in it.

    Raises:
        CmrbiasError: no such file, not a torch file, made for another network, nothing in it matches,
            or a tensor has another shape or is not finite.
    """
    file = checkpoint_file(Path(path))
    return _load(backbone, read_checkpoint(file), file)


def load_backbone(path: Path | str, plugins: Plugins | None = None) -> Backbone:
    """Returns the backbone of one of our runs, with its weights, in eval mode.

    Args:
        path: a run or a checkpoint in it.
        plugins: where its network is looked up; None means the installed plugins.

    Raises:
        CmrbiasError: no run of ours, or nothing installed offers its network.
    """
    from cmrbias.plugins import plugin_manager

    file = checkpoint_file(Path(path))
    content = read_checkpoint(file)
    if not _is_ours(content):
        raise CmrbiasError(f"{file}: not a checkpoint of cmrbias: build the network and use load_weights")
    offered = (plugins or plugin_manager()).registry("backbones")
    backbone: Backbone = offered.get(content["backbone_name"])(stride=content["stride"])
    _load(backbone, content, file)
    return backbone.eval()


def checkpoint_file(path: Path) -> Path:
    """Returns the file to read of a run (``best.pt``, else ``last.pt``); a file is returned as it is.

    Raises:
        CmrbiasError: there is no such file, or the directory holds no checkpoint.
    """
    if path.is_dir():
        for name in CHECKPOINTS:
            if (path / name).is_file():
                return path / name
        raise CmrbiasError(f"{path}: expected a run with {' or '.join(CHECKPOINTS)}, found neither")
    if not path.is_file():
        raise CmrbiasError(f"{path}: no such file: expected weights or a run")
    return path


def read_checkpoint(file: Path) -> Any:
    """Returns what a torch file holds, on the CPU; runs no code from it (``weights_only``).

    Raises:
        CmrbiasError: it is not a torch file, is damaged, or holds more than tensors and plain values.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (FileNotFoundError, PermissionError):
        raise
    except Exception as error:  # a damaged file raises whatever its bytes happen to mean
        raise CmrbiasError(f"{file}: expected weights saved by torch, {_unreadable(file, error)}") from None


def not_finite(tensors: Mapping[str, Tensor]) -> str | None:
    """Returns the name of the first tensor that holds NaN or infinity; None if all are finite."""
    floating = {name: value for name, value in tensors.items() if value.is_floating_point()}
    if not floating:
        return None
    finite = torch.stack([value.isfinite().all() for value in floating.values()]).tolist()
    return next((name for name, good in zip(floating, finite, strict=True) if not good), None)


def _unreadable(file: Path, error: Exception) -> str:
    """Returns what a file is that torch could not read, and what to do; torch's own advice is unsafe."""
    with file.open("rb") as opened:
        start = opened.read(len(_ZIP))
    whole = zipfile.is_zipfile(file)
    if isinstance(error, pickle.UnpicklingError) and (whole or start.startswith(_PICKLE)):
        return (
            "found one that holds more than tensors and plain values, which cmrbias does not run: save the "
            "network's state_dict() and give that file"
        )
    if whole or not start or start == _ZIP or start.startswith(_PICKLE):
        return (
            "found one that is cut short or damaged: copy it again, or train the run again (of best.pt and "
            "last.pt the other may be whole)"
        )
    return "found a file of another kind: give one with weights, or a run"


def _load(backbone: Backbone, content: Any, file: Path) -> LoadReport:
    tensors = _tensors(content, file, backbone)
    prefix, found = _under_best_prefix(tensors, backbone, file)
    expected = backbone.state_dict()
    summed = []
    for key in expected.keys() & found.keys():
        if _is_rgb_stem(found[key], expected[key]):
            found[key] = found[key].sum(1, keepdim=True)
            summed.append(key)
    matched = tuple(key for key in expected if key in found)
    for key in matched:
        if found[key].shape != expected[key].shape:
            raise CmrbiasError(
                f"{file}: made for another network than {backbone.name}: {prefix}{key} has shape "
                f"{tuple(found[key].shape)}, expected {tuple(expected[key].shape)}"
            )
    bad = not_finite({key: found[key] for key in matched})
    if bad is not None:
        raise CmrbiasError(
            f"{file}: expected finite weights, found NaN or infinity in {prefix}{bad}: the training that "
            "wrote them diverged: give other weights, or train them again with a lower --lr"
        )
    backbone.load_state_dict({key: found[key] for key in matched}, strict=False)
    missing = [k for k in expected if k not in found and not k.endswith(".num_batches_tracked")]
    unexpected = [k for k in found if k not in expected and not k.startswith(HEADS)]
    return LoadReport(
        file, backbone.name, prefix, matched, tuple(missing), tuple(unexpected), tuple(sorted(summed))
    )


def _is_ours(content: Any) -> bool:
    return isinstance(content, dict) and {"backbone", "backbone_name", "stride"} <= content.keys()


def _tensors(content: Any, file: Path, backbone: Backbone) -> dict[str, Tensor]:
    """The tensors of a state dict, or of the checkpoint that holds one."""
    if _is_ours(content):
        if content["backbone_name"] != backbone.name:
            raise CmrbiasError(
                f"{file}: the weights are those of {content['backbone_name']}, the network is "
                f"{backbone.name}: use --backbone {content['backbone_name']}"
            )
        content = content["backbone"]
    elif isinstance(content, Mapping) and isinstance(content.get("state_dict"), Mapping):
        content = content["state_dict"]
    if not isinstance(content, Mapping):
        raise CmrbiasError(f"{file}: expected a state dict, found a {type(content).__name__}")
    return {k: v for k, v in content.items() if isinstance(k, str) and isinstance(v, Tensor)}


def _under_best_prefix(
    tensors: Mapping[str, Tensor], backbone: Backbone, file: Path
) -> tuple[str, dict[str, Tensor]]:
    """The prefix under which most of the backbone's keys stand, and the tensors there by their rest."""
    expected = backbone.state_dict().keys()

    def under(prefix: str) -> dict[str, Tensor]:
        return {_modern(k.removeprefix(prefix)): v for k, v in tensors.items() if k.startswith(prefix)}

    prefix = max(PREFIXES, key=lambda prefix: len(expected & under(prefix).keys()))
    found = under(prefix)
    if not expected & found.keys():
        first = next(iter(tensors), None)
        holds = f"{len(tensors)} tensors, the first is {first!r}" if tensors else "no tensors"
        prefixes = ", ".join(repr(p) for p in PREFIXES if p)
        raise CmrbiasError(
            f"{file}: nothing in it matches {backbone.name}: expected keys such as {next(iter(expected))!r}, "
            f"bare or under {prefixes}; found {holds}"
        )
    return prefix, found


def _modern(key: str) -> str:
    """The DenseNet files that torchvision links to say ``norm.1`` where the network says ``norm1``."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2.", key)


def _is_rgb_stem(found: Tensor, expected: Tensor) -> bool:
    """Whether a convolution of 3 channels stands where one of 1 channel is expected."""
    if expected.ndim != 4 or expected.shape[1] != 1:
        return False
    return found.shape == (expected.shape[0], 3, *expected.shape[2:])


def _some(what: str, keys: tuple[str, ...]) -> str:
    if not keys:
        return ""
    return f"{what}: {len(keys)} ({', '.join(keys[:3])}{', ...' if len(keys) > 3 else ''})"
