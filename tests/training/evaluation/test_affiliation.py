from __future__ import annotations

import itertools

import numpy as np
import pytest

from offbeat_training.evaluation.affiliation import affiliation_quality
from tests.training.evaluation.marks import rows

N_STEPS = 20


def by_definition(labels: np.ndarray, flags: np.ndarray) -> tuple[float, float]:
    """Precision and recall by sums over points of time in small steps, and chances counted over such points."""
    time = (np.arange(labels.size * N_STEPS) + 0.5) / N_STEPS
    anomalous, flagged = np.repeat(labels, N_STEPS), np.repeat(flags, N_STEPS)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], labels.astype(int), [0]])))
    begins, ends = edges[::2], edges[1::2]
    cuts = [0, *((ends[:-1] + begins[1:]) / 2), labels.size]
    precisions, recalls = [], []
    for low, high in itertools.pairwise(cuts):
        zone = (time > low) & (time < high)
        points, event, alarm = time[zone], time[zone & anomalous], time[zone & flagged]
        if not alarm.size:
            recalls.append(0.0)
            continue
        from_event = np.abs(points[:, None] - event).min(axis=1)
        from_event[anomalous[zone]] = 0
        precisions.append(np.mean([(from_event >= d - 1e-9).mean() for d in from_event[flagged[zone]]]))
        to_alarm = np.where(flagged[zone & anomalous], 0, np.abs(event[:, None] - alarm).min(axis=1))
        recalls.append(np.mean([(np.abs(points - y) >= d - 1e-9).mean() for y, d in zip(event, to_alarm, strict=True)]))
    return (float(np.mean(precisions)) if precisions else 0.0), float(np.mean(recalls))


@pytest.mark.parametrize(
    ("labels", "flags", "precision", "recall"),
    [
        ("..####....", "..####....", 1, 1),
        ("..####....", "..........", 0, 0),
        # Flags everywhere: over the 4 rows of the anomaly 1; left, ∫₀² (2 − u) + (4 − u) du / 10 = 0.8; right,
        # ∫₀⁴ max(2 − u, 0) + (4 − u) du / 10 = 1.
        ("..####....", "##########", (4 + 0.8 + 1) / 10, 1),
        # The alarm is the last row, 3 to 4 from the anomaly: ∫₃⁴ (4 − u) du / 10. For the anomaly's time y the alarm is
        # 9 − y away; the times as far from it are those below 2y − 9, so ∫₄.₅⁶ (2y − 9) dy / 10, and those above 9: 1 / 10 for each of the 4.
        ("..####....", ".........#", 0.05, (2.25 / 10 + 4 / 10) / 4),
        # Two anomalies, zones cut at 5; the alarm in the first fits, the second has none.
        (".#......#.", ".#........", 1, 0.5),
    ],
)
def test_figures_worked_by_hand(labels: str, flags: str, precision: float, recall: float) -> None:
    quality = affiliation_quality(rows(labels), rows(flags))
    assert (quality.precision, quality.recall) == pytest.approx((precision, recall))
    total = precision + recall
    assert quality.f1 == pytest.approx(2 * precision * recall / total if total else 0)


@pytest.mark.parametrize("seed", range(12))
def test_closed_form_agrees_with_sums_over_small_steps_of_time(seed: int) -> None:
    random = np.random.default_rng(seed)
    labels, flags = np.zeros((2, 60), dtype=np.bool_)
    for start in random.integers(0, 58, size=1 + seed % 4):
        labels[start : start + random.integers(1, 9)] = True
    for start in random.integers(0, 58, size=seed % 6):
        flags[start : start + random.integers(1, 6)] = True
    quality = affiliation_quality(labels, flags)
    assert (quality.precision, quality.recall) == pytest.approx(by_definition(labels, flags), abs=0.01)


def test_the_nearer_an_alarm_the_better() -> None:
    labels = np.arange(100) // 10 == 5
    qualities = [affiliation_quality(labels, np.arange(100) == row) for row in (0, 20, 40, 49)]
    assert [quality.f1 for quality in qualities] == sorted(quality.f1 for quality in qualities)


def test_time_running_backwards_changes_nothing() -> None:
    random = np.random.default_rng(0)
    labels, flags = random.random((2, 200)) < 0.1
    forwards, backwards = affiliation_quality(labels, flags), affiliation_quality(labels[::-1], flags[::-1])
    assert (forwards.precision, forwards.recall) == pytest.approx((backwards.precision, backwards.recall))
