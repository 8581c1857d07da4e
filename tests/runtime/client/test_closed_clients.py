from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from offbeat.client import AsyncClient
from offbeat.errors import RequestCancelledError
from tests.runtime.folders import random_windows

from ..server.fakes import GatedBackend, make_scorer
from ..server.live import Loop, Serve
from .both import AnyClient, Connect

CALLS: dict[str, Callable[[AnyClient], Any]] = {
    "score": lambda client: client.score(random_windows(1), model="level"),
    "list_models": lambda client: client.list_models(),
    "get_model": lambda client: client.get_model("level"),
}


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("is_used_before", [True, False])
def test_every_call_of_a_closed_client_says_that_it_is_closed(
    serve: Serve, connect: Connect, call: str, is_used_before: bool
) -> None:
    client = connect(target := serve(make_scorer()).target)
    if is_used_before:
        assert client.is_ready()
    client.close()
    with pytest.raises(RequestCancelledError, match=f"{target}: this client is closed"):
        CALLS[call](client)
    assert not client.is_ready()


def test_a_stream_of_a_closed_client_says_so_and_takes_nothing_from_its_source(serve: Serve, connect: Connect) -> None:
    client = connect(serve(make_scorer()).target)
    client.close()
    taken: list[np.ndarray] = []
    results, error = client.stream((taken.append(batch) or batch for batch in [random_windows(1)]), model="level")
    assert (results, taken) == ([], [])
    assert isinstance(error, RequestCancelledError)
    assert "this client is closed" in str(error)


@pytest.mark.parametrize("is_stream", [False, True])
def test_a_call_that_is_under_way_when_its_client_is_closed_ends_the_same_way(
    serve: Serve, connect: Connect, is_stream: bool
) -> None:
    backend = GatedBackend()
    client = connect(serve(make_scorer(backend)).target)
    errors: list[BaseException | None] = []

    def wait() -> None:
        try:
            errors.append(client.stream([random_windows(1)], model="level")[1] if is_stream else CALLS["score"](client))
        except Exception as error:  # noqa: BLE001 - for the test to look at
            errors.append(error)

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert backend.entered.acquire(timeout=60)
    client.close()
    waiting.join(60)
    backend.gate.set()
    assert [type(error) for error in errors] == [RequestCancelledError]
    assert "this client is closed" in str(errors[0])


def test_a_task_that_is_cancelled_itself_is_cancelled_whether_or_not_the_client_is_closed(
    serve: Serve, loop: Loop
) -> None:
    backend = GatedBackend()
    target = serve(make_scorer(backend)).target

    async def cancel() -> bool:
        client = AsyncClient(target)
        task = asyncio.create_task(client.score(random_windows(1), model="level"))
        assert await asyncio.to_thread(backend.entered.acquire, timeout=60)
        task.cancel()
        await client.close()
        await asyncio.wait([task])
        return task.cancelled()

    assert loop.run(cancel())
    backend.gate.set()
