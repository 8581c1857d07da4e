"""Both clients behind one face, so that each promise is tested of each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from offbeat.bundle import Manifest
from offbeat.client import AsyncClient, Client, ModelSummary, PointResult
from offbeat.result import ScoreResult

from ..server.live import Loop


class AnyClient(Protocol):
    """What the tests use of a client; a stream's results come as a list of what was yielded and the error after it."""

    def score(self, windows: Any, **arguments: Any) -> ScoreResult: ...
    def stream(self, windows: Any, **arguments: Any) -> tuple[list[ScoreResult], BaseException | None]: ...
    def points(self, points: Any, **arguments: Any) -> tuple[list[PointResult], BaseException | None]: ...
    def reset_series(self, series: Any = None, *, model: str) -> int: ...
    def snapshot_series(self) -> int: ...
    def list_models(self) -> list[ModelSummary]: ...
    def get_model(self, name: str, version: int | None = None) -> Manifest: ...
    def is_ready(self) -> bool: ...
    def close(self) -> None: ...


Connect = Callable[..., AnyClient]


class Blocking(Client):
    def stream(self, windows: Any, **arguments: Any) -> tuple[list[ScoreResult], BaseException | None]:
        results: list[ScoreResult] = []
        try:
            results.extend(self.score_stream(windows, **arguments))
        except Exception as error:  # noqa: BLE001 - for the test to look at
            return results, error
        return results, None

    def points(self, points: Any, **arguments: Any) -> tuple[list[PointResult], BaseException | None]:
        results: list[PointResult] = []
        try:
            results.extend(self.score_points(points, **arguments))
        except Exception as error:  # noqa: BLE001 - for the test to look at
            return results, error
        return results, None


class Awaited:
    """AsyncClient, awaited on the loop of the tests."""

    def __init__(self, loop: Loop, target: str, **settings: Any) -> None:
        self._loop = loop
        self._client = AsyncClient(target, **settings)

    def score(self, windows: Any, **arguments: Any) -> ScoreResult:
        return self._loop.run(self._client.score(windows, **arguments))

    def stream(self, windows: Any, **arguments: Any) -> tuple[list[ScoreResult], BaseException | None]:
        async def collect() -> tuple[list[ScoreResult], BaseException | None]:
            results: list[ScoreResult] = []
            try:
                async for result in self._client.score_stream(windows, **arguments):
                    results.append(result)  # noqa: PERF401 - kept when the stream raises
            except Exception as error:  # noqa: BLE001 - for the test to look at
                return results, error
            return results, None

        return self._loop.run(collect())

    def points(self, points: Any, **arguments: Any) -> tuple[list[PointResult], BaseException | None]:
        async def collect() -> tuple[list[PointResult], BaseException | None]:
            results: list[PointResult] = []
            try:
                async for result in self._client.score_points(points, **arguments):
                    results.append(result)  # noqa: PERF401 - kept when the stream raises
            except Exception as error:  # noqa: BLE001 - for the test to look at
                return results, error
            return results, None

        return self._loop.run(collect())

    def reset_series(self, series: Any = None, *, model: str) -> int:
        return self._loop.run(self._client.reset_series(series, model=model))

    def snapshot_series(self) -> int:
        return self._loop.run(self._client.snapshot_series())

    def list_models(self) -> list[ModelSummary]:
        return self._loop.run(self._client.list_models())

    def get_model(self, name: str, version: int | None = None) -> Manifest:
        return self._loop.run(self._client.get_model(name, version))

    def is_ready(self) -> bool:
        return self._loop.run(self._client.is_ready())

    def close(self) -> None:
        self._loop.run(self._client.close())
