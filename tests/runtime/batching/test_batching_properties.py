"""Whatever happens, in whatever order: no request is lost, doubled, late or out of place."""

import numpy as np
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from offbeat.batching import DynamicBatcher, PendingRequest
from offbeat.config import BatchingConfig
from offbeat.errors import InvalidWindowError, OverloadedError

Request = PendingRequest[int]


class Queueing(RuleBasedStateMachine):
    """Submits, cancels, dispatches and lets time pass; keeps its own book of who is where."""

    @initialize(max_rows=st.integers(1, 6), delay_us=st.sampled_from([0, 0, 2_000_000]), size=st.integers(1, 12))
    def start(self, max_rows: int, delay_us: int, size: int) -> None:
        self.config = BatchingConfig(max_batch_size=max_rows, max_queue_delay_us=delay_us, max_queue_size=size)
        self.batcher: DynamicBatcher[int] = DynamicBatcher(self.config)
        self.now = 0.0
        self.n_submitted = 0
        self.waiting: dict[int, Request] = {}

    def leave(self, request: Request) -> None:
        assert self.waiting.pop(request.completion) is request, "left twice, or was never queued"

    @rule(
        n_rows=st.integers(1, 7),
        steps=st.integers(1, 2),
        output=st.sampled_from(["a", "b"]),
        patience=st.none() | st.integers(0, 5),
    )
    def submit(self, n_rows: int, steps: int, output: str, patience: int | None) -> None:
        request = PendingRequest(
            windows=np.zeros((n_rows, steps, 1), np.float32),
            outputs=(output,),
            arrival=self.now,
            deadline=None if patience is None else self.now + patience,
            completion=self.n_submitted,
        )
        if n_rows > self.config.max_batch_size:
            with pytest.raises(InvalidWindowError):
                self.batcher.submit(request)
        elif len(self.waiting) >= self.config.max_queue_size:
            with pytest.raises(OverloadedError):
                self.batcher.submit(request)
        else:
            try:
                self.batcher.submit(request)
            except OverloadedError:
                # It would wait for too much of its time: only where it has an end to it, and others are before it.
                assert patience is not None
                assert self.waiting
                return
            self.waiting[self.n_submitted] = request
            self.n_submitted += 1

    @rule(seconds=st.integers(0, 3))
    def let_time_pass(self, seconds: int) -> None:
        self.now += seconds

    @precondition(lambda self: self.waiting)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(list(self.waiting.values())))
        assert self.batcher.cancel(request)
        self.leave(request)
        assert not self.batcher.cancel(request)

    def purge(self) -> None:
        for request in self.batcher.purge(self.now):
            assert request.deadline is not None
            assert request.deadline <= self.now
            self.leave(request)
        assert all(each.deadline is None or each.deadline > self.now for each in self.waiting.values())

    @rule()
    def purge_the_expired(self) -> None:
        self.purge()

    @rule()
    def dispatch(self) -> None:
        batch = self.batcher.next_batch(self.now)
        self.purge()
        if batch is None:
            self.check_that_waiting_is_right()
            return
        assert 1 <= batch.n_rows == sum(each.n_rows for each in batch.requests) <= self.config.max_batch_size
        assert {each.outputs for each in batch.requests} == {batch.outputs}
        assert len({each.key for each in batch.requests}) == 1
        same_key = [each for each in self.waiting.values() if each.key == batch.requests[0].key]
        assert list(batch.requests) == same_key[: len(batch.requests)], "not the oldest of the key, in order"
        if self.config.max_queue_delay_us == 0:
            assert batch.requests[0] is next(iter(self.waiting.values())), "an older request of another key waits"
        for request in batch.requests:
            assert request.deadline is None or request.deadline > self.now
            self.leave(request)
        rest = same_key[len(batch.requests) :]
        assert not rest or batch.n_rows + rest[0].n_rows > self.config.max_batch_size, "there was room for more"

    def check_that_waiting_is_right(self) -> None:
        """An idle worker stays idle only while nobody has waited long enough, and knows when to ask again."""
        wakeup = self.batcher.next_wakeup(worker_is_idle=True)
        assert wakeup is None if not self.waiting else wakeup is not None and wakeup > self.now

    @invariant()
    def the_length_is_the_number_of_waiting_requests(self) -> None:
        if hasattr(self, "batcher"):
            n_expired = sum(each.deadline is not None and each.deadline <= self.now for each in self.waiting.values())
            assert len(self.waiting) - n_expired <= len(self.batcher) <= len(self.waiting)

    def teardown(self) -> None:
        if not hasattr(self, "batcher"):
            return
        self.now += 10
        self.purge()
        while self.waiting:
            self.dispatch()
        assert len(self.batcher) == 0
        assert self.batcher.next_wakeup(worker_is_idle=True) is None


Queueing.TestCase.settings = settings(max_examples=150, stateful_step_count=40)
TestQueueing = Queueing.TestCase
