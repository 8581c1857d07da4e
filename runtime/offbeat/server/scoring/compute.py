"""What a worker does with a batch."""

from __future__ import annotations

import logging
from time import monotonic

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from offbeat.batching import Batch, PendingRequest
from offbeat.errors import BackendError, UnavailableError
from offbeat.result import FloatArray
from offbeat.scorer import Scorer
from offbeat.server.scoring.examination import works
from offbeat.server.scoring.served import Awaited, ServedModel
from offbeat.server.telemetry.incident import incident

Outputs = dict[str, NDArray[np.generic]]
_logger = logging.getLogger("offbeat.server")
_FAR_S = 1e9


class Computed(Struct, frozen=True, kw_only=True, eq=False):
    """How a batch went: the outputs of each request, in the batch's order, or the error that all of them get.

    `started` and `ended` are seconds of time.monotonic. `is_broken` where the engine fails with a window of its own, too.
    """

    outcome: list[Outputs] | BackendError
    started: float
    ended: float
    is_broken: bool = False


class Computation:
    """The scoring of a batch, as a task of a worker.

    Where it takes too long, its model takes no requests until it has come back: the next batch would only hang as well.
    """

    __slots__ = ("_batch", "_model", "_started")

    def __init__(self, model: ServedModel, batch: Batch[Awaited]) -> None:
        self._model = model
        self._batch = batch
        self._started = monotonic()

    def __call__(self) -> Computed:
        """Runs the batch. Never raises: whatever goes wrong is an incident of this batch alone."""
        started = monotonic()
        try:
            outcome = run_batch(self._model.scorer, self._batch)
        except BaseException as error:  # noqa: BLE001 - a SystemExit of an engine must not lose the replies either
            told, ended = incident(str(self._model), error), monotonic()
            return Computed(outcome=told, started=started, ended=ended, is_broken=not works(self._model))
        return Computed(outcome=outcome, started=started, ended=monotonic())

    def failed(self, error: BaseException) -> Computed:
        """The batch as an incident."""
        return Computed(outcome=incident(str(self._model), error), started=self._started, ended=monotonic())

    def lost(self, error: BaseException) -> None:
        """Takes the model out of service, and refuses those who wait for it."""
        self._model.n_hung += 1
        withdraw(self._model, f"a batch hangs: {error}")

    def returned(self) -> None:
        """Puts the model back in service, unless it was unloaded or replaced in the meantime."""
        self._model.n_hung -= 1
        what = "takes requests again" if self._model.resume() else "stays out of service"
        _logger.warning("%s %s: the batch came back after %.1f s", self._model, what, monotonic() - self._started)


def withdraw(model: ServedModel, reason: str) -> None:
    """Takes the model out of service, and refuses those who wait for it."""
    model.suspend(reason)
    refusal = UnavailableError(f"{model} takes no requests: {reason}")
    for request in _emptied(model):
        model.statistics.fail(1, monotonic() - request.arrival)
        if not request.completion.reply.done():
            request.completion.reply.set_exception(refusal)


def _emptied(model: ServedModel) -> list[PendingRequest[Awaited]]:
    """All that wait, taken out of the queue."""
    # When every deadline has passed, and every request has waited long enough for company.
    end = monotonic() + _FAR_S
    taken: list[PendingRequest[Awaited]] = []
    while model.queue:
        batch = model.queue.next_batch(end)
        taken += () if batch is None else batch.requests
        taken += model.queue.purge(end)
    return taken


def run_batch(scorer: Scorer, batch: Batch[Awaited]) -> list[Outputs]:
    """Scores the requests in one call, and gives each its own rows as views. Raises BackendError."""
    if len(batch.requests) == 1:
        return [run_rows(scorer, batch.requests[0].windows, batch.outputs)]
    results = run_rows(scorer, np.concatenate([request.windows for request in batch.requests]), batch.outputs)
    parts: list[Outputs] = []
    start = 0
    for request in batch.requests:
        end = start + request.n_rows
        parts.append({name: array[start:end] for name, array in results.items()})
        start = end
    return parts


def run_rows(scorer: Scorer, windows: FloatArray, names: tuple[str, ...]) -> Outputs:
    """Scores windows in one call. Raises BackendError."""
    results = scorer.run(windows, names)
    for name in names:
        # A row too few or too many would give callers each other's scores.
        if len(results[name]) != len(windows):
            raise BackendError(f"{name} has {len(results[name])} rows for {len(windows)} windows; expected as many")
    return {name: results[name] for name in names}
