"""The methods of offbeat.v1.AnomalyScoring that remember."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from time import monotonic

from offbeat.errors import InvalidWindowError, PreconditionError, UnavailableError
from offbeat.series_config import SeriesConfig
from offbeat.server.rpc.boundary import Boundary, Context, Handler
from offbeat.server.rpc.message_stream import serving
from offbeat.server.rpc.point_batch import PointBatches
from offbeat.server.rpc.point_stream import METHOD, PointStream
from offbeat.server.series.series_memory import SeriesMemory
from offbeat.server.series.series_metrics import SeriesSnapshot, series_snapshot
from offbeat.server.series.state_directory import StateDirectory
from offbeat.v1.scoring_pb2 import (
    ResetSeriesRequest,
    ResetSeriesResponse,
    SnapshotSeriesRequest,
    SnapshotSeriesResponse,
)


class PointsService:
    """Series, their memory, and its upkeep. Making it starts nothing. Belongs to one event loop.

    Times are those of a clock that nobody sets, so that a change of the wall clock forgets nothing.
    """

    def __init__(self, config: SeriesConfig) -> None:
        self._config = config
        self.memory = SeriesMemory(config, monotonic)
        self.directory: StateDirectory | None = None
        if config.state_dir is not None:
            self.directory = StateDirectory(config.state_dir, self.memory, config.max_series_bytes)
        self._upkeep: asyncio.Task[None] | None = None

    def methods(self, boundary: Boundary) -> dict[str, Handler]:
        """The methods by name."""
        self._models = boundary.engine.models
        self._batches = batches = PointBatches(self.memory, boundary)
        return {
            METHOD: serving(boundary, partial(PointStream, batches)),
            "ResetSeries": boundary.unary(ResetSeriesRequest, self._reset),
            "SnapshotSeries": boundary.unary(SnapshotSeriesRequest, self._snapshot),
        }

    def snapshot(self) -> SeriesSnapshot:
        """What there is to tell of the series now."""
        return series_snapshot(self.memory, self.directory)

    async def start(self) -> None:
        """Reads what was written before, and begins to forget and to write. Raises ConfigurationError."""
        if self.directory is not None:
            await self.directory.open()
        self._upkeep = asyncio.create_task(self._keep_up())

    async def finish(self, within_s: float) -> None:
        """Writes what there is, unless that takes longer."""
        if self.directory is not None:
            with contextlib.suppress(TimeoutError, UnavailableError):
                await asyncio.wait_for(self.directory.write(), within_s)

    def stop(self) -> None:
        """Writes no more."""
        if self._upkeep is not None:
            self._upkeep.cancel()
        if self.directory is not None:
            self.directory.close()

    async def _keep_up(self) -> None:
        interval_s = min(self._config.series_snapshot_s, max(0.05, self._config.series_ttl_s / 20))
        next_write = self.memory.clock() + self._config.series_snapshot_s
        while True:
            await asyncio.sleep(interval_s)
            self.memory.expire()
            if self.directory is not None and self.memory.clock() >= next_write:
                next_write = self.memory.clock() + self._config.series_snapshot_s
                with contextlib.suppress(UnavailableError):
                    await self.directory.write()

    async def _reset(self, request: ResetSeriesRequest, _: Context) -> ResetSeriesResponse:
        if request.all == bool(request.series):
            raise InvalidWindowError(
                f"reset of {len(request.series)} series with all = {request.all}; expected names, or all, and not both"
            )
        self._batches.run_all()
        if not any(shape.model == request.model for shape, _ in self.memory.stores()):
            self._models.find(request.model)
        return ResetSeriesResponse(n_series=self.memory.reset(request.model, None if request.all else request.series))

    async def _snapshot(self, _: SnapshotSeriesRequest, __: Context) -> SnapshotSeriesResponse:
        if self.directory is None:
            raise PreconditionError(
                "series are kept in memory alone; expected a server that was started with --state-dir"
            )
        self._batches.run_all()
        return SnapshotSeriesResponse(n_series=await self.directory.write())
