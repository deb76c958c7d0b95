"""SimSiam (Chen and He 2021) for cmrbias: each view predicts the other; no negatives, no slow copy."""

from dataclasses import dataclass

import torch.nn.functional as F
from torch import nn

from cmrbias.api import Method, Recipe, hookimpl, option

VIEWS = {"crop": {"scale": (0.2, 1.0)}, "flip": {}, "contrast": {}, "rotate": {}}


class SimSiam(Method):
    """N images, two views of each, C the length of a projection."""

    @dataclass(frozen=True)
    class Options:
        dim: int = option(2048, "length of a projection", minimum=1)
        hidden: int = option(512, "width of the predictor's hidden layer", minimum=1)

    quick = Recipe(epochs=40, batch=32, lr=5e-4, warmup_epochs=2, image_size=64, augmentations=VIEWS)
    recipes = {"quick": quick, "paper": Recipe(100, 512, 0.1, "sgd", 1e-4, augmentations=VIEWS)}

    def __init__(self, backbone, options):
        super().__init__(backbone, options)
        c, hidden = options.dim, options.hidden
        layers = [nn.Linear(backbone.dim, c, bias=False), nn.BatchNorm1d(c), nn.ReLU()]
        self.projector = nn.Sequential(*layers, nn.Linear(c, c, bias=False), nn.BatchNorm1d(c, affine=False))
        layers = [nn.Linear(c, hidden, bias=False), nn.BatchNorm1d(hidden), nn.ReLU()]
        self.predictor = nn.Sequential(*layers, nn.Linear(hidden, c))

    def forward(self, views, batch):
        z0, z1 = (self.projector(self.backbone(view)).float() for view in views)  # each (N, C)
        p0, p1 = (self.predictor(z).float() for z in (z0, z1))  # each (N, C)
        return -(F.cosine_similarity(p0, z1.detach()) + F.cosine_similarity(p1, z0.detach())).mean() / 2


@hookimpl
def register_methods(register):
    register("simsiam", SimSiam)
