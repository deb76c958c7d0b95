"""Networks with torchvision's state-dict keys and a 1-channel stem, weights for them, classifiers on them."""

from cmrbias.backbones.classifier import Classifier, load_classifier
from cmrbias.backbones.weights import load_backbone, load_weights

__all__ = ["Classifier", "load_backbone", "load_classifier", "load_weights"]
