"""Both clients behind one face, so that each promise is tested of each."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable, Iterable
from typing import Any, Protocol, TypeVar

from offbeat.bundle import Manifest
from offbeat.client import AsyncClient, Client, ModelSummary, PointResult
from offbeat.result import ScoreResult

from ..server.live import Loop

Result = TypeVar("Result")
# What was yielded, and the error after it.
Told = tuple[list[Result], BaseException | None]


class AnyClient(Protocol):
    """What the tests use of a client; a stream's results come as `Told`."""

    def score(self, windows: Any, **arguments: Any) -> ScoreResult: ...
    def stream(self, windows: Any, **arguments: Any) -> Told[ScoreResult]: ...
    def points(self, points: Any, **arguments: Any) -> Told[PointResult]: ...
    def reset_series(self, series: Any = None, *, model: str) -> int: ...
    def snapshot_series(self) -> int: ...
    def list_models(self) -> list[ModelSummary]: ...
    def get_model(self, name: str, version: int | None = None) -> Manifest: ...
    def is_ready(self) -> bool: ...
    def close(self) -> None: ...


Connect = Callable[..., AnyClient]


class Blocking(Client):
    def stream(self, windows: Any, **arguments: Any) -> Told[ScoreResult]:
        return _told(self.score_stream(windows, **arguments))

    def points(self, points: Any, **arguments: Any) -> Told[PointResult]:
        return _told(self.score_points(points, **arguments))


class Awaited:
    """AsyncClient, awaited on the loop of the tests."""

    def __init__(self, loop: Loop, target: str, **settings: Any) -> None:
        self._loop = loop
        self._client = AsyncClient(target, **settings)

    def score(self, windows: Any, **arguments: Any) -> ScoreResult:
        return self._loop.run(self._client.score(windows, **arguments))

    def stream(self, windows: Any, **arguments: Any) -> Told[ScoreResult]:
        return self._loop.run(_awaited(self._client.score_stream(windows, **arguments)))

    def points(self, points: Any, **arguments: Any) -> Told[PointResult]:
        return self._loop.run(_awaited(self._client.score_points(points, **arguments)))

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


def _told(stream: Iterable[Result]) -> Told[Result]:
    results: list[Result] = []
    try:
        results.extend(stream)
    except Exception as error:  # noqa: BLE001 - for the test to look at
        return results, error
    return results, None


async def _awaited(stream: AsyncIterable[Result]) -> Told[Result]:
    results: list[Result] = []
    try:
        async for result in stream:
            results.append(result)  # noqa: PERF401 - kept when the stream raises
    except Exception as error:  # noqa: BLE001 - for the test to look at
        return results, error
    return results, None
