from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offbeat_training.evaluation.delay import detection_delay
from offbeat_training.evaluation.range_quality import range_quality
from offbeat_training.evaluation.ranges import Ranges
from tests.training.evaluation.marks import rows


def loop_over_runs(flags: np.ndarray) -> list[range]:
    """The same, one row after the other."""
    runs: list[range] = []
    for row in np.flatnonzero(flags).tolist():
        if runs and runs[-1].stop == row:
            runs[-1] = range(runs[-1].start, row + 1)
        else:
            runs.append(range(row, row + 1))
    return runs


SERIES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40)


@given(SERIES)
def test_runs_and_what_overlaps_them_agree_with_a_plain_loop(pairs: list[tuple[bool, bool]]) -> None:
    labels, flags = np.array(pairs).T
    true, predicted = loop_over_runs(labels), loop_over_runs(flags)
    ranges = Ranges.of(labels)
    assert [*zip(ranges.first.tolist(), ranges.lengths.tolist(), strict=True)] == [
        (run.start, len(run)) for run in true
    ]
    assert ranges.n_overlapping(Ranges.of(flags)).tolist() == [
        sum(bool(set(run) & set(other)) for other in predicted) for run in true
    ]
    assert ranges.n_rows_in(flags).tolist() == [int(flags[run.start : run.stop].sum()) for run in true]


@pytest.mark.parametrize(
    ("labels", "flags", "precision", "recall"),
    [
        ("..####....", "..####....", 1, 1),
        # Half of the one anomaly by one alarm: 0.2 for touching it, 0.8 · 1/2 for the overlap.
        ("..####....", "..##......", 1, 0.6),
        # The same rows by two alarms: the overlap counts half.
        ("..####....", "..#.#.....", 1, 0.4),
        # One alarm over two anomalies: 4 of its 6 rows, halved; each anomaly is covered by one alarm.
        (".##..##...", ".######...", 2 / 6, 1),
        # One of two anomalies missed, one of two alarms false.
        (".##....##.", ".##.#.....", 0.5, 0.5),
        ("..##......", "......##..", 0, 0),
        ("..##......", "..........", 0, 0),
    ],
)
def test_range_based_figures_worked_by_hand(labels: str, flags: str, precision: float, recall: float) -> None:
    quality = range_quality(rows(labels), rows(flags))
    assert (quality.precision, quality.recall) == pytest.approx((precision, recall))
    total = precision + recall
    assert quality.f1 == pytest.approx(2 * precision * recall / total if total else 0)


def test_delay_is_counted_from_the_first_row_of_each_anomaly_to_its_first_flag() -> None:
    #                                  0      7      14    20
    delay = detection_delay(rows("..####..####..####..###"), rows("#.#.......##......#...."))
    assert (delay.n_anomalies, delay.n_found, delay.share_found) == (4, 2, 0.5)
    assert (delay.mean_rows, delay.median_rows, delay.max_rows) == (1.0, 1.0, 2)


def test_without_a_find_there_is_no_delay() -> None:
    delay = detection_delay(rows("..##"), rows("##.."))
    assert (delay.share_found, delay.mean_rows, delay.median_rows, delay.max_rows) == (0.0, None, None, None)
