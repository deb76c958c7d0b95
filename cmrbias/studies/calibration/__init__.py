"""Which saliency measure tells that a classifier relies on a cue, where it is known that it does."""
