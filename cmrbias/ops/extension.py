"""What all operators share: the extension, torch's library of them, and checks of arguments."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from cmrbias.errors import CmrbiasError

try:
    from cmrbias import _C
except ImportError as error:
    _C = None  # type: ignore[assignment]
    _WHY_MISSING = str(error)

__all__ = [
    "FLOATS", "_C", "check_device", "check_floats", "check_mask_dtype", "check_tensors", "has_kernel",
    "kernel_type", "launch", "register", "register_differentiable", "wrong",
]  # fmt: skip

FLOATS = (torch.float32, torch.float64, torch.bfloat16)
_NAMES = {dtype: str(dtype).removeprefix("torch.") for dtype in FLOATS}

library = torch.library.Library("cmrbias", "DEF")  # type: ignore[no-untyped-call]


def wrong(name: str, expected: str, got: object) -> CmrbiasError:
    """Returns the error for an argument that is not what it should be."""
    return CmrbiasError(f"{name}: expected {expected}, got {got}")


def has_kernel(device: torch.device) -> bool:
    """Returns whether the extension runs on a device; warns once where it should but does not."""
    if _C is not None and (device.type == "cpu" or (device.type == "cuda" and _C.has_cuda)):
        return True
    if torch.compiler.is_compiling():
        return False  # a warning would break the graph
    if _C is None:
        _warn_slow(f"is missing ({_WHY_MISSING})")
    elif device.type == "cuda":
        _warn_slow("was built without CUDA")
    return False


@functools.cache
def _warn_slow(reason: str) -> None:
    warnings.warn(
        f"the extension cmrbias._C {reason}; plain torch and numpy do its work, many times slower: "
        f"{_remedy()}",
        RuntimeWarning,
        stacklevel=4,
    )


def _remedy() -> str:
    """Returns what to do where the extension, or its CUDA half, was not found."""
    package = Path(__file__).resolve().parents[1]
    if _C is None and (package.parent / "csrc").is_dir():
        return (
            f"Python found the source folder {package} and not the installed package: run it from another "
            "folder, or as python -P"
        )
    return "reinstall cmrbias from its sources to build it"


def register(name: str, schema: str, kernel: Callable[..., Any], fake: Callable[..., Any]) -> None:
    """Registers the operator ``cmrbias::name``: its kernel on both devices, and what shapes it returns."""
    library.define(name + schema)  # type: ignore[no-untyped-call]
    torch.library.impl(f"cmrbias::{name}", ("cpu", "cuda"), kernel, lib=library)
    torch.library.register_fake(f"cmrbias::{name}", fake, lib=library)


def register_differentiable(
    name: str,
    schema: str,
    kernel: Callable[..., Any],
    fake: Callable[..., Any],
    save: Callable[..., None],
    backward: Callable[..., Any],
) -> Callable[..., Any]:
    """Registers the operator ``cmrbias::name`` with its gradient, and returns a function that calls it.

    torch's layer for gradients takes 5 us a call, 20 where the caches are full of something else. So the
    function calls ``cmrbias::name_no_grad``, the same without it, where no gradient can be asked for.
    """
    register(name, schema, kernel, fake)
    register(f"{name}_no_grad", schema, kernel, fake)
    torch.library.register_autograd(f"cmrbias::{name}", backward, setup_context=save, lib=library)
    differentiable = getattr(torch.ops.cmrbias, name).default
    plain = getattr(torch.ops.cmrbias, f"{name}_no_grad").default

    def call(*arguments: Any) -> Any:
        return (differentiable if _may_need_gradient(arguments) else plain)(*arguments)

    return call


def _may_need_gradient(arguments: tuple[Any, ...]) -> bool:
    """Returns whether an argument requires a gradient, or may do so under torch.compile and torch.func."""
    if torch.compiler.is_compiling():
        return True
    wrapped = torch._C._functorch.is_functorch_wrapped_tensor
    return any(isinstance(each, Tensor) and (each.requires_grad or wrapped(each)) for each in arguments)


def launch(
    kernel: str, device: torch.device, *arguments: Any, scratch_bytes: Callable[[], int] | None = None
) -> None:
    """Runs a kernel of the extension on a device; on CUDA, on the current stream.

    A kernel that works in memory of its own on CUDA says how much, when asked: ``scratch_bytes`` of its
    arguments.
    """
    if device.type != "cuda":
        getattr(_C, f"{kernel}_cpu")(*arguments)
        return
    with torch.cuda.device(device):
        if scratch_bytes is not None:
            scratch = torch.empty(scratch_bytes(), dtype=torch.uint8, device=device)
            arguments = (*arguments, scratch.data_ptr())
        getattr(_C, f"{kernel}_cuda")(*arguments, torch.cuda.current_stream().cuda_stream)


def kernel_type(values: Tensor) -> Any:
    """Returns the kernels' name of a tensor's dtype, one of FLOATS."""
    return getattr(_C.Type, _NAMES[values.dtype])


def check_tensors(**arguments: object) -> None:
    """Raises CmrbiasError unless each argument, by its name, is a tensor."""
    for name, value in arguments.items():
        if not isinstance(value, Tensor):
            kind = type(value)
            raise wrong(name, "a torch tensor", f"{kind.__module__}.{kind.__qualname__}")


def check_floats(name: str, values: Tensor) -> None:
    """Raises CmrbiasError unless a tensor's dtype is one that the kernels read."""
    if values.dtype not in FLOATS:
        raise wrong(name, "float32, float64 or bfloat16", values.dtype)


def check_mask_dtype(masks: Tensor) -> None:
    """Raises CmrbiasError unless masks are bool or uint8."""
    if masks.dtype not in (torch.bool, torch.uint8):
        raise wrong("masks", "bool or uint8 (non-zero = heart)", masks.dtype)


def check_device(name: str, values: Tensor, device: torch.device, whose: str) -> None:
    """Raises CmrbiasError unless a tensor lies on ``device``, that of ``whose``."""
    if values.device != device:
        raise wrong(name, f"the {whose}' device {device}", values.device)
