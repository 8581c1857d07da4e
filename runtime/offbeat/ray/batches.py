"""Requests of one replica, gathered into batches by Ray Serve."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import monotonic

from msgspec import Struct
from ray import serve

from offbeat.batching import Batch, PendingRequest
from offbeat.config import BatchingConfig
from offbeat.errors import BackendError
from offbeat.reply_timing import ReplyTiming
from offbeat.result import FloatArray
from offbeat.server.scoring.compute import Computation, Computed
from offbeat.server.scoring.dispatcher import Dispatcher
from offbeat.server.scoring.form import RequestForm
from offbeat.server.scoring.query import Scored
from offbeat.server.scoring.served import Awaited, ServedModel
from offbeat.server.scoring.workers import WorkerPool


class _Asked(Struct, frozen=True, kw_only=True, eq=False):
    """Checked windows, no more than fit into a batch, and who scores them."""

    model: ServedModel
    form: RequestForm
    request: PendingRequest[None]


class RayBatches(Dispatcher):
    """Has `@serve.batch` decide what is computed together, instead of offbeat's own queues.

    A batch of Ray's holds up to `max_batch_size` rows of any models and forms; what is of one model and form in it is one call of
    the engine. Where the caller goes away before the batch is formed, nothing is run. Belongs to one event loop.
    """

    def __init__(self, workers: WorkerPool, batching: BatchingConfig) -> None:
        super().__init__(workers, max_inline_us=0)
        self._pool = workers
        self._compute = serve.batch(
            max_batch_size=batching.max_batch_size,
            batch_wait_timeout_s=batching.max_queue_delay_us * 1e-6,
            max_concurrent_batches=workers.n_workers,
            batch_size_fn=_n_rows,
        )(self._compute_all)

    def is_quick(self, model: ServedModel, n_rows: int, *, is_alone: bool) -> bool:
        """Never: all goes through Ray's batches."""
        return False

    def submit(
        self, model: ServedModel, form: RequestForm, windows: FloatArray, deadline: float | None, level: int
    ) -> PendingRequest[Awaited]:
        """Hands checked windows to Ray; the future in what is returned raises BackendError."""
        arrival = monotonic()
        request = PendingRequest(windows=windows, outputs=form.outputs, arrival=arrival, completion=None)
        reply = asyncio.ensure_future(self._score(_Asked(model=model, form=form, request=request)))
        awaited = Awaited(reply=reply, form=form)
        return PendingRequest(windows=windows, outputs=form.outputs, arrival=arrival, completion=awaited)

    def cancel(self, model: ServedModel, request: PendingRequest[Awaited]) -> None:
        """Takes a request out of the batch, unless that runs already."""
        request.completion.reply.cancel()

    async def _score(self, asked: _Asked) -> Scored:
        outcome: Scored | BackendError = await self._compute(asked)
        if isinstance(outcome, BackendError):
            raise outcome
        return outcome

    async def _compute_all(self, batch: list[_Asked]) -> list[Scored | BackendError]:
        groups: dict[object, list[_Asked]] = {}
        for asked in batch:
            groups.setdefault((asked.model, asked.request.key), []).append(asked)
        outcomes: dict[_Asked, Scored | BackendError] = {}
        for group in await asyncio.gather(*(self._compute_group(group) for group in groups.values())):
            outcomes |= group
        return [outcomes[asked] for asked in batch]

    async def _compute_group(self, group: list[_Asked]) -> dict[_Asked, Scored | BackendError]:
        formed, model = monotonic(), group[0].model
        requests = tuple(asked.request for asked in group)
        batch = Batch(requests=requests, n_rows=sum(request.n_rows for request in requests))
        # What a worker does with a batch of the server's own, whoever waits for it.
        computed = await self._pool.call(Computation(model, batch))  # type: ignore[arg-type]
        if isinstance(computed.outcome, BackendError):
            return {asked: BackendError(str(computed.outcome)) for asked in group}
        return {
            asked: Scored(
                model=model.name,
                form=asked.form,
                outputs=outputs,
                timing=_timing(model, asked.request.arrival, formed, computed, batch.n_rows),
            )
            for asked, outputs in zip(group, computed.outcome, strict=True)
        }


def _n_rows(batch: Sequence[_Asked]) -> int:
    return sum(asked.request.n_rows for asked in batch)


def _timing(model: ServedModel, arrival: float, formed: float, computed: Computed, size: int) -> ReplyTiming:
    return ReplyTiming(
        version=model.version,
        queue_us=round((computed.started - arrival) * 1e6),
        batch_us=round((monotonic() - formed) * 1e6),
        compute_us=round((computed.ended - computed.started) * 1e6),
        size=size,
        backend=model.backend,
    )
