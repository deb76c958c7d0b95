"""Hearts: labels nest, frames move, diagnoses show as they should and as strongly as asked."""

import numpy as np
import pytest
from scipy import ndimage
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cmrbias.cohorts.phantom.anatomy import CHANGES, draw_heart, label_mask
from cmrbias.cohorts.phantom.patients import draw_classes, stream
from cmrbias.cohorts.phantom.settings import CLASSES, PhantomOptions

RV, MYO, LV = 1, 2, 3


def heart_of(patient, diagnosis, strength=1.0):
    return draw_heart(stream(0, "heart", patient), diagnosis, strength)


def masks_of(heart, size=224):
    return np.stack([label_mask(heart, frame, size) for frame in (heart.ed, heart.es)])


@pytest.mark.parametrize("diagnosis", CHANGES)
def test_the_wall_surrounds_the_pool_and_each_structure_is_one_piece(diagnosis):
    for patient in range(4):
        for labels in masks_of(heart_of(patient, diagnosis)):
            around = ndimage.binary_dilation(labels == LV) & (labels != LV)
            assert set(labels[around]) == {MYO}
            assert [ndimage.label(labels == s)[1] for s in (MYO, LV)] == [1, 1]
            assert (labels == RV).sum() > 100


@pytest.mark.parametrize("diagnosis", CHANGES)
def test_the_pool_shrinks_and_the_wall_thickens(diagnosis):
    for patient in range(20):
        heart = heart_of(patient, diagnosis)
        assert (heart.es.endo < heart.ed.endo).all()
        assert (heart.es.epi - heart.es.endo > heart.ed.epi - heart.ed.endo).all()


def test_the_truth_is_what_the_masks_show():
    heart = heart_of(1, "NOR")
    labels, pixel = masks_of(heart, 448), (336 / 448) ** 2
    ed, es = ((labels[k] == LV).sum() for k in (0, 1))
    truth = heart.truth()
    assert truth["lv_ed_mm2"] == pytest.approx(ed * pixel, rel=0.01)
    assert truth["rv_ed_mm2"] == pytest.approx((labels[0] == RV).sum() * pixel, rel=0.02)
    assert truth["area_ef"] == pytest.approx(100 * (1 - es / ed), abs=1)


def mean_truth(diagnosis):
    found = [heart_of(patient, diagnosis).truth() for patient in range(60)]
    return {name: np.mean([truth[name] for truth in found]) for name in found[0]}


def test_textbook_hearts_look_like_their_diagnosis():
    normal = mean_truth("NOR")
    assert 45 < normal["area_ef"] < 70
    assert 6 < normal["wall_mm"] < 11
    dilated = mean_truth("DCM")
    assert dilated["lv_ed_mm2"] > 1.5 * normal["lv_ed_mm2"]
    assert dilated["area_ef"] < 35
    assert mean_truth("HCM")["wall_max_mm"] > 15
    infarct = mean_truth("MINF")
    assert infarct["wall_min_mm"] < 0.75 * infarct["wall_mm"]
    assert mean_truth("RV")["rv_ed_mm2"] > 1.3 * normal["rv_ed_mm2"]
    assert mean_truth("AMYL")["wall_min_mm"] > 10


def test_an_infarct_does_not_move():
    heart = heart_of(2, "MINF")
    thinnest = np.argmin(heart.ed.epi - heart.ed.endo)
    motion = 1 - heart.es.endo / heart.ed.endo
    assert motion[thinnest] < 0.35 * motion.max()


def test_at_strength_0_the_diagnosis_changes_nothing():
    hearts = [heart_of(5, diagnosis, 0.0) for diagnosis in CHANGES]
    assert len({masks_of(heart).tobytes() for heart in hearts}) == 1


def features(labels):
    """Areas at both frames, ejection fractions, and wall and motion in eight sectors."""
    values = []
    for frame in labels:
        rows, columns = np.nonzero(frame == LV)
        y, x = np.indices(frame.shape)
        sector = np.floor((np.arctan2(y - rows.mean(), x - columns.mean()) / np.pi + 1) * 4).astype(int) % 8
        areas = np.stack([np.bincount(sector[frame == s], minlength=8) for s in (MYO, LV)])
        values.append(np.concatenate([[(frame == RV).sum()], areas.sum(1), areas.ravel()]).astype(float))
    ed, es = values
    motion = 1 - es[11:] / np.maximum(ed[11:], 1)
    shape = [ed[3:11].max() / max(ed[3:11].min(), 1), motion.min()]
    return np.concatenate([ed, es, 1 - es[:3] / ed[:3], motion, shape])


def separability(classes, strength, patients):
    """Macro AUC of a cross-validated logistic regression on what can be measured in the masks."""
    names = list(CLASSES[classes])
    labels = draw_classes(patients, list(CLASSES[classes].values()), seed=0)
    hearts = [heart_of(p, names[label], strength) for p, label in enumerate(labels)]
    table = np.stack([features(masks_of(heart, 112)) for heart in hearts])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=2000))
    scores = cross_val_predict(model, table, labels, cv=5, method="predict_proba")
    return roc_auc_score(labels, scores, multi_class="ovr")


@pytest.mark.slow
@pytest.mark.parametrize("classes", CLASSES)
def test_default_hearts_tell_their_diagnosis_with_an_auc_of_about_085(classes):
    assert separability(classes, PhantomOptions().anatomy_strength, 800) == pytest.approx(0.85, abs=0.03)


@pytest.mark.slow
def test_separability_grows_from_chance_to_certainty():
    found = [separability("acdc", strength, 400) for strength in (0.0, 0.2, 0.4, 1.0)]
    assert found[0] == pytest.approx(0.5, abs=0.05)
    assert found == sorted(found)
    assert found[-1] > 0.97
