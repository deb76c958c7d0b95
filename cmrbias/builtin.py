"""The built-in plugin: registers what ships with cmrbias through the hooks that a stranger uses.

Imports stand inside the hooks, so that asking for one kind does not import the others.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cmrbias.hookspecs import hookimpl

Register = Callable[[str, Any], None]


@hookimpl
def register_methods(register: Register) -> None:
    from cmrbias.methods.byol import BYOL
    from cmrbias.methods.moco import MoCo
    from cmrbias.methods.simclr import SimCLR

    register("simclr", SimCLR)
    register("moco", MoCo)
    register("byol", BYOL)


@hookimpl
def register_pairings(register: Register) -> None:
    from cmrbias.pairings.same_case import SameCase
    from cmrbias.pairings.same_image import SameImage

    register("same-image", SameImage)
    register("same-case", SameCase)


@hookimpl
def register_augmentations(register: Register) -> None:
    from cmrbias.augmentations.background_swap import BackgroundSwap
    from cmrbias.augmentations.contrast import Contrast
    from cmrbias.augmentations.crop import Crop
    from cmrbias.augmentations.flip import Flip
    from cmrbias.augmentations.rotate import Rotate

    register("background-swap", BackgroundSwap)
    register("crop", Crop)
    register("flip", Flip)
    register("contrast", Contrast)
    register("rotate", Rotate)


@hookimpl
def register_saliency(register: Register) -> None:
    from cmrbias.saliency.eigencam import EigenCAM
    from cmrbias.saliency.gradcam import GradCAM
    from cmrbias.saliency.gradcam_plus_plus import GradCAMPlusPlus
    from cmrbias.saliency.gradient_input import GradientInput
    from cmrbias.saliency.integrated_gradients import IntegratedGradients
    from cmrbias.saliency.layercam import LayerCAM
    from cmrbias.saliency.occlusion import Occlusion

    register("gradcam", GradCAM)
    register("gradcam-plus-plus", GradCAMPlusPlus)
    register("layercam", LayerCAM)
    register("eigencam", EigenCAM)
    register("gradient-input", GradientInput)
    register("integrated-gradients", IntegratedGradients)
    register("occlusion", Occlusion)


@hookimpl
def register_scores(register: Register) -> None:
    from cmrbias import scores

    register("aks", scores.aks)
    register("dsc", scores.dsc)
    register("dice", scores.dice)
    register("iou", scores.iou)
    register("pointing", scores.pointing)
    register("energy-lift", scores.energy_lift)
    register("normalised-aks", scores.normalised_aks)


@hookimpl
def register_backbones(register: Register) -> None:
    from cmrbias.backbones.densenet import densenet121
    from cmrbias.backbones.resnet import resnet18, resnet50

    register("densenet121", densenet121)
    register("resnet18", resnet18)
    register("resnet50", resnet50)


@hookimpl
def register_readers(register: Register) -> None:
    from cmrbias.cohorts.readers.acdc import AcdcReader
    from cmrbias.cohorts.readers.chexpert import CheXpertReader
    from cmrbias.cohorts.readers.dicom import DicomReader
    from cmrbias.cohorts.readers.table import TableReader

    register("acdc", AcdcReader)
    register("chexpert", CheXpertReader)
    register("dicom", DicomReader)
    register("table", TableReader)


@hookimpl
def register_tasks(register: Register) -> None:
    from cmrbias.training.classify import Classify
    from cmrbias.training.pretrain import Pretrain
    from cmrbias.training.probe import Probe

    register("pretrain", Pretrain)
    register("classify", Classify)
    register("probe", Probe)
