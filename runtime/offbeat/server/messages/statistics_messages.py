"""A version's statistics, as Triton's clients read them."""

from __future__ import annotations

from offbeat.inference.open_inference_pb2 import (
    InferBatchStatistics,
    InferStatistics,
    ModelStatistics,
    StatisticDuration,
)
from offbeat.server.scoring.served import ServedModel


def statistics_of(model: ServedModel) -> ModelStatistics:
    """Counts and nanoseconds since the version was loaded.

    The time of a batch is that of the whole call, so that its input and output have none of their own.
    """
    seen = model.statistics
    n, n_batches = seen.n_succeeded, seen.n_batches
    return ModelStatistics(
        name=model.name,
        version=str(model.version),
        last_inference=round(seen.last_at * 1e3),
        inference_count=seen.n_windows,
        execution_count=n_batches,
        inference_stats=InferStatistics(
            success=_duration(n, seen.queue_s + seen.compute_s),
            fail=_duration(seen.n_failed, seen.failed_s),
            queue=_duration(n, seen.queue_s),
            compute_input=_duration(n, 0.0),
            compute_infer=_duration(n, seen.compute_s),
            compute_output=_duration(n, 0.0),
        ),
        batch_stats=[
            InferBatchStatistics(
                batch_size=n_rows,
                compute_input=_duration(count, 0.0),
                compute_infer=_duration(count, seconds),
                compute_output=_duration(count, 0.0),
            )
            for n_rows, (count, seconds) in sorted(seen.batches.items())
        ],
    )


def _duration(count: int, seconds: float) -> StatisticDuration:
    return StatisticDuration(count=count, ns=round(seconds * 1e9))
