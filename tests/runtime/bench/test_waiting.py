from __future__ import annotations

import numpy as np
import pytest

from offbeat.bench.waiting import best_batch_size, best_delay_us, latencies


def test_a_lone_window_is_answered_after_its_wait_and_its_call() -> None:
    assert latencies(np.array([1.0]), [0.0, 0.5, 0.6], 0.0) == pytest.approx([0.5])
    assert latencies(np.array([1.0]), [0.0, 0.5, 0.6], 0.2) == pytest.approx([0.7])


def test_a_full_batch_waits_no_longer_and_what_comes_meanwhile_is_the_next_batch() -> None:
    arrivals = np.array([0.0, 0.1, 0.2, 0.25])
    # Both first ones start at 0.1, and end at 0.7; the others are together by then.
    assert latencies(arrivals, [0.0, 0.5, 0.6], 1.0) == pytest.approx([0.7, 0.6, 1.1, 1.05])


def test_batches_are_never_larger_than_the_largest() -> None:
    answered = latencies(np.zeros(5), [0.0, 1.0, 1.0], 0.0)
    assert sorted(answered) == pytest.approx([1, 1, 2, 2, 3])


def test_the_batch_size_is_where_larger_ones_bring_little() -> None:
    linear = {batch: batch * 1e-4 for batch in (1, 8, 64, 512)}
    fixed = {batch: 1e-2 + batch * 1e-6 for batch in (1, 8, 64, 512)}
    assert best_batch_size(linear) == 8
    assert best_batch_size(fixed) == 512


def test_waiting_is_not_advised_where_a_batch_costs_what_its_windows_do() -> None:
    assert best_delay_us({1: 1e-4, 8: 8e-4, 64: 64e-4}, 64) == 0


def test_waiting_is_advised_only_where_it_shortens_the_tail() -> None:
    """A call that costs the same for one window as for eight: whoever comes just after it started waits for all of it."""
    seconds = {1: 1e-3, 2: 1e-3, 8: 1e-3}
    delay_us = best_delay_us(seconds, 8)
    arrivals = np.cumsum(np.random.default_rng(0).exponential(1 / (0.5 * 8000), 20_000))
    times = [0.0, *[1e-3] * 8]
    tails = {wait: np.quantile(latencies(arrivals, times, wait), 0.99) for wait in (0.0, delay_us * 1e-6)}
    assert tails[delay_us * 1e-6] <= tails[0.0]
