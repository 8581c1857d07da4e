"""The shared path without gRPC around it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from time import monotonic
from typing import Any

import pytest

from offbeat.config import BatchingConfig
from offbeat.errors import BackendError, DeadlineExceededError
from offbeat.server.dispatcher import Dispatcher
from offbeat.server.engine import Engine
from offbeat.server.query import Query
from offbeat.server.served import ServedModel, ServedModels
from offbeat.server.workers import WorkerPool
from tests.runtime.folders import random_windows

from .fakes import FailingBackend, GatedBackend, NumpyBackend, make_scorer


class Parts:
    """An engine over one model, its workers started."""

    def __init__(self, backend: NumpyBackend, **batching: int) -> None:
        self.backend = backend
        self.model = ServedModel(make_scorer(backend), BatchingConfig(**batching))
        models = ServedModels()
        models.add(self.model)
        self.workers = WorkerPool(1)
        self.workers.start()
        self.dispatcher = Dispatcher(self.workers)
        self.engine = Engine(models, self.dispatcher)

    def close(self) -> None:
        self.dispatcher.close()
        self.workers.stop()


def query(n_rows: int = 1) -> Query:
    return Query(model="level", version=None, id="", windows=random_windows(n_rows), outputs=())


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 20))


def test_a_request_that_arrives_too_late_is_refused_and_not_queued() -> None:
    async def test() -> None:
        parts = Parts(NumpyBackend())
        with pytest.raises(DeadlineExceededError, match="when the request arrived"):
            parts.engine.submit(query(), remaining_s=0.0)
        assert (len(parts.model.queue), parts.backend.batches) == (0, [])
        parts.close()

    run(test())


def test_a_deadline_is_told_when_it_passes_though_every_worker_is_busy() -> None:
    async def test() -> None:
        backend = GatedBackend()
        parts = Parts(backend)
        running = parts.engine.submit(query(1), None)
        late = parts.engine.submit(query(2), remaining_s=0.05)
        later = parts.engine.submit(query(3), remaining_s=0.1)
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
        running = parts.engine.submit(query(1), None)
        patient = parts.engine.submit(query(2), remaining_s=15)
        hurried = parts.engine.submit(query(3), remaining_s=0.05)
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
        running = parts.engine.submit(query(1), None)
        cancelled = parts.engine.submit(query(2), None)
        cancelled.cancel()
        assert len(parts.model.queue) == 0
        kept = parts.engine.submit(query(3), None)
        running.cancel()
        backend.gate.set()
        assert (await kept.reply).batch_size == 3
        assert backend.batches == [1, 3]
        parts.close()

    run(test())


def test_a_batch_that_fails_tells_each_of_its_requests() -> None:
    async def test() -> None:
        windows = random_windows(1)
        backend = FailingBackend(float(windows[0, 0, 0]), RuntimeError("broken"))
        parts = Parts(backend, max_queue_delay_us=20_000)
        tickets = [parts.engine.submit(query(1), None) for _ in range(3)]
        failures = await asyncio.gather(*(ticket.reply for ticket in tickets), return_exceptions=True)
        assert [type(failure) for failure in failures] == [BackendError] * 3
        assert len({str(failure) for failure in failures}) == 1, "one incident"
        assert len({id(failure) for failure in failures}) == 3, "an exception shared by tasks gathers their traces"
        parts.close()

    run(test())
