from __future__ import annotations

import numpy as np
import pytest

from offbeat_training.thresholds import best_f1


def test_the_best_threshold_lies_between_the_two_scores_it_parts() -> None:
    labels = np.array([0, 0, 1, 0, 1, 1], dtype=np.bool_)
    scores = np.array([0.1, 0.2, 0.3, 0.4, 0.6, 0.7])
    best = best_f1(labels, scores)
    # Three of four flagged are anomalies, and all of them: 6/7. Without the two lowest of these it would be 4/5.
    assert (best.precision, best.recall, best.f1) == pytest.approx((3 / 4, 1, 6 / 7))
    assert best.threshold == pytest.approx(0.25)


def test_no_other_threshold_does_better_than_the_best() -> None:
    random = np.random.default_rng(0)
    labels = random.random(300) < 0.2
    scores = random.normal(size=300) + labels
    best = best_f1(labels, scores)
    for threshold in np.append(scores, best.threshold):
        is_flagged = scores > threshold
        f1 = 2 * (is_flagged & labels).sum() / (is_flagged.sum() + labels.sum())
        assert f1 <= best.f1 + 1e-12
    assert f1 == pytest.approx(best.f1)


def test_a_weight_counts_as_so_many_rows() -> None:
    labels = np.array([0, 1, 0, 1], dtype=np.bool_)
    scores = np.array([0.1, 0.2, 0.3, 0.4])
    weighted = best_f1(labels, scores, np.where(labels, 1.0, 3.0))
    repeated = best_f1(np.repeat(labels, [3, 1, 3, 1]), np.repeat(scores, [3, 1, 3, 1]))
    assert weighted == repeated


def test_flagging_everything_takes_a_threshold_below_the_lowest_score() -> None:
    best = best_f1(np.array([True, False]), np.array([1.0, 2.0]))
    assert best.threshold < 1.0
    assert best.f1 == pytest.approx(2 / 3)
