"""Claim: saliency and scores of a cohort cost little more than the network, and half of the usual way.

A DenseNet121 classifier of ED and ES at 224 px; each way gives the logits, GradCAM of the predicted class
and five overlap scores of each frame: `cmrbias` (closed form, one overlap call a batch); torch hooks
(forward, `backward()`, upsampled maps, scores image by image in numpy), as GradCAM is usually written; the
same by one who asks for the gradient at the layer alone, which goes back through no convolution; and captum,
where it is installed.
Maps and scores are checked to agree before anything is timed; ratios are from one run, medians of repeats.

    python benchmarks/evaluate.py [--cases 8] [--size 224] [--repeats 5] [--threads N]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from cmrbias.backbones import Classifier
from cmrbias.backbones.densenet import densenet121
from cmrbias.inputs import InputMode
from cmrbias.saliency.gradcam import GradCAM
from cmrbias.scores import aks, dice, dsc, iou, pointing, score_maps

Found = tuple[Tensor, np.ndarray]  # maps (N * F, h, w), scores (N * F, 5)
SCORES = {"aks": aks, "dsc": dsc, "dice": dice, "iou": iou, "pointing": pointing}


def ours(network: Classifier, images: Tensor, masks: Tensor) -> Found:
    method = GradCAM(GradCAM.Options())
    maps = method.explain(network, images, lambda z: z.argmax(1, keepdim=True))[1]
    single = maps[:, 0].flatten(0, 1)
    scores = score_maps(single, masks, SCORES, "benchmark")
    return single, torch.stack(list(scores.values()), 1).numpy()


def backward(network: Classifier, images: Tensor, masks: Tensor) -> Found:
    seen: list[Tensor] = []
    layer = network.backbone.features.relu5
    handles = (
        layer.register_forward_hook(lambda m, i, o: seen.append(o.detach())),
        layer.register_full_backward_hook(lambda m, i, o: seen.append(o[0])),
    )
    logits = network(images)
    network.zero_grad()
    logits.gather(1, logits.argmax(1, keepdim=True)).sum().backward()
    for handle in handles:
        handle.remove()
    activations, gradients = seen
    maps = (gradients.mean((2, 3), keepdim=True) * activations).sum(1).relu()
    return maps, image_by_image(maps, masks)


def layer_alone(network: Classifier, images: Tensor, masks: Tensor) -> Found:
    seen: list[Tensor] = []
    handle = network.backbone.features.relu5.register_forward_hook(lambda m, i, o: seen.append(o))
    logits = network(images)
    handle.remove()
    chosen = logits.gather(1, logits.argmax(1, keepdim=True)).sum()
    gradients = torch.autograd.grad(chosen, seen[0])[0]
    maps = (gradients.mean((2, 3), keepdim=True) * seen[0]).sum(1).relu().detach()
    return maps, image_by_image(maps, masks)


def by_captum(network: Classifier, images: Tensor, masks: Tensor) -> Found:
    from captum.attr import LayerGradCam

    with torch.no_grad():
        predicted = network(images).argmax(1)
    explainer = LayerGradCam(network, network.backbone.features.relu5)
    maps = explainer.attribute(images, predicted, relu_attributions=True)[:, 0].detach()
    return maps, image_by_image(maps, masks)


def image_by_image(maps: Tensor, masks: Tensor) -> np.ndarray:
    size = tuple(masks.shape[1:])
    rows = []
    for single, mask in zip(maps, masks.numpy(), strict=True):
        whole = F.interpolate(single[None, None], size, mode="bilinear", align_corners=False)[0, 0].numpy()
        x = (whole - whole.min()) / (whole.max() - whole.min())
        hot, inside = x >= 0.5, (x * mask).sum()
        both, area = (hot & mask).sum(), mask.sum()
        peak = float(mask[x == x.max()].any())
        soft = 2 * inside / (x.sum() + area)
        thresholded = 2 * both / (hot.sum() + area), both / (hot | mask).sum()
        rows.append((inside / x.sum(), soft, *thresholded, peak))
    return np.array(rows)


def share_outside(network: Classifier, images: Tensor, masks: Tensor, repeats: int) -> float:
    """Returns the median share of our time that is not the network's: both clocks run in the same call."""
    backbone, inside = network.backbone, [0.0]
    feature_map = backbone.feature_map

    def timed(frames: Tensor) -> Tensor:
        start = time.perf_counter()
        maps = feature_map(frames)
        inside[0] += time.perf_counter() - start
        return maps

    shares = []
    backbone.feature_map = timed
    for _ in range(repeats):
        inside[0], start = 0.0, time.perf_counter()
        ours(network, images, masks)
        shares.append(1 - inside[0] / (time.perf_counter() - start))
    del backbone.feature_map
    return statistics.median(shares)


def seconds(calls: dict[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Returns each call's median time; the calls take turns, so that the machine's mood hits all alike."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(repeats):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--cases", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    wanted = {"classes": "ABCDE", "frames": ("ED", "ES"), "image_size": options.size, "target": "label"}
    network = Classifier(densenet121(), input=InputMode(), **wanted).eval()
    network = network.to(memory_format=torch.channels_last)
    images = torch.rand(options.cases, 2, 1, options.size, options.size) * 2 - 1
    grid = torch.arange(options.size) / options.size - 0.5
    masks = ((grid[:, None] ** 2 + grid**2) < 0.15**2).expand(2 * options.cases, -1, -1).contiguous()
    ways: dict[str, Callable[..., Found]] = {"cmrbias": ours}
    ways |= {"backward()": backward, "layer alone": layer_alone}
    try:
        import captum  # noqa: F401
    except ImportError:
        print("captum is not installed: left out")
    else:
        ways["captum"] = by_captum
    expected = ours(network, images, masks)
    for name, way in ways.items():
        maps, scores = way(network, images, masks)
        torch.testing.assert_close(maps, expected[0], rtol=1e-3, atol=1e-6, msg=f"maps: {name} differs")
        # Dice and IoU may differ by a pixel at the threshold
        np.testing.assert_allclose(scores[:, :4], expected[1][:, :4], atol=5e-3, err_msg=name)
    calls: dict[str, Callable[[], object]] = {
        name: lambda way=way: way(network, images, masks) for name, way in ways.items()
    }
    times = seconds(calls, options.repeats)
    print(f"{options.threads} thread(s), torch {torch.__version__}, DenseNet121")
    print(f"{2 * options.cases} images of {options.size} px; maps and scores agree")
    for name in ways:
        speed, ratio = 2 * options.cases / times[name], times[name] / times["cmrbias"]
        print(f"  {name:12} {speed:7.1f} images/s   {ratio:5.2f} x the time of cmrbias")
    share = share_outside(network, images, masks, options.repeats)
    print(f"  cmrbias outside the network: {100 * share:.1f} % of its time (aim: under 5 %)")


if __name__ == "__main__":
    main()
