from __future__ import annotations

import numpy as np
import pytest

from offbeat.errors import DataError
from offbeat_training.evaluation import measure

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


def test_the_confusion_matrix_and_the_false_positive_rate_are_counted_row_by_row() -> None:
    quality = measure(LABELS, np.arange(8.0), np.array([1, 0, 1, 0, 1, 0, 0, 0], dtype=np.bool_), None)
    confusion = quality.confusion
    assert (confusion.true_positives, confusion.false_positives) == (1, 2)
    assert (confusion.false_negatives, confusion.true_negatives) == (2, 3)
    assert quality.false_positive_rate == pytest.approx(2 / 5)
    assert (quality.precision, quality.recall, quality.f1) == pytest.approx((1 / 3, 1 / 3, 1 / 3))


def test_one_hit_in_a_long_anomaly_does_not_count_for_all_of_it() -> None:
    labels = np.zeros(100, dtype=np.bool_)
    labels[40:60] = True
    hit = np.arange(100) == 50
    quality = measure(labels, hit.astype(np.float64), hit, 10)
    assert quality.recall == pytest.approx(1 / 20)
    assert quality.delay is not None
    assert (quality.delay.share_found, quality.delay.mean_rows) == (1.0, 10.0)


def test_what_needs_an_order_in_time_is_left_out_without_one() -> None:
    quality = measure(LABELS, np.arange(8.0), LABELS, None)
    assert quality.vus_pr is quality.ranges is quality.affiliation is quality.delay is None


def test_labels_of_one_kind_and_arrays_of_different_lengths_are_errors() -> None:
    scores, flags = np.arange(8.0), np.zeros(8, dtype=np.bool_)
    for labels in (np.zeros(8, dtype=np.bool_), np.ones(8, dtype=np.bool_)):
        with pytest.raises(DataError, match="some of either kind"):
            measure(labels, scores, flags, None)
    with pytest.raises(DataError, match="7 labels, 8 scores"):
        measure(LABELS[:7], scores, flags, None)
    with pytest.raises(DataError, match="NaN"):
        measure(LABELS, scores * np.nan, flags, None)
