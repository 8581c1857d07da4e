from __future__ import annotations

import time

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

from offbeat.errors import DataError
from offbeat.result import BoolArray
from offbeat_training.evaluation import vus_pr

Runs = list[tuple[int, int]]


def series(n_rows: int, runs: Runs, flavour: str) -> tuple[BoolArray, np.ndarray]:
    """Labels that are True in the runs, and scores of one flavour that any language computes alike."""
    row = np.arange(n_rows)
    labels = np.zeros(n_rows, dtype=np.bool_)
    for start, end in runs:
        labels[start:end] = True
    noise = (row * 7919 % 10007) / 10007
    scores = {
        "noise": noise,
        "late": noise + 2 * np.roll(labels, 7),
        "coarse": np.floor(4 * noise + labels),
        "constant": np.zeros(n_rows),
        "partial": noise + 3 * (labels & (row % 3 == 0)),
        "inverted": -noise - labels,
    }
    return labels, scores[flavour]


# The last column was computed by the authors' package, vus 0.0.6 (RangeAUC_volume_opt).
REFERENCE: list[tuple[int, Runs, str, int, float]] = [
    (500, [(100, 120), (300, 330)], "noise", 20, 0.13672351583854733),
    (500, [(100, 120), (300, 330)], "late", 20, 0.7616111562017862),
    (500, [(100, 120), (300, 330)], "coarse", 20, 0.3832674795615036),
    (500, [(100, 120), (300, 330)], "constant", 20, 0.13206193884362885),
    (500, [(100, 120), (300, 330)], "partial", 20, 0.48418423145485445),
    (500, [(100, 120), (300, 330)], "inverted", 20, 0.06906693765443274),
    (400, [(0, 10), (395, 400)], "late", 30, 0.6741471790437982),
    (400, [(50, 60), (65, 70), (200, 201)], "partial", 25, 0.32889594768932656),
    (100, [(40, 50)], "noise", 0, 0.15259462585325426),
    (120, [(10, 20), (90, 100)], "late", 200, 0.931923273353363),
    (300, [(0, 300)], "noise", 10, 0.9999999999999999),
]


@pytest.mark.parametrize(("n_rows", "runs", "flavour", "window", "expected"), REFERENCE)
def test_vus_pr_agrees_with_the_published_implementation(
    n_rows: int, runs: Runs, flavour: str, window: int, expected: float
) -> None:
    labels, scores = series(n_rows, runs, flavour)
    assert vus_pr(labels, scores, window) == pytest.approx(expected, abs=1e-9)


def test_without_a_buffer_and_with_one_anomaly_it_is_nearly_the_average_precision() -> None:
    labels, scores = series(250, [(100, 140)], "partial")
    assert vus_pr(labels, scores, 0) == pytest.approx(average_precision_score(labels, scores), abs=0.01)


def test_only_the_order_of_the_scores_counts() -> None:
    labels, scores = series(500, [(100, 120), (300, 330)], "late")
    assert vus_pr(labels, np.exp(3 * scores), 20) == pytest.approx(vus_pr(labels, scores, 20), abs=1e-12)


def test_ten_thousand_rows_take_less_than_a_second() -> None:
    labels, scores = series(10_000, [(1000, 1200), (5000, 5300), (9000, 9200)], "partial")
    started_s = time.thread_time()
    vus_pr(labels, scores, 250)
    assert time.thread_time() - started_s < 1


def test_what_it_cannot_judge_is_an_error() -> None:
    labels, scores = series(100, [(40, 50)], "noise")
    with pytest.raises(DataError, match="no anomaly"):
        vus_pr(np.zeros(100, dtype=np.bool_), scores, 10)
    with pytest.raises(DataError, match="one of each per row"):
        vus_pr(labels, scores[:-1], 10)
    with pytest.raises(DataError, match="NaN"):
        vus_pr(labels, np.where(labels, np.nan, scores), 10)
