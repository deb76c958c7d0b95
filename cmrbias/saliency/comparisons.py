"""Do maps lie on the heart more in one class than in another, and still where hearts are as large?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from cmrbias.resampling import patient_strata
from cmrbias.saliency.subject import Subject
from cmrbias.saliency.table import KNOWN, Rows
from cmrbias.statistics import ClassDifference, class_differences, patient_means
from cmrbias.statistics.inputs import patient_numbers

TARGETS = ("predicted", "true")


@dataclass(frozen=True)
class Comparison:
    """All pairs of the patients' classes, compared by one score.

    Attributes:
        method: that made the maps.
        target: the explained class: ``predicted`` or ``true``.
        score: one of ``KNOWN``.
        patients: class to its patients with a defined score.
        plain: differences of the classes' means.
        adjusted: the same adjusted for the mask's area, as a share of the image.
    """

    method: str
    target: str
    score: str
    patients: dict[str, int]
    plain: list[ClassDifference]
    adjusted: list[ClassDifference]


def comparisons(
    rows: Rows, subject: Subject, methods: list[str], resamples: int, seed: int
) -> Iterator[Comparison]:
    """Yields the comparisons of all methods; none where patients are of fewer than two classes.

    A larger heart is easier to hit, and the heart's size follows the diagnosis: hence the adjustment.
    Patients with cases of several classes, or of none that the classifier knows, take no part.

    Args:
        rows: of the whole cohort.
        subject: what was explained.
        methods: the methods' names in order.
        resamples, seed: of the bootstrap over patients.
    """
    classes = subject.classifier.classes
    model = rows.map == 0
    explained = {"predicted": rows.predicted, "true": subject.labels[rows.row]}
    for number, method in enumerate(methods):
        for target in TARGETS:
            mine = rows.some(model & (rows.method == number) & (rows.explained == explained[target]))
            if not len(mine):
                continue
            patients = subject.cases.codes("patient")[mine.row]
            labels = subject.labels[mine.row]
            known = np.where(labels < 0, len(classes), labels)
            of_patient = patient_strata(known, patient_numbers(patients, len(mine)), len(classes))
            kept = of_patient < len(classes)
            area = patient_means(mine.scores["chance"], mine.row, patients)[kept]
            for score in KNOWN:
                if score not in mine.scores:
                    continue
                values = patient_means(mine.scores[score], mine.row, patients)[kept]
                of = (values, of_patient[kept], classes)
                plain = class_differences(*of, resamples=resamples, seed=seed)
                if plain:
                    counts = np.bincount(of[1][~np.isnan(values)], minlength=len(classes)).tolist()
                    adjusted = class_differences(*of, area, resamples, seed)
                    sizes = {name: n for name, n in zip(classes, counts, strict=True) if n}
                    yield Comparison(method, target, score, sizes, plain, adjusted)
