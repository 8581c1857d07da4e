"""The policy, driven by hand: no thread, no event loop, and the clock is a number."""

import tracemalloc
from time import thread_time
from typing import Any

import numpy as np
import pytest

import offbeat.batching
from offbeat.batching import DynamicBatcher, PendingRequest
from offbeat.config import BatchingConfig
from offbeat.errors import InvalidWindowError, OverloadedError

SCORE = ("anomaly_score",)
ERROR = ("reconstruction_error",)


def request(
    label: object = None,
    *,
    n_rows: int = 1,
    steps: int = 4,
    outputs: tuple[str, ...] = SCORE,
    arrival: float = 0.0,
    deadline: float | None = None,
    level: int = 0,
) -> PendingRequest[object]:
    windows = np.zeros((n_rows, steps, 1), np.float32)
    return PendingRequest(
        windows=windows, outputs=outputs, arrival=arrival, deadline=deadline, level=level, completion=label
    )


def batcher(*requests: PendingRequest[object], **settings: Any) -> DynamicBatcher[object]:
    config = BatchingConfig(**{"max_batch_size": 8, "max_queue_delay_us": 0, "max_queue_size": 100, **settings})
    made: DynamicBatcher[object] = DynamicBatcher(config)
    for each in requests:
        made.submit(each)
    return made


def labels(queue: DynamicBatcher[object], now: float = 0.0) -> list[object] | None:
    batch = queue.next_batch(now)
    return None if batch is None else [each.completion for each in batch.requests]


def test_the_room_exports_the_policy_and_what_passes_through_it() -> None:
    assert offbeat.batching.__all__ == ["Batch", "BatchCost", "DynamicBatcher", "PendingRequest"]


def test_an_empty_queue_has_no_batch_and_nothing_to_wake_up_for() -> None:
    queue = batcher()
    assert queue.next_batch(0.0) is None
    assert queue.next_wakeup(worker_is_idle=True) is None
    assert len(queue) == 0


def test_without_delay_a_single_request_is_a_batch_at_once() -> None:
    only = request("a", n_rows=3)
    queue = batcher(only)
    batch = queue.next_batch(0.0)
    assert batch is not None
    assert batch.requests == (only,)
    assert (batch.n_rows, batch.outputs) == (3, SCORE)
    assert len(queue) == 0


def test_requests_that_collected_while_workers_were_busy_share_a_batch_in_order() -> None:
    queue = batcher(*(request(label) for label in "abc"))
    assert labels(queue) == ["a", "b", "c"]
    assert labels(queue) is None


def test_a_batch_never_holds_more_rows_than_the_limit() -> None:
    queue = batcher(request("a", n_rows=5), request("b", n_rows=3), request("c", n_rows=1), max_batch_size=8)
    assert labels(queue) == ["a", "b"]
    assert labels(queue) == ["c"]


def test_a_small_request_never_jumps_over_a_large_one_of_its_key() -> None:
    queue = batcher(request("a", n_rows=5), request("large", n_rows=6), request("small"), max_batch_size=8)
    assert labels(queue) == ["a"]
    assert labels(queue) == ["large", "small"]


@pytest.mark.parametrize(
    "other", [request("other", steps=5), request("other", outputs=ERROR)], ids=["other window shape", "other outputs"]
)
def test_requests_of_different_keys_never_share_a_batch(other: PendingRequest[object]) -> None:
    queue = batcher(request("a"), other, request("b"))
    assert labels(queue) == ["a", "b"]
    assert labels(queue) == ["other"]


def test_a_steady_stream_of_one_key_does_not_starve_another() -> None:
    queue = batcher(max_batch_size=1)
    queue.submit(request("busy"))
    queue.submit(request("rare", outputs=ERROR, arrival=1.0))
    queue.submit(request("busy", arrival=2.0))
    assert [labels(queue, 3.0) for _ in range(3)] == [["busy"], ["rare"], ["busy"]]


def test_a_full_queue_refuses_and_tells_the_counts() -> None:
    queue = batcher(request(), request(), max_queue_size=2)
    with pytest.raises(OverloadedError, match="2 requests are waiting; expected fewer than max_queue_size = 2"):
        queue.submit(request())
    assert len(queue) == 2


def test_a_place_becomes_free_when_a_request_is_cancelled() -> None:
    first = request("first")
    queue = batcher(first, max_queue_size=1)
    queue.cancel(first)
    queue.submit(request("second"))
    assert labels(queue) == ["second"]


def test_a_request_above_the_batch_size_is_refused_and_the_limit_named() -> None:
    with pytest.raises(InvalidWindowError, match="9 windows in one request; expected at most max_batch_size = 8"):
        batcher(request(n_rows=9), max_batch_size=8)


def test_a_cancelled_request_leaves_before_a_batch_is_formed() -> None:
    cancelled = request("cancelled")
    queue = batcher(request("a"), cancelled, request("b"))
    assert queue.cancel(cancelled)
    assert labels(queue) == ["a", "b"]


def test_cancelling_what_has_left_already_changes_nothing() -> None:
    first = request("a")
    queue = batcher(first)
    queue.next_batch(0.0)
    assert not queue.cancel(first)


def test_a_request_whose_deadline_passes_in_the_queue_is_purged_and_never_dispatched() -> None:
    late = request("late", deadline=1.0)
    queue = batcher(late, request("a"))
    assert queue.next_wakeup(worker_is_idle=False) == 1.0
    assert queue.purge(0.999) == []
    assert queue.purge(1.0) == [late]
    assert labels(queue, 1.0) == ["a"]


def test_forming_a_batch_skips_the_expired_and_purge_still_hands_them_out_once() -> None:
    late = request("late", deadline=1.0)
    queue = batcher(late, request("a"))
    assert labels(queue, 2.0) == ["a"]
    assert queue.purge(2.0) == [late]
    assert queue.purge(2.0) == []


def test_a_delay_lets_an_idle_worker_wait_for_company() -> None:
    queue = batcher(request("a", arrival=10.0), max_queue_delay_us=500_000)
    assert labels(queue, 10.0) is None
    assert queue.next_wakeup(worker_is_idle=True) == 10.5
    assert queue.next_wakeup(worker_is_idle=False) is None
    queue.submit(request("b", arrival=10.4))
    assert labels(queue, 10.5) == ["a", "b"]


def test_a_full_batch_does_not_wait_for_the_delay() -> None:
    queue = batcher(
        request("x", outputs=ERROR), *(request(n) for n in range(8)), max_batch_size=8, max_queue_delay_us=1_000_000
    )
    assert labels(queue, 0.0) == list(range(8))
    assert labels(queue, 0.0) is None


def test_a_batch_that_is_no_longer_full_waits_again() -> None:
    second = request("b")
    queue = batcher(request("a"), second, max_batch_size=2, max_queue_delay_us=1_000_000)
    queue.cancel(second)
    assert labels(queue, 0.5) is None
    assert labels(queue, 1.0) == ["a"]


def test_the_wakeup_is_the_earlier_of_deadline_and_delay() -> None:
    queue = batcher(request(arrival=0.0, deadline=0.2), max_queue_delay_us=500_000)
    assert queue.next_wakeup(worker_is_idle=True) == 0.2
    queue = batcher(request(arrival=0.0, deadline=0.9), max_queue_delay_us=500_000)
    assert queue.next_wakeup(worker_is_idle=True) == 0.5


def test_a_queue_of_100_000_is_not_quadratic() -> None:
    n = 100_000
    windows = np.zeros((1, 4, 1), np.float32)
    queue: DynamicBatcher[int] = DynamicBatcher(BatchingConfig(max_queue_size=n, max_batch_size=64))
    requests = [
        PendingRequest(windows=windows, outputs=SCORE, arrival=0.0, deadline=1.0 + i % 7, completion=i)
        for i in range(n)
    ]
    start = thread_time()
    for each in requests:
        queue.submit(each)
    for each in requests[::3]:
        queue.cancel(each)
    n_left = len(queue.purge(3.0))
    while (batch := queue.next_batch(3.0)) is not None:
        n_left += len(batch.requests)
    # A quadratic queue needs minutes for this, a linear one a good half second.
    assert thread_time() - start < 10
    assert n_left == n - len(requests[::3])


def test_cancelled_requests_leave_no_memory_behind_however_far_their_deadline() -> None:
    queue = batcher(request("stays", deadline=1e9))
    tracemalloc.start()
    for i in range(20_000):
        gone = request(i, steps=100, outputs=(f"output {i}",), deadline=1e6 + i)
        queue.submit(gone)
        queue.cancel(gone)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 100_000
