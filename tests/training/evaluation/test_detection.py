from __future__ import annotations

import numpy as np
import pytest

from offbeat.errors import DataError
from offbeat_training.evaluation import measure, measure_random

LABELS = np.array([0, 0, 1, 1, 0, 0, 1, 0], dtype=np.bool_)


def test_figures_of_a_small_example_worked_by_hand() -> None:
    scores = np.array([0.1, 0.2, 0.9, 0.3, 0.8, 0.0, 0.7, 0.1])
    quality = measure(LABELS, scores, scores > 0.5, None)
    assert quality.vus_pr is None
    assert (quality.precision, quality.recall, quality.f1) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    # Of the 15 pairs of an anomaly and a normal row, 13 are in order.
    assert quality.roc_auc == pytest.approx(13 / 15)
    assert quality.pr_auc == pytest.approx((1 / 1 + 2 / 3 + 3 / 4) / 3)


def test_perfect_scores_reach_one_everywhere() -> None:
    quality = measure(LABELS, LABELS.astype(np.float64), LABELS, 0)
    assert quality.roc_auc == quality.pr_auc == quality.precision == quality.recall == quality.f1 == 1.0


def test_nothing_flagged_has_precision_zero_and_no_warning() -> None:
    quality = measure(LABELS, np.arange(8.0), np.zeros(8, dtype=np.bool_), None)
    assert (quality.precision, quality.recall, quality.f1) == (0.0, 0.0, 0.0)


def test_chance_has_the_precision_of_the_base_rate() -> None:
    labels = np.arange(20_000) % 10 == 0
    quality = measure_random(labels, 5000, 10)
    assert quality.roc_auc == pytest.approx(0.5, abs=0.02)
    assert quality.pr_auc == pytest.approx(0.1, abs=0.02)
    assert quality.precision == pytest.approx(0.1, abs=0.02)
    assert quality.recall == pytest.approx(0.25, abs=0.02)
    assert quality == measure_random(labels, 5000, 10)


@pytest.mark.parametrize("n_flagged", [0, 8])
def test_chance_may_flag_nothing_or_everything(n_flagged: int) -> None:
    assert measure_random(LABELS, n_flagged, None).recall == n_flagged / 8


def test_labels_of_one_kind_and_arrays_of_different_lengths_are_errors() -> None:
    scores, flags = np.arange(8.0), np.zeros(8, dtype=np.bool_)
    for labels in (np.zeros(8, dtype=np.bool_), np.ones(8, dtype=np.bool_)):
        with pytest.raises(DataError, match="some of either kind"):
            measure(labels, scores, flags, None)
    with pytest.raises(DataError, match="7 labels, 8 scores"):
        measure(LABELS[:7], scores, flags, None)
