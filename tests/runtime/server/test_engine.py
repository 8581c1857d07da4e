"""The shared path without gRPC around it."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Coroutine
from time import monotonic, sleep
from typing import Any

import msgspec
import numpy as np
import pytest

from offbeat.batching import BatchCost, PendingRequest
from offbeat.config import BatchingConfig
from offbeat.errors import BackendError, DeadlineExceededError
from offbeat.server.scoring.dispatcher import Dispatcher
from offbeat.server.scoring.engine import Engine
from offbeat.server.scoring.query import Query, Scored
from offbeat.server.scoring.served import Awaited, ServedModel, ServedModels
from offbeat.server.scoring.ticket import QueuedRequest as Ticket
from offbeat.server.scoring.workers import WorkerPool
from tests.runtime.folders import random_windows

from .fakes import FailingBackend, GatedBackend, NumpyBackend, make_scorer


class Parts:
    """An engine over one model, its workers started."""

    def __init__(self, backend: NumpyBackend, max_inline_us: int = 0, **batching: int) -> None:
        self.backend = backend
        self.model = ServedModel(make_scorer(backend), BatchingConfig(**batching))
        models = ServedModels()
        models.add(self.model)
        self.workers = WorkerPool(1)
        self.workers.start()
        self.dispatcher = Dispatcher(self.workers, max_inline_us)
        self.engine = Engine(models, self.dispatcher)

    def close(self) -> None:
        self.dispatcher.close()
        self.workers.stop()


def queued(parts: Parts, n_rows: int, remaining_s: float | None) -> Ticket:
    ticket = parts.engine.submit(query(n_rows), remaining_s, is_alone=True)
    assert isinstance(ticket, Ticket)
    return ticket


def query(n_rows: int = 1) -> Query:
    windows = random_windows(n_rows)
    return Query(model="level", version=None, id="", shape=windows.shape, data=windows.tobytes(), outputs=())


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def test_a_request_that_arrives_too_late_is_refused_and_not_queued() -> None:
    async def test() -> None:
        parts = Parts(NumpyBackend())
        with pytest.raises(DeadlineExceededError, match="when the request arrived"):
            queued(parts, 1, 0.0)
        assert (len(parts.model.queue), parts.backend.batches) == (0, [])
        parts.close()

    run(test())


def test_a_deadline_is_told_when_it_passes_though_every_worker_is_busy() -> None:
    async def test() -> None:
        backend = GatedBackend()
        parts = Parts(backend)
        running = queued(parts, 1, None)
        late = queued(parts, 2, 0.05)
        later = queued(parts, 3, 0.1)
        for ticket in (late, later):
            with pytest.raises(DeadlineExceededError, match="ms in the queue; nothing was run"):
                await ticket.reply
        backend.gate.set()
        await running.reply
        assert backend.batches == [1]
        parts.close()

    run(test())


def test_the_earlier_of_two_deadlines_is_told_first_though_it_was_queued_last() -> None:
    async def test() -> None:
        backend = GatedBackend()
        parts = Parts(backend)
        running = queued(parts, 1, None)
        patient = queued(parts, 2, 15)
        hurried = queued(parts, 3, 0.05)
        start = monotonic()
        with pytest.raises(DeadlineExceededError):
            await hurried.reply
        assert monotonic() - start < 5
        backend.gate.set()
        await asyncio.gather(running.reply, patient.reply)
        parts.close()

    run(test())


def test_a_cancelled_ticket_frees_its_place_at_once() -> None:
    async def test() -> None:
        backend = GatedBackend()
        parts = Parts(backend, max_queue_size=1)
        running = queued(parts, 1, None)
        cancelled = queued(parts, 2, None)
        cancelled.cancel()
        assert len(parts.model.queue) == 0
        kept = queued(parts, 3, None)
        running.cancel()
        backend.gate.set()
        assert (await kept.reply).timing.size == 3
        assert backend.batches == [1, 3]
        parts.close()

    run(test())


def test_of_a_split_request_whose_later_part_is_refused_no_part_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
        backend = GatedBackend()
        parts = Parts(backend, max_batch_size=2)
        submit = parts.model.queue.submit

        def slow_submit(request: PendingRequest[Awaited]) -> None:
            # The first part is with a worker by then, the second waits.
            if len(parts.model.queue) == 1:
                sleep(0.06)
                request = msgspec.structs.replace(request, arrival=monotonic())
            submit(request)

        monkeypatch.setattr(parts.model.queue, "submit", slow_submit)
        with pytest.raises(DeadlineExceededError, match="before the request was queued"):
            parts.engine.submit(query(6), 0.05, is_alone=True)
        assert len(parts.model.queue) == 0
        monkeypatch.undo()
        backend.gate.set()
        await queued(parts, 1, None).reply
        assert backend.batches == [2, 1]
        gc.collect()
        await asyncio.sleep(0)
        assert complaints == []
        parts.close()

    run(test())


def test_a_batch_that_fails_tells_each_of_its_requests() -> None:
    async def test() -> None:
        windows = random_windows(1)
        backend = FailingBackend(float(windows[0, 0, 0]), RuntimeError("broken"))
        parts = Parts(backend, max_queue_delay_us=20_000)
        tickets = [queued(parts, 1, None) for _ in range(3)]
        failures = await asyncio.gather(*(ticket.reply for ticket in tickets), return_exceptions=True)
        assert [type(failure) for failure in failures] == [BackendError] * 3
        assert len({str(failure) for failure in failures}) == 1, "one incident"
        assert len({id(failure) for failure in failures}) == 3, "an exception shared by tasks gathers their traces"
        parts.close()

    run(test())


def test_a_quick_model_scores_on_the_loop_once_its_cost_is_known_and_never_with_a_limit_of_0() -> None:
    async def test() -> None:
        for max_inline_us, expected in ((1_000_000, Scored), (0, Ticket)):
            parts = Parts(NumpyBackend(), max_inline_us=max_inline_us)
            first = parts.engine.submit(query(3), None, is_alone=True)
            assert isinstance(first, Ticket), "nothing is known of the cost yet"
            slow = await first.reply
            second = parts.engine.submit(query(3), None, is_alone=True)
            assert type(second) is expected
            quick = second if isinstance(second, Scored) else await second.reply
            for name, values in slow.outputs.items():
                np.testing.assert_array_equal(quick.outputs[name], values)
            assert (quick.timing.queue_us, quick.timing.size) == (0, 3) or expected is Ticket
            parts.close()

    run(test())


def test_a_failure_on_the_loop_is_an_incident_as_anywhere() -> None:
    async def test() -> None:
        bad = np.full((1, 6, 2), 666.0, np.float32)
        parts = Parts(FailingBackend(666.0, RuntimeError("broken")), max_inline_us=1_000_000)
        parts.model.cost.record(1, 1e-6, 0.0)
        with pytest.raises(BackendError, match="incident"):
            parts.engine.submit(
                Query(model="level", version=None, id="", shape=bad.shape, data=bad.tobytes(), outputs=()),
                None,
                is_alone=True,
            )
        assert isinstance(parts.engine.submit(query(), None, is_alone=True), Scored)
        parts.close()

    run(test())


def test_nobody_overtakes_the_queue_of_a_model() -> None:
    async def test() -> None:
        backend = GatedBackend()
        parts = Parts(backend, max_inline_us=1_000_000)
        running, waiting = (
            parts.engine.submit(query(1), None, is_alone=True),
            parts.engine.submit(query(2), None, is_alone=True),
        )
        parts.model.cost.record(1, 1e-6, 0.0)
        late = parts.engine.submit(query(1), None, is_alone=True)
        assert isinstance(late, Ticket)
        backend.gate.set()
        await asyncio.gather(*(each.reply for each in (running, waiting, late) if isinstance(each, Ticket)))
        parts.close()

    run(test())


def test_in_company_only_what_takes_less_than_a_change_of_thread_is_scored_on_the_loop() -> None:
    async def test() -> None:
        parts = Parts(NumpyBackend(), max_inline_us=200)
        for seconds, alone, in_company in ((40e-6, True, True), (150e-6, True, False), (250e-6, False, False)):
            parts.model.cost = BatchCost()
            parts.model.cost.record(1, seconds, 0.0)
            assert parts.dispatcher.is_quick(parts.model, 1, is_alone=True) is alone
            assert parts.dispatcher.is_quick(parts.model, 1, is_alone=False) is in_company
        parts.close()

    run(test())
