"""Networks with torchvision's state-dict keys and a 1-channel stem, and loading weights into them."""
