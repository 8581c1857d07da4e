"""Who comes to a queue that is too long for his deadline is turned away at once, and not when it is too late."""

from __future__ import annotations

import pytest

from offbeat.batching import DynamicBatcher
from offbeat.errors import DeadlineExceededError, OverloadedError

from .test_dynamic_batcher import batcher, request


def busy(n_waiting: int = 40, level: int = 0) -> DynamicBatcher[object]:
    """Eight rows have left every 10 ms, the last at 0.02 s, and so many wait still."""
    waiting = (request(arrival=0.0, level=level) for _ in range(24 + n_waiting))
    queue = batcher(*waiting, max_queue_size=200, priority_levels=2, default_priority_level=1)
    for now in (0.0, 0.01, 0.02):
        assert queue.next_batch(now) is not None
    return queue


def test_a_request_that_would_wait_for_more_than_half_of_its_time_is_refused() -> None:
    queue = busy()
    with pytest.raises(
        OverloadedError, match="40 requests are waiting, for about 50 ms; expected less than half of the 99 ms"
    ):
        queue.submit(request(arrival=0.021, deadline=0.12))
    queue.submit(request(arrival=0.021, deadline=0.13))
    assert len(queue) == 41


def test_who_goes_before_those_who_wait_does_not_wait_for_them() -> None:
    queue = busy(level=1)
    queue.submit(request(arrival=0.021, deadline=0.05))
    with pytest.raises(OverloadedError):
        queue.submit(request(arrival=0.021, deadline=0.05, level=1))
    assert len(queue) == 41


def test_a_request_without_a_deadline_waits_however_long() -> None:
    queue = busy()
    queue.submit(request(arrival=0.021))
    assert len(queue) == 41


def test_what_was_measured_long_ago_refuses_nobody() -> None:
    queue = busy()
    queue.submit(request(arrival=1.1, deadline=1.11))
    assert len(queue) == 41


@pytest.mark.parametrize("n_waiting", [0, 40])
def test_who_comes_after_his_deadline_is_told_so_however_short_the_queue_is(n_waiting: int) -> None:
    queue = busy(n_waiting)
    with pytest.raises(DeadlineExceededError, match="before the request was queued"):
        queue.submit(request(arrival=0.06, deadline=0.021))
    assert len(queue) == n_waiting


def test_a_pause_is_not_taken_for_slowness() -> None:
    queue = busy(n_waiting=8)
    assert queue.next_batch(0.03) is not None
    assert not queue
    for _ in range(20):
        queue.submit(request(arrival=9.0, deadline=9.1))
    assert queue.next_batch(9.0) is not None
    assert queue.next_batch(9.01) is not None
    queue.submit(request(arrival=9.011, deadline=9.05))
    assert len(queue) == 5


def test_a_queue_refuses_all_whose_wait_would_be_too_long_for_the_time_they_have() -> None:
    queue = busy()
    assert queue.refuses_all(0.021, 0.099)
    assert not queue.refuses_all(0.021, 0.101)
    assert not queue.refuses_all(0.021, None)
    assert not queue.refuses_all(1.1, 0.001), "measured long ago"


def test_a_full_queue_refuses_all_and_an_empty_one_nobody() -> None:
    full = batcher(*(request() for _ in range(3)), max_queue_size=3)
    assert full.refuses_all(0.0, None)
    assert full.refuses_all(0.0, 10.0)
    assert not batcher().refuses_all(0.0, 1e-6)


def test_a_queue_of_the_second_level_refuses_nobody_of_the_first() -> None:
    queue = busy(level=1)
    assert not queue.refuses_all(0.021, 0.05)
