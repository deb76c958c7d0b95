"""Self-supervised methods, one readable file each; the pieces that a plugin's method may be built of.

A plugin may import the names below from here, as it may those of ``cmrbias.api``.
"""

from cmrbias.methods.byol import BYOL
from cmrbias.methods.heads import mlp
from cmrbias.methods.moco import MoCo, info_nce
from cmrbias.methods.momentum import MomentumCopy
from cmrbias.methods.patients import codes_of, same_patient, share
from cmrbias.methods.queue import KeyQueue, Stored
from cmrbias.methods.simclr import SimCLR

__all__ = [
    "BYOL",
    "KeyQueue",
    "MoCo",
    "MomentumCopy",
    "SimCLR",
    "Stored",
    "codes_of",
    "info_nce",
    "mlp",
    "same_patient",
    "share",
]
