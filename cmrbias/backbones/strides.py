"""The output strides that backbones offer."""

from __future__ import annotations

from cmrbias.errors import CmrbiasError

STRIDES = (32, 16)


def checked_stride(backbone: str, stride: int) -> int:
    """Returns ``stride``.

    Raises:
        CmrbiasError: it is none of ``STRIDES``.
    """
    if stride not in STRIDES:
        raise CmrbiasError(f"backbone {backbone!r}: expected an output stride of 32 or 16, got {stride}")
    return stride
