"""What a classifier is shown of a case: the whole image, the heart alone, its surroundings, and controls.

Input modes act on stored intensities, before augmentation and before scaling to [-1, 1]: what a mode
masks equals a stored 0, and so -1 at the network, as do the borders of crops and rotations.
"""

from cmrbias.inputs.donors import batch_donors, fixed_donors
from cmrbias.inputs.mode import TESTING, TRAINING, InputMode
from cmrbias.inputs.swap import Donors

__all__ = ["TESTING", "TRAINING", "Donors", "InputMode", "batch_donors", "fixed_donors"]
