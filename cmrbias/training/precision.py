"""bf16 where the processor or GPU is good at it, float32 elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

from cmrbias.errors import CmrbiasError

PRECISIONS = ("auto", "fp32", "bf16")


def pick_device(name: str) -> torch.device:
    """Returns the device called ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.

    Raises:
        CmrbiasError: CUDA is asked for and there is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if not name.startswith("cuda"):
        return torch.device("cpu")
    number = int(name.partition(":")[2] or 0)
    if number >= torch.cuda.device_count():
        raise CmrbiasError(
            f"--device {name}: torch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices; "
            "use --device cpu"
        )
    return torch.device("cuda", number)


def pick_precision(name: str, device: torch.device) -> str:
    """Returns ``fp32`` or ``bf16`` for one of ``PRECISIONS``.

    ``auto`` is bf16 on processors with bf16 instructions (AVX512-BF16, AMX) and on GPUs that have
    it: elsewhere torch emulates bf16 and is slower than float32.
    """
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    has = torch.cpu.get_capabilities()
    return "bf16" if has.get("avx512_bf16") or has.get("amx_bf16") else "fp32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Returns the context in which a forward pass runs."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
