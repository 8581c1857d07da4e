from __future__ import annotations

import math

import pytest

from offbeat.batching import BatchCost


def test_an_unknown_cost_is_infinite() -> None:
    assert BatchCost().estimate(1) == math.inf


def test_a_size_that_was_measured_costs_what_it_did() -> None:
    cost = BatchCost()
    cost.record(4, 1.0, 0.0)
    cost.record(64, 2.0, 0.0)
    assert cost.estimate(3) == cost.estimate(4) == 1.0
    assert cost.estimate(64) == 2.0


def test_a_size_between_two_costs_as_the_greater_and_one_beyond_all_costs_row_by_row() -> None:
    cost = BatchCost()
    cost.record(2, 1.0, 0.0)
    cost.record(16, 3.0, 0.0)
    assert cost.estimate(1) == 1.0
    assert cost.estimate(5) == 3.0
    assert cost.estimate(64) == 12.0


def test_a_machine_that_changes_its_speed_is_followed_and_one_slow_batch_is_not() -> None:
    cost = BatchCost()
    cost.record(1, 1.0, 0.0)
    cost.record(1, 2.0, 0.0)
    assert cost.estimate(1) == pytest.approx(1.2)
    for _ in range(30):
        cost.record(1, 2.0, 0.0)
    assert cost.estimate(1) == pytest.approx(2.0, rel=0.01)


def test_one_batch_that_was_interrupted_for_long_changes_little() -> None:
    cost = BatchCost()
    cost.record(1, 1.0, 0.0)
    cost.record(1, 1000.0, 0.0)
    assert cost.estimate(1) == pytest.approx(1.6)
