"""Streams as Ray Serve has them, from an iterator, without a cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing

import pytest
from google.protobuf.message import Message

from offbeat.ray.streams import stream_answers
from offbeat.result import FloatArray
from offbeat.server.messages.scoring_messages import SCORE_STREAM
from offbeat.v1.scoring_pb2 import DATA_TYPE_FLOAT32, ScoreRequest, ScoreStreamResponse, Tensor

from ..runtime.folders import random_windows
from ..runtime.server.fakes import make_scorer
from ..runtime.server.two_paths import OnePath


@pytest.fixture
def path() -> Iterator[OnePath]:
    path = OnePath(SCORE_STREAM, make_scorer(), has_codec=False)
    yield path
    path.close()


def request(number: int, windows: FloatArray) -> ScoreRequest:
    tensor = Tensor(name="window", data_type=DATA_TYPE_FLOAT32, shape=windows.shape, data=windows.tobytes())
    return ScoreRequest(model="level", id=str(number), window=tensor)


async def requests(n: int, end: BaseException | None = None) -> AsyncIterator[Message]:
    for number in range(n):
        yield request(number, random_windows(1))
    if end is not None:
        raise end


async def ids(path: OnePath, source: AsyncIterator[Message]) -> list[str]:
    told = stream_answers(path.boundary, SCORE_STREAM, source)
    return [ScoreStreamResponse.FromString(answer).response.id async for answer in told]


def test_every_request_is_answered_and_then_the_stream_ends(path: OnePath) -> None:
    answered = asyncio.run(asyncio.wait_for(ids(path, requests(40)), 10))
    assert sorted(answered, key=int) == [str(number) for number in range(40)]


@pytest.mark.parametrize("error", [ConnectionError("gone"), asyncio.CancelledError()])
def test_a_source_that_breaks_off_ends_the_answers_with_its_error(path: OnePath, error: BaseException) -> None:
    with pytest.raises(type(error)):
        asyncio.run(asyncio.wait_for(ids(path, requests(3, error)), 10))


def test_a_reader_who_takes_nothing_holds_up_the_source_and_a_reader_who_goes_ends_the_work(path: OnePath) -> None:
    n_taken = 0

    async def endless() -> AsyncIterator[Message]:
        nonlocal n_taken
        async for each in requests(10**6):
            n_taken += 1
            yield each

    async def read_one() -> tuple[int, int]:
        async with aclosing(stream_answers(path.boundary, SCORE_STREAM, endless())) as told:
            await anext(told)
            await asyncio.sleep(0.3)
        n_at_the_end = n_taken
        await asyncio.sleep(0.05)
        return n_taken - n_at_the_end, len(asyncio.all_tasks())

    # The task that asks is the last one.
    assert asyncio.run(read_one()) == (0, 1)
    assert n_taken < 300
