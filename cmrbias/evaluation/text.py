"""An evaluation as tables to read."""

from __future__ import annotations

import math
import string
from collections.abc import Iterator, Sequence

from cmrbias.evaluation.evaluation import Evaluation
from cmrbias.evaluation.measures import InputScores
from cmrbias.evaluation.pairs import BG_GAP, Against, Pair
from cmrbias.evaluation.twins import OTHER, Twinned
from cmrbias.statistics import Difference, Estimate, Interval
from cmrbias.statistics.interval import FEW_PATIENTS

HEADER = ("figure", "value", "95 % interval", "n", "how", "unreliable", "in small samples")
SHOWN = ("sensitivity", "specificity", "F1")  # by class; the others are in scores.json
Row = tuple[str, ...]


class Notes:
    """What many rows say, said once below the table under a letter."""

    def __init__(self) -> None:
        self._letters: dict[str, str] = {}

    def letter(self, text: str) -> str:
        """Returns the letter of a text, a new one for a new text."""
        number = len(self._letters)
        return self._letters.setdefault(text, string.ascii_letters[number % 52] * (number // 52 + 1))

    def lines(self) -> Iterator[str]:
        """Yields a line a letter."""
        for text, letter in self._letters.items():
            yield f"  {letter}: {text}"


def tables(evaluation: Evaluation) -> Iterator[str]:
    """Yields lines: what was tested, a table a test input, BG-gap, differences from other runs, twins.

    Every title says how many cases there are and whether patients were seen in training.
    """
    subject, asked = evaluation.subject, evaluation.asked
    yield (
        f"{subject.run.path} (trained on input {subject.classifier.input.name}) on {asked.cohort.path}, "
        f"split {asked.split}, column {subject.target!r}"
    )
    yield from evaluation.notes
    yield from _classes(evaluation)
    for name, scores in evaluation.scores.items():
        yield from _titled(evaluation, f"input {name}: {_extent(scores)}")
        notes = Notes()
        yield from aligned([HEADER, *_rows(scores, notes)])
        yield from notes.lines()
        yield from _confusion(scores)
    if len(evaluation.scores) > 1:
        yield from _titled(evaluation, "all test inputs")
        yield from aligned(
            [("input", "AUC macro", "AUC micro", "accuracy", "patients"), *_matrix(evaluation)]
        )
    if evaluation.bg_gap is not None:
        title = f"BG-gap: swap-same-class less swap-other-class, {_paired(evaluation.bg_gap)}"
        yield from _titled(evaluation, title)
        yield from _differences(evaluation.bg_gap)
    for each in evaluation.comparisons:
        where = (
            f"BG-gap less that of {each.run}"
            if each.input == BG_GAP
            else f"less {each.run}, input {each.input}"
        )
        yield from _titled(evaluation, f"{where}, {_paired(each.pair)}")
        yield from _differences(each.pair, each)
    for twin in evaluation.twins:
        title = f"twin {twin.cohort} (cue levels: {twin.levels}), input {twin.input}, {_paired(twin.pair)}"
        yield from _titled(evaluation, f"{title}; {twin.changed} have another cue level there")
        yield from _twin(twin)


def aligned(rows: Sequence[Row]) -> Iterator[str]:
    """Yields rows as lines, their columns one under another."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
        yield ("  " + "  ".join(cells)).rstrip()


def _classes(evaluation: Evaluation) -> Iterator[str]:
    matching = evaluation.subject.matching
    if evaluation.asked.label_map is not None:
        mapped = ", ".join(f"{name} as {label}" for name, label in evaluation.asked.label_map.items())
        yield f"label map: {mapped}; the softmax is over these classes alone, nothing was retrained"
    if matching.dropped:
        yield f"classes of the run that are not compared: {', '.join(matching.dropped)}"
    if matching.left_out:
        counts = ", ".join(f"{label} {count}" for label, count in matching.left_out.items())
        yield f"cases left out, since their label is not compared: {counts}"


def _titled(evaluation: Evaluation, text: str) -> Iterator[str]:
    """Yields a table's title, with the patients that a run has seen."""
    runs = [evaluation.subject, *evaluation.others]
    seen = [f"{each.run.path}: {each.seen}" for each in runs if each.seen.patients]
    yield ""
    yield "; ".join([text, *seen])


def _extent(scores: InputScores) -> str:
    parts = [f"{scores.patients} patients, {scores.cases} cases"]
    if scores.left_out:
        parts.append("left out: " + ", ".join(f"{count} ({why})" for why, count in scores.left_out.items()))
    if scores.donors is not None:
        parts.append(f"probabilities averaged over {scores.donors} donors a case")
    if scores.box is not None:
        parts.append(f"a square of {scores.box} px")
    return "; ".join(parts)


def _paired(pair: Pair) -> str:
    size = f"paired: {pair.patients} patients, {pair.cases} cases"
    return size + (f"; {pair.unpaired} cases have no partner" if pair.unpaired else "")


def _rows(scores: InputScores, notes: Notes) -> Iterator[Row]:
    published = scores.macro_as_published
    how = f"{published.how}: to stand beside published ones, not to rely on"
    yield _row("AUC micro", scores.auc.micro, notes)
    yield _row("AUC macro", scores.auc.macro, notes)
    yield (
        "as published",
        f"{scores.auc.macro.value:.3f}",
        _shown(published),
        str(scores.patients),
        notes.letter(how),
        "",
        "",
    )
    for name, estimate in scores.auc.per_class.items():
        yield _row(f"AUC {name}", estimate, notes)
    for name, estimate in scores.decisions.overall.items():
        yield _row(name, estimate, notes)
    for measure in SHOWN:
        for name, estimate in scores.decisions.per_class[measure].items():
            yield _row(f"{measure} {name}", estimate, notes)


def _row(name: str, estimate: Estimate, notes: Notes) -> Row:
    """A figure with its interval, n, how it was obtained and, where it is unreliable, why and what holds."""
    how = notes.letter(estimate.interval.how)
    why = notes.letter(", ".join(estimate.doubts)) if estimate.unreliable else ""
    other = estimate.fallback if estimate.unreliable else None
    held = "" if other is None or not other.width > 0 else f"{other} {notes.letter(other.how)}"
    value = "undefined" if math.isnan(estimate.value) else f"{estimate.value:.3f}"
    return name, value, _shown(estimate.interval), str(estimate.n), how, why, held


def _shown(interval: Interval) -> str:
    return "zero width" if interval.width == 0 else str(interval)


def _matrix(evaluation: Evaluation) -> Iterator[Row]:
    for name, scores in evaluation.scores.items():
        figures = (scores.auc.macro, scores.auc.micro, scores.decisions.overall["accuracy"])
        yield (name, *map(_short, figures), str(scores.patients))


def _short(estimate: Estimate) -> str:
    doubt = ", unreliable" if estimate.unreliable else ""
    return f"{estimate.value:.3f} ({_shown(estimate.interval)}{doubt})"


def _differences(pair: Pair, comparison: Against | None = None) -> Iterator[str]:
    notes = Notes()
    named = [("AUC micro", pair.auc.micro), ("AUC macro", pair.auc.macro)]
    named += [(f"AUC {name}", difference) for name, difference in pair.auc.per_class.items()]
    rows = [_row(name, difference.estimate, notes) for name, difference in named]
    rows.append(_row("accuracy", pair.accuracy, notes))
    rows.append(_row("probability of the label", pair.label_probability, notes))
    header: Row = HEADER
    if comparison is not None:
        p = [_p(comparison, name.removeprefix("AUC "), difference) for name, difference in named]
        header = (*header[:4], "p (DeLong, Holm)", *header[4:])
        rows = [(*row[:4], value, *row[4:]) for row, value in zip(rows, [*p, "", ""], strict=True)]
    yield from aligned([header, *rows])
    yield from notes.lines()
    if comparison is not None:
        yield f"  {_tests(comparison)}"


def _tests(comparison: Against) -> str:
    """Returns what p is, beside the interval, and over how many tests it is adjusted."""
    counts = comparison.tests
    kind = "runs" if comparison.input == BG_GAP else "runs and test inputs"
    classes = list(comparison.pair.auc.per_class)
    by_class = f"{counts[classes[0]]} of classes"
    if len(classes) == 2:
        by_class += " (two classes have the same AUC and count as one)"
    return (
        f"p: DeLong's paired test, by Holm over {counts['micro']} tests each of micro and macro ({kind}) and "
        f"over {by_class}; the interval is the bootstrap's, so the two may disagree; -: under "
        f"{FEW_PATIENTS} patients in a class, too few for the test"
    )


def _twin(twin: Twinned) -> Iterator[str]:
    notes = Notes()
    name = "total variation" + (" (reliance)" if twin.levels == OTHER else "")
    named = [(name, twin.total_variation), ("decisions flipped", twin.flipped)]
    auc = twin.pair.auc
    named += [("AUC micro, less the twin's", auc.micro.estimate)]
    named += [("AUC macro, less the twin's", auc.macro.estimate)]
    yield from aligned([HEADER, *(_row(name, estimate, notes) for name, estimate in named)])
    yield from notes.lines()


def _p(comparison: Against, name: str, difference: Difference) -> str:
    value = comparison.holm[name]
    if not difference.tested:
        return "-"
    return "undefined" if math.isnan(value) else f"{value:.3g}"


def _confusion(scores: InputScores) -> Iterator[str]:
    names = list(scores.auc.per_class)
    rows = [
        (name, *map(str, row)) for name, row in zip(names, scores.decisions.confusion.tolist(), strict=True)
    ]
    yield from aligned([("cases, true by given", *names), *rows])
