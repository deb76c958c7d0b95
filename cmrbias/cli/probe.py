"""``cmrbias probe``."""

from __future__ import annotations

from typing import Any

import click

from cmrbias.cli.classifying import classifier_flags, train_classifier


@click.command()
@classifier_flags("runs/probe")
@click.pass_context
def command(ctx: click.Context, /, **flags: Any) -> None:
    """Train a linear layer on the frozen features of a backbone (the paper's Zero).

    The backbone stays in eval mode and unchanged. Otherwise as finetune; recipe quick augments nothing
    and so computes each feature once.
    """
    train_classifier(ctx, "probe", "probe", flags)
