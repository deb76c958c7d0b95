"""Augmentations, one file each; every draw is a function of its key."""
