"""What streams may have in flight, each and together."""

from __future__ import annotations

import time

from offbeat.server.rpc.allowance import Allowance, SharedRoom
from tests.runtime.folders import random_windows

from .calls import score_request
from .fakes import GatedBackend, make_scorer
from .live import Serve, eventually
from .test_score_stream import stream


def streams(n_streams: int, max_requests: int) -> tuple[SharedRoom, list[Allowance]]:
    """So many streams that share a room, with bounds of their own that are never reached."""
    room = SharedRoom(max_requests)
    return room, [Allowance(max_requests=1000, max_bytes=1000, room=room) for _ in range(n_streams)]


def read(stream: Allowance, n_requests: int) -> None:
    for _ in range(n_requests):
        stream.take(1)


def test_while_there_is_room_a_stream_takes_as_much_as_it_likes() -> None:
    room, (only,) = streams(1, max_requests=10)
    read(only, 9)
    assert not room.is_used_up(9)
    read(only, 1)
    assert room.is_used_up(10)


def test_when_the_room_is_used_up_only_who_has_less_than_a_share_goes_on() -> None:
    room, (early, late) = streams(2, max_requests=10)
    read(early, 10)
    assert not room.is_used_up(0)
    read(late, 1)
    assert room.is_used_up(5)
    assert not room.is_used_up(4)
    late.give(1)
    early.give(1)
    assert not room.is_used_up(9)


def test_more_streams_than_there_is_room_for_have_one_request_each() -> None:
    room, crowd = streams(5, max_requests=2)
    for each in crowd:
        assert not room.is_used_up(0)
        read(each, 1)
    assert room.is_used_up(1)


def test_a_stream_that_ends_leaves_the_room_with_what_was_not_answered() -> None:
    room, (one, other) = streams(2, max_requests=10)
    read(one, 3)
    read(other, 2)
    one.close()
    one.close()
    assert (room.n_requests, room.n_streams) == (2, 1)


def test_many_streams_that_write_without_end_are_refused_nothing(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_queue_size=256)
    queue = server.server._models.find("level").queue
    n_streams, n_each = 6, 200
    flooding = [
        stream(server, (score_request(random_windows(1), id=str(n)) for n in range(n_each))) for _ in range(n_streams)
    ]
    eventually(lambda: len(queue) >= 127, "the streams have used their room")
    late = stream(server, [score_request(random_windows(1), id="late")])
    time.sleep(0.2)
    assert len(queue) <= 256
    backend.gate.set()
    assert next(late).response.id == "late"
    for answers in flooding:
        assert {answer.response.id for answer in answers} == {str(n) for n in range(n_each)}
    eventually(lambda: server.server._boundary.stream_room.n_requests == 0, "every stream has left the room")
    assert server.server._boundary.stream_room.n_streams == 0
