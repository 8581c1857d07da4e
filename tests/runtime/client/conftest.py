from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ..server.conftest import loop, serve
from ..server.live import Loop
from .both import AnyClient, Awaited, Blocking, Connect

__all__ = ["connect", "loop", "serve"]


@pytest.fixture(params=["Client", "AsyncClient"])
def connect(request: pytest.FixtureRequest, loop: Loop) -> Iterator[Connect]:
    """Makes clients of either kind, and closes them at the end."""
    clients: list[AnyClient] = []

    def make(target: str, **settings: Any) -> AnyClient:
        is_async = request.param == "AsyncClient"
        clients.append(Awaited(loop, target, **settings) if is_async else Blocking(target, **settings))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
