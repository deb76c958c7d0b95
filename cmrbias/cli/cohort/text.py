"""What the commands of ``cmrbias cohort`` say alike."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Returns ``1 case``, ``2 cases``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
