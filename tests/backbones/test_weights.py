"""``load_weights``: every kind of file the issue names, and every kind of wrong one."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from cmrbias.api import Backbone
from cmrbias.backbones import load_backbone, load_weights
from cmrbias.backbones.densenet import densenet121
from cmrbias.backbones.resnet import resnet18, resnet50
from cmrbias.errors import CmrbiasError


def weights(backbone: Backbone, seed: int = 7) -> dict[str, torch.Tensor]:
    """Another state dict for ``backbone``, every tensor of it told from the initial one."""
    torch.manual_seed(seed)
    return {
        key: torch.rand(value.shape) + 0.5 if value.is_floating_point() else torch.tensor(11)
        for key, value in backbone.state_dict().items()
    }


def holds(backbone: Backbone, state: dict[str, torch.Tensor]) -> bool:
    own = backbone.state_dict()
    return all(torch.equal(own[key], value) for key, value in state.items())


def saved(path: Path, content: Any) -> Path:
    torch.save(content, path)
    return path


def our_run(folder: Path, backbone: Backbone, state: dict[str, torch.Tensor], name: str = "last.pt") -> Path:
    folder.mkdir(exist_ok=True)
    content = {"cmrbias_checkpoint": 1, "backbone": state, "backbone_name": backbone.name}
    saved(folder / name, {**content, "stride": backbone.stride, "epoch": 3})
    return folder


def test_torchvision_file_with_rgb_stem_and_classifier(tmp_path: Path) -> None:
    backbone = resnet18()
    state = weights(backbone)
    rgb = torch.randn(64, 3, 7, 7)
    head = {"fc.weight": torch.zeros(1000, 512), "fc.bias": torch.zeros(1000)}
    report = load_weights(backbone, saved(tmp_path / "tv.pth", {**state, "conv1.weight": rgb, **head}))
    grey = torch.randn(2, 1, 32, 32)
    as_grey = torch.conv2d(grey, backbone.state_dict()["conv1.weight"])
    torch.testing.assert_close(as_grey, torch.conv2d(grey.expand(-1, 3, -1, -1), rgb), rtol=1e-4, atol=1e-4)
    assert holds(backbone, {k: v for k, v in state.items() if k != "conv1.weight"})
    assert (len(report.matched), report.missing, report.unexpected) == (120, (), ())
    assert report.summed == ("conv1.weight",)
    assert str(report) == (f"{tmp_path / 'tv.pth'}: 120 tensors loaded into resnet18; stem summed over RGB")


def test_torchvisions_old_densenet_keys(tmp_path: Path) -> None:
    backbone = densenet121()
    state = weights(backbone)
    old = {re.sub(r"(denselayer\d+\.(?:norm|conv))([12])", r"\1.\2", key): v for key, v in state.items()}
    old = {key: v for key, v in old.items() if not key.endswith("num_batches_tracked")}  # they have none
    assert "features.denseblock1.denselayer1.norm.1.weight" in old
    old["classifier.weight"], old["classifier.bias"] = torch.zeros(1000, 1024), torch.zeros(1000)
    report = load_weights(backbone, saved(tmp_path / "densenet121-a639ec97.pth", old))
    assert holds(backbone, {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")})
    assert (report.missing, report.unexpected) == ((), ())


@pytest.mark.parametrize("prefix", ["module.encoder_q.", "module.base_encoder.", "module.", "encoder_q."])
def test_moco_checkpoint(tmp_path: Path, prefix: str) -> None:
    backbone = resnet50()
    state = weights(backbone)
    slow = weights(backbone, seed=8)
    inside = {prefix + key: value for key, value in state.items()}
    inside |= {"module.encoder_k." + key: value for key, value in slow.items()}
    inside |= {prefix + "fc.0.weight": torch.zeros(2, 2), "module.queue": torch.zeros(128, 64)}
    content = {"epoch": 200, "arch": "resnet50", "state_dict": inside, "optimizer": {"state": {}}}
    report = load_weights(backbone, saved(tmp_path / "chess.pth.tar", content))
    assert holds(backbone, state)
    assert report.prefix == prefix
    assert len(report.matched) == 318
    assert report.missing == ()
    assert f"318 tensors loaded into resnet50 (keys under '{prefix}')" in str(report)


def test_runs_of_ours(tmp_path: Path) -> None:
    backbone = resnet18()
    last, best = weights(backbone, 1), weights(backbone, 2)
    run = our_run(tmp_path / "run", backbone, last)
    load_weights(backbone, run)
    assert holds(backbone, last)
    our_run(run, backbone, best, "best.pt")
    assert load_weights(backbone, run).path == run / "best.pt"
    assert holds(backbone, best)
    load_weights(backbone, run / "last.pt")
    assert holds(backbone, last)
    fine = resnet18(stride=16)  # the stride changes no weight
    load_weights(fine, run)
    assert holds(fine, best)


def test_load_backbone_builds_the_network_of_a_run(tmp_path: Path) -> None:
    made = resnet18(stride=16)
    state = weights(made)
    loaded = load_backbone(our_run(tmp_path / "run", made, state))
    assert (loaded.name, loaded.stride, loaded.training) == ("resnet18", 16, False)
    assert holds(loaded, state)
    with pytest.raises(CmrbiasError, match="not a checkpoint of cmrbias"):
        load_backbone(saved(tmp_path / "plain.pt", state))


def test_load_backbone_names_a_network_that_nothing_offers(tmp_path: Path) -> None:
    made = resnet18()
    made.name = "resnet-of-a-plugin"
    with pytest.raises(CmrbiasError, match="unknown backbone 'resnet-of-a-plugin'"):
        load_backbone(our_run(tmp_path / "run", made, weights(made)))


def test_reports_what_is_missing_and_what_is_not_used(tmp_path: Path) -> None:
    backbone = resnet18()
    state = weights(backbone)
    del state["layer4.1.bn2.weight"], state["layer4.1.bn2.num_batches_tracked"]
    state["decoder.weight"] = torch.zeros(1)
    report = load_weights(backbone, saved(tmp_path / "part.pt", state))
    assert report.missing == ("layer4.1.bn2.weight",)
    assert report.unexpected == ("decoder.weight",)
    assert str(report).endswith("; missing: 1 (layer4.1.bn2.weight); not used: 1 (decoder.weight)")


def test_half_precision_files_become_float32(tmp_path: Path) -> None:
    backbone = resnet18()
    state = {key: value.half() for key, value in weights(backbone).items()}
    load_weights(backbone, saved(tmp_path / "half.pt", state))
    assert backbone.conv1.weight.dtype == torch.float32
    assert torch.equal(backbone.conv1.weight, state["conv1.weight"].float())


def refused(path: Path, backbone: Backbone | None = None) -> str:
    """The one line with which a file is refused; the network keeps its weights."""
    backbone = backbone or resnet18()
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    with pytest.raises(CmrbiasError) as error:
        load_weights(backbone, path)
    assert holds(backbone, before)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


def test_refuses_a_run_of_another_network_and_names_both(tmp_path: Path) -> None:
    run = our_run(tmp_path / "run", densenet121(), {"features.norm5.bias": torch.zeros(1024)})
    message = refused(run / "last.pt")
    assert "those of densenet121, the network is resnet18: use --backbone densenet121" in message


def test_refuses_a_file_that_matches_nothing(tmp_path: Path) -> None:
    message = refused(
        saved(tmp_path / "other.pt", {"model.stem.0.weight": torch.zeros(3), "b": torch.ones(1)})
    )
    assert "nothing in it matches resnet18: expected keys such as 'conv1.weight'" in message
    assert "'module.encoder_q.'" in message
    assert message.endswith("found 2 tensors, the first is 'model.stem.0.weight'")
    assert refused(saved(tmp_path / "empty.pt", {"epoch": 3})).endswith("found no tensors")


def test_refuses_another_shape_and_names_the_first_key(tmp_path: Path) -> None:
    message = refused(saved(tmp_path / "resnet18.pt", weights(resnet18())), resnet50())
    assert "another network than resnet50: layer1.0.conv1.weight has shape (64, 64, 3, 3)" in message
    assert message.endswith("expected (64, 64, 1, 1)")
    two = {**weights(resnet18()), "conv1.weight": torch.zeros(64, 2, 7, 7)}
    assert "conv1.weight has shape (64, 2, 7, 7), expected (64, 1, 7, 7)" in refused(
        saved(tmp_path / "two.pt", two)
    )


def test_refuses_what_is_no_state_dict(tmp_path: Path) -> None:
    assert refused(saved(tmp_path / "list.pt", [torch.zeros(1)])).endswith(
        "expected a state dict, found a list"
    )


def test_refuses_what_torch_did_not_save(tmp_path: Path) -> None:
    (tmp_path / "text.pt").write_text("weights")
    (tmp_path / "empty.pt").write_bytes(b"")
    whole = saved(tmp_path / "whole.pt", weights(resnet18())).read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    for name in ("text.pt", "empty.pt", "cut.pt"):
        assert "expected weights saved by torch, found" in refused(tmp_path / name)


def test_runs_no_code_from_a_file(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "ran",))

    (tmp_path / "evil.pt").write_bytes(pickle.dumps({"conv1.weight": Evil()}))
    assert "found a file of another kind" in refused(tmp_path / "evil.pt")
    torch.save({"conv1.weight": Evil()}, tmp_path / "evil.zip.pt")
    assert "holds more than tensors and plain values" in refused(tmp_path / "evil.zip.pt")
    assert not (tmp_path / "ran").exists()


def test_refuses_what_is_not_there(tmp_path: Path) -> None:
    assert refused(tmp_path / "none.pt").endswith("no such file: expected weights or a run")
    (tmp_path / "folder").mkdir()
    assert refused(tmp_path / "folder").endswith("expected a run with best.pt or last.pt, found neither")
