"""Networks with torchvision's state-dict keys and a 1-channel stem, and loading weights into them."""

from cmrbias.backbones.weights import load_backbone, load_weights

__all__ = ["load_backbone", "load_weights"]
