"""What a worker does with a batch."""

from __future__ import annotations

from time import monotonic

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from offbeat.batching import Batch
from offbeat.errors import BackendError
from offbeat.result import FloatArray
from offbeat.scorer import Scorer
from offbeat.server.incident import incident
from offbeat.server.served import Awaited, ServedModel

Outputs = dict[str, NDArray[np.generic]]


class Computed(Struct, frozen=True, kw_only=True, eq=False):
    """How a batch went: the outputs of each request, in the batch's order, or the error that all of them get.

    `started` and `ended` are seconds of time.monotonic.
    """

    outcome: list[Outputs] | BackendError
    started: float
    ended: float


def compute(model: ServedModel, batch: Batch[Awaited]) -> Computed:
    """Runs the batch. Never raises: whatever goes wrong is an incident of this batch alone."""
    started = monotonic()
    outcome: list[Outputs] | BackendError
    try:
        outcome = run_batch(model.scorer, batch)
    except BaseException as error:  # noqa: BLE001 - a SystemExit of an engine must not lose the replies either
        outcome = incident(str(model), error)
    return Computed(outcome=outcome, started=started, ended=monotonic())


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
