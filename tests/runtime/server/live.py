"""Real servers on free loopback ports, all on one event loop in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import grpc

from offbeat.config import BatchingConfig, ServerConfig
from offbeat.scorer import Scorer
from offbeat.server import Server

Result = TypeVar("Result")


class Loop:
    """An event loop in a thread; `run` waits for a coroutine on it."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-loop")
        self._thread.start()

    def run(self, coroutine: Coroutine[Any, Any, Result], timeout_s: float = 60) -> Result:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(timeout_s)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class LiveServer:
    """A started server, and how to reach it from the test's thread."""

    def __init__(self, loop: Loop, server: Server) -> None:
        self._loop = loop
        self.server = server
        self.target = f"127.0.0.1:{server.port}"
        self.channel = grpc.insecure_channel(self.target)

    def run(self, coroutine: Coroutine[Any, Any, Result]) -> Result:
        """Waits for a coroutine on the server's loop."""
        return self._loop.run(coroutine)

    def drain(self) -> None:
        self._loop.run(self.server.drain())

    def close(self) -> None:
        self.channel.close()
        self._loop.run(self.server.stop())


def config(path: Path = Path("nowhere"), **settings: Any) -> ServerConfig:
    """A server configuration on a free port; the names of BatchingConfig go there."""
    batching = {name: settings.pop(name) for name in BatchingConfig.__struct_fields__ if name in settings}
    return ServerConfig(model_repository=path, port=0, batching=BatchingConfig(**batching), **settings)


Serve = Callable[..., LiveServer]


@contextmanager
def serving(loop: Loop) -> Iterator[Serve]:
    """Starts servers on request, and stops them all at the end."""
    servers: list[LiveServer] = []

    def start(*scorers: Scorer, path: Path | None = None, **settings: Any) -> LiveServer:
        server = Server(config(path or Path("nowhere"), **settings), None if path else scorers)
        loop.run(server.start())
        servers.append(LiveServer(loop, server))
        return servers[-1]

    try:
        yield start
    finally:
        for server in servers:
            server.close()


def eventually(condition: Callable[[], bool], what: str, within_s: float = 60) -> None:
    """Waits until the condition holds; so patient that only what never comes fails, on however busy a machine."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, f"not within {within_s} s: {what}"
        time.sleep(0.002)
