"""The one page that a study's report is: a template filled in, everything escaped."""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from cmrbias.files import write_atomically

_TYPES = {".png": "image/png", ".svg": "image/svg+xml"}


def write_report(path: Path, content: Mapping[str, Any]) -> None:
    """Writes the page: self-contained, with no request to anywhere.

    Args:
        path: of the file.
        content: what ``report.html.j2`` names. All of it is text: none of it can become markup.
    """
    import jinja2

    text = resources.files("cmrbias.report").joinpath("report.html.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    environment.policies["json.dumps_kwargs"] = {}  # in the order of the study, not of the alphabet
    page = environment.from_string(text).render(content).encode()
    write_atomically(path, lambda file: file.write(page))


def data_url(path: Path) -> str:
    """Returns an image file as a URL that holds it."""
    return f"data:{_TYPES[path.suffix]};base64,{base64.b64encode(path.read_bytes()).decode()}"


def picture_url(image: np.ndarray) -> str:
    """Returns a grey image (H, W) uint8 as the URL of a PNG."""
    height, width = image.shape
    lines = np.zeros((height, width + 1), np.uint8)  # a filter byte, 0 for none, before each line
    lines[:, 1:] = image
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    content = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks
    )
    return f"data:image/png;base64,{base64.b64encode(content).decode()}"


def packed(mask: np.ndarray) -> str:
    """Returns a mask (H, W) bool as bits in base64, row by row, the first in the highest bit."""
    return base64.b64encode(np.packbits(mask.ravel()).tobytes()).decode()


def cells(saliency: np.ndarray) -> str:
    """Returns a map (h, w) as bytes in base64, its lowest cell 0 and its highest 255."""
    span = float(np.ptp(saliency))
    scaled = (saliency - saliency.min()) / span if span > 0 else np.zeros_like(saliency)
    return base64.b64encode(np.round(scaled * 255).astype(np.uint8).tobytes()).decode()
