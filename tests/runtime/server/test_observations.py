from __future__ import annotations

import numpy as np
import pytest

from offbeat.server.telemetry.buckets import SCORE_BOUNDS, Buckets
from offbeat.server.telemetry.observations import Observations
from offbeat.server.telemetry.recent_windows import RecentWindows

WINDOWS = np.zeros((3, 6, 2), np.float32)


def observations() -> Observations:
    return Observations(RecentWindows(6, 2))


def test_a_bound_belongs_to_its_bucket_one_by_one_and_all_at_once() -> None:
    values = np.array([0.05, 0.5, 0.1, 0.95, 1.0, 0.0], np.float32)
    one_by_one, at_once = Buckets((0.05, 0.1, 0.5, 1.0)), Buckets((0.05, 0.1, 0.5, 1.0))
    for value in (0.05, 0.5, 0.1, 0.95, 1.0, 0.0):
        one_by_one.add(value)
    at_once.add_all(values)
    assert one_by_one.counts == at_once.counts == [2, 1, 1, 2, 0]
    assert one_by_one.total == pytest.approx(at_once.total)
    assert at_once.cumulative() == [("0.05", 2), ("0.1", 3), ("0.5", 4), ("1.0", 6), ("+Inf", 6)]


def test_what_is_above_all_bounds_is_counted_apart() -> None:
    buckets = Buckets((1.0, 2.0))
    buckets.add(7.0)
    buckets.add_times(2.0, 3)
    assert (buckets.counts, buckets.total, buckets.n_values) == ([0, 3, 1], 13.0, 4)


def test_a_copy_does_not_change_with_what_it_was_taken_of() -> None:
    buckets = Buckets(SCORE_BOUNDS)
    copy = buckets.copy()
    buckets.add(0.3)
    assert copy.n_values == 0


@pytest.mark.parametrize("n_requests", [1, 255, 256, 257, 1000])
def test_no_score_is_lost_however_many_requests_there_were(n_requests: int) -> None:
    observed = observations()
    for _ in range(n_requests):
        observed.request(0.0, WINDOWS, {"anomaly_score": np.array([0.2, 0.5, 0.7], np.float32)}, 1.0)
    observed.settle()
    assert observed.scores.n_values == 3 * n_requests
    assert observed.n_anomalies == n_requests


def test_scores_that_are_no_numbers_do_not_spoil_the_sum() -> None:
    observed = observations()
    observed.request(0.0, WINDOWS, {"anomaly_score": np.array([0.25, np.nan, np.inf], np.float32)}, 1.0)
    observed.settle()
    assert (observed.scores.n_values, observed.scores.total) == (1, 0.25)


def test_requests_without_scores_are_timed_and_nothing_else() -> None:
    observed = observations()
    observed.request(0.1, WINDOWS, {"reconstruction": WINDOWS}, 1.0)
    observed.settle()
    assert (observed.queue.n_values, observed.scores.n_values, observed.recent.since(1.0)) == (1, 0, [])
