"""Who shares a batch when time is short: requests of one row, with a cost of 10 ms for each row."""

from __future__ import annotations

import numpy as np
import pytest

from offbeat.batching import BatchCost, DynamicBatcher, PendingRequest
from offbeat.config import BatchingConfig

ROW_S = 0.010


def request(label: str, deadline: float | None, level: int = 0, arrival: float = 0.0) -> PendingRequest[str]:
    windows = np.zeros((1, 4, 1), np.float32)
    return PendingRequest(
        windows=windows, outputs=("e",), arrival=arrival, deadline=deadline, completion=label, level=level
    )


def queue(
    *requests: PendingRequest[str], max_batch_size: int = 8, measured_at: float = 0.0, levels: int = 0
) -> DynamicBatcher[str]:
    cost = BatchCost()
    for n_rows in (1, 2, 4, 8):
        cost.record(n_rows, n_rows * ROW_S, measured_at)
    config = BatchingConfig(
        max_batch_size=max_batch_size, priority_levels=levels, default_priority_level=min(1, levels)
    )
    made: DynamicBatcher[str] = DynamicBatcher(config, cost)
    for each in requests:
        made.submit(each)
    return made


def labels(batcher: DynamicBatcher[str], now: float = 0.0) -> list[str]:
    batch = batcher.next_batch(now)
    return [] if batch is None else [each.completion for each in batch.requests]


def expired(batcher: DynamicBatcher[str], now: float = 0.0) -> list[str]:
    return [each.completion for each in batcher.purge(now)]


def test_deadlines_that_a_full_batch_meets_change_nothing() -> None:
    assert labels(queue(request("a", 1.0), request("b", 0.5), request("c", None))) == ["a", "b", "c"]


def test_a_batch_is_as_large_as_its_tightest_deadline_allows_and_the_rest_follows() -> None:
    batcher = queue(request("a", None), request("b", 0.9), request("c", None), request("hurried", 0.025))
    assert labels(batcher) == ["b", "hurried"]
    assert labels(batcher) == ["a", "c"]
    assert expired(batcher) == []


def test_who_cannot_be_answered_in_time_even_alone_is_refused_before_any_work() -> None:
    batcher = queue(request("hopeless", 0.005), request("b", None))
    assert labels(batcher) == ["b"]
    assert expired(batcher) == ["hopeless"]
    assert len(batcher) == 0


def test_an_old_measurement_refuses_nobody() -> None:
    batcher = queue(request("hopeless", 5.005), request("b", None), measured_at=0.0)
    assert labels(batcher, now=5.0) == ["hopeless", "b"]


def test_under_overload_the_batch_stays_large_and_the_latest_give_up_their_places() -> None:
    late = [request(f"late {number}", 0.05) for number in range(3)]
    good = [request(f"good {number}", 0.30) for number in range(9)]
    batcher = queue(*late, *good, max_batch_size=8)
    assert labels(batcher) == [f"good {number}" for number in range(5)]
    assert expired(batcher) == [f"late {number}" for number in range(3)]
    assert len(batcher) == 4


def test_under_overload_a_batch_takes_at_most_half_of_what_anyone_has_left() -> None:
    batcher = queue(*(request(str(number), 0.05) for number in range(20)), max_batch_size=8)
    assert labels(batcher) == ["0", "1"]


def test_a_higher_level_goes_first_and_fills_its_batch_with_the_others() -> None:
    batcher = queue(request("usual", None, level=1), request("urgent", None, level=0), levels=2, max_batch_size=8)
    assert labels(batcher) == ["urgent", "usual"]


def test_a_delay_is_that_of_the_oldest_of_all_levels() -> None:
    config = BatchingConfig(max_queue_delay_us=1_000_000, priority_levels=2, default_priority_level=2)
    batcher: DynamicBatcher[str] = DynamicBatcher(config)
    batcher.submit(request("usual", None, level=1, arrival=0.0))
    batcher.submit(request("urgent", None, level=0, arrival=0.5))
    assert batcher.next_wakeup(worker_is_idle=True) == pytest.approx(1.0)
    assert labels(batcher, now=0.9) == []
    assert labels(batcher, now=1.0) == ["urgent", "usual"]


@pytest.mark.parametrize(("priority", "level"), [(0, 1), (1, 0), (2, 1), (3, 2), (4, 1), (2**32 - 1, 1)])
def test_a_priority_that_is_not_there_is_the_default_one(priority: int, level: int) -> None:
    assert BatchingConfig(priority_levels=3, default_priority_level=2).level(priority) == level
    assert BatchingConfig().level(priority) == 0
