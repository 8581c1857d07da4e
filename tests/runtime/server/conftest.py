from __future__ import annotations

from collections.abc import Iterator

import pytest

from offbeat.server.telemetry import incident

from .live import LiveServer, Loop, Serve, serving
from .rest_client import rest


@pytest.fixture(autouse=True)
def no_incidents_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same failure a moment ago would be the same incident, which the log has already."""
    monkeypatch.setattr(incident, "_incidents", incident.Incidents())


@pytest.fixture(scope="session")
def loop() -> Iterator[Loop]:
    loop = Loop()
    yield loop
    loop.close()


@pytest.fixture
def serve(loop: Loop) -> Iterator[Serve]:
    with serving(loop) as start:
        yield start


@pytest.fixture(scope="module")
def rest_server(loop: Loop) -> Iterator[LiveServer]:
    """One for all requests that change nothing; each must find it as the one before did."""
    with serving(loop) as serve:
        yield rest(serve)
