"""What is compared: strategies by their names, and the table of them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from cmrbias import CmrbiasError

BASELINE = "same-image"
NEGATIVES = {
    **{name: ("-o", f"negatives={name}") for name in ("append", "reweight", "only", "synthetic")},
    "exclude-own-patient": ("-o", "exclude-own-patient=true"),
}
_LOGGED = {  # metric in a pretraining's log -> what it is
    "own_patient_negatives": "of the query's own patient",
    "hard_negatives": "hard",
}


@dataclass(frozen=True)
class Strategy:
    """Pairs and negatives; ``options`` are those of the pairs."""

    pairs: str
    negatives: str = ""
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``PAIRS`` or ``PAIRS+NEGATIVES``."""
        return "+".join(part for part in (self.pairs, self.negatives) if part)

    def flags(self) -> list[str]:
        """Returns the flags of ``cmrbias pretrain``."""
        options = [part for option in self.options for part in ("--pair-option", option)]
        return ["--pairs", self.pairs, *options, *NEGATIVES.get(self.negatives, ())]


def parse_strategies(text: str, options: Sequence[str], pairings: Any) -> list[Strategy]:
    """Returns the strategies that a text names, the baseline first.

    Args:
        text: names with commas.
        options: ``KEY=VALUE``, each of all pairings that have it.
        pairings: the registry.

    Raises:
        CmrbiasError: an unknown pairing, unknown negatives, or an option that no pairing has.
    """
    used, strategies = set(), []
    for name in dict.fromkeys([BASELINE, *(part.strip() for part in text.split(",") if part.strip())]):
        pairs, plus, negatives = name.partition("+")
        if plus and negatives not in NEGATIVES:
            raise CmrbiasError(f"--strategies: {name}: expected PAIRS or PAIRS+{'|'.join(NEGATIVES)}")
        known = {field.name.replace("_", "-") for field in fields(pairings.get(pairs).Options)}
        own = [option for option in options if option.partition("=")[0].replace("_", "-") in known]
        used |= set(own)
        strategies.append(Strategy(pairs, negatives, tuple(own)))
    lost = [option for option in options if option not in used]
    if lost:
        raise CmrbiasError(f"--pair-option {lost[0]}: none of {text} has this option")
    return strategies


def titled(strategy: Strategy, pretrained: Path) -> str:
    """Returns a strategy's name in tables, with a mark where its pairs use labels."""
    cheats = _info(pretrained)["record"]["pairing"].get("uses_labels")
    return f"{strategy.name} (USES LABELS)" if cheats else strategy.name


def explained(title: str, strategy: Strategy, pretrained: Sequence[Path]) -> str:
    """Returns a sentence on a strategy's partners, and on its negatives in the last epoch, over seeds."""
    said, excluded = [], strategy.negatives == "exclude-own-patient"
    pairs = _info(pretrained[0])["record"]["pairing"]
    if "images_by_partners" in pairs:  # not of same-image, nor of another plugin's pairing
        counts = ", ".join(f"{number} in {count}" for number, count in pairs["images_by_partners"].items())
        said.append(f"partners {counts} images, {pairs['pair_with_themselves']} pair with themselves")
    last = [json.loads((run / "log.jsonl").read_text().splitlines()[-1]) for run in pretrained]
    for metric, what in _LOGGED.items():
        if all(metric in line for line in last):
            left_out = ", left out" if metric == "own_patient_negatives" and excluded else ""
            said.append(f"negatives {what} {sum(line[metric] for line in last) / len(last):.1%}{left_out}")
    return f"{title}: {'; '.join(said) or 'each image pairs with itself'}"


def overview(found: Mapping[float, Any]) -> Iterator[str]:
    """Yields a table a finding: strategies by fractions, AUROC and the paired difference from the baseline.

    Args:
        found: label fraction to what ``cmrbias.evaluate_findings`` returns.
    """
    first = next(iter(found.values()))
    for finding in first.findings:
        yield f"{finding}: AUROC (95 % interval over patients), and less {BASELINE}, by label fraction"
        yield ""
        titles = [(f"{fraction:g}", f"{fraction:g} less {BASELINE}") for fraction in found]
        rows, doubts = [["strategy", *(title for pair in titles for title in pair)]], set[str]()
        for model in first.scores:
            row = [model]
            for evaluation in found.values():
                less = evaluation.differences.get(model)
                scored = evaluation.scores.get(model)  # no ensemble of a single run
                row.append(_cell(scored[finding].estimates["AUROC"]) if scored else "")
                doubts |= set(scored[finding].estimates["AUROC"].doubts if scored else ())
                row.append(_cell(less[finding]["AUROC"], "+") if less else "")
            rows.append(row)
        rows.insert(1, ["---"] * len(rows[0]))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for cells in rows:
            yield "| " + " | ".join(map(str.ljust, cells, widths)) + " |"
        yield ""
        if doubts:
            yield f"* unreliable: {'; '.join(sorted(doubts))}"
            yield ""


def _cell(estimate: Any, sign: str = "") -> str:
    if math.isnan(estimate.value):
        return "undefined"
    return f"{estimate.value:{sign}.3f} ({estimate.interval}){'*' if estimate.unreliable else ''}"


def _info(run: Path) -> dict[str, Any]:
    info: dict[str, Any] = json.loads((run / "run.json").read_text())
    return info
