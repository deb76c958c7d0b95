"""``cmrbias finetune``."""

from __future__ import annotations

from typing import Any

import click

from cmrbias.cli.classifying import classifier_flags, train_classifier


@click.command()
@classifier_flags("runs/finetune")
@click.pass_context
def command(ctx: click.Context, /, **flags: Any) -> None:
    """Train a classifier of cases: encoder and linear layer, on the training patients of a cohort.

    One encoder sees each frame (ED, ES), their embeddings go side by side into one linear layer. Recipe
    quick selects the checkpoint by the macro AUC of a fifth of the training patients, recipe paper keeps
    the last one. Ctrl-C saves; --resume RUN goes on exactly.
    """
    train_classifier(ctx, "finetune", "classify", flags)
