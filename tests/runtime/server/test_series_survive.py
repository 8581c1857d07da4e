"""What is remembered of series, over swaps of models, ends of servers and faults of disks."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from unittest.mock import Mock

import grpc
import msgspec
import numpy as np
import pytest

from offbeat.config import ServerConfig
from offbeat.errors import ConfigurationError
from offbeat.scorer import Scorer
from offbeat.series_config import SeriesConfig
from offbeat.server import Server
from offbeat.server.series.series_memory import SeriesMemory
from offbeat.server.series.state_directory import StateDirectory
from offbeat.streams import Rows, read_state
from offbeat.v1 import scoring_pb2 as v1
from offbeat.v1.scoring_pb2_grpc import AnomalyScoringStub
from tests.runtime.folders import LENGTH, expected_outputs, make_manifest, random_windows, write_version

from .calls import arrays
from .fakes import make_scorer
from .live import LiveServer, Loop, Serve, eventually
from .points import Feed, points_request, rows

VALUES = random_windows(1, 3 * LENGTH)[0]


@contextlib.contextmanager
def feeding(channel: grpc.Channel) -> Iterator[Feed]:
    feed = Feed(channel)
    try:
        yield feed
    finally:
        feed.close()


def snapshot(server: LiveServer) -> int:
    stub = AnomalyScoringStub(server.channel)  # type: ignore[no-untyped-call]
    n_series: int = stub.SnapshotSeries(v1.SnapshotSeriesRequest(), timeout=60).n_series
    return n_series


def score_of(answer: v1.PointScores) -> float:
    return float(arrays(v1.ScoreResponse(outputs=answer.outputs))["reconstruction_error"][-1])


def expected_score(values: np.ndarray[tuple[int, int], np.dtype[np.float32]]) -> float:
    return float(expected_outputs(values[None, -LENGTH:])["reconstruction_error"][0])


def test_a_series_that_moved_while_all_were_copied_is_written_once_and_the_file_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offbeat.server.series.state_directory._BLOCK_BYTES", 1)
    memory = SeriesMemory(SeriesConfig(), lambda: 0.0)
    store = memory.store(make_manifest({}))
    copy = Mock(wraps=store.state)
    monkeypatch.setattr(store, "state", copy)

    def take(name: str, value: float) -> None:
        store.take(Rows(series=[name], values=np.full((1, 2), value, np.float32)), 0.0)

    async def write() -> None:
        directory = StateDirectory(tmp_path, memory, 2**20)
        await directory.open()
        writing = asyncio.create_task(directory.write())
        # What is the same for all, and the first block, of a alone, is copied; then a comes back in the place of c, which is copied last.
        while copy.call_count < 2:
            await asyncio.sleep(0)
        store.reset(["c"])
        store.reset(["a"])
        take("d", 4.0)
        take("a", 5.0)
        await writing
        directory.close()

    for name in "abc":
        take(name, 1.0)
    asyncio.run(write())
    (file,) = tmp_path.glob("*.series")
    state = read_state(file, 2**20)
    assert state.names == ["b", "a"]
    assert state.tails[:, -1, 0].tolist() == [1.0, 5.0]


def test_series_go_on_where_they_were_after_a_drain(serve: Serve, tmp_path: Path) -> None:
    series = SeriesConfig(state_dir=tmp_path, alarm_k=1, alarm_n=3)
    first = serve(make_scorer(), series=series)
    with feeding(first.channel) as feed:
        feed.scores(points_request(["a", "b"], VALUES[:2], [5, 6]))
        feed.scores(points_request("a", VALUES[2:LENGTH], range(7, LENGTH + 5)))
    first.drain()
    with feeding(serve(make_scorer(version=2), series=series).channel) as feed:
        late = feed.refusal(points_request("a", VALUES[:1], [LENGTH + 4]))
        assert "not later than one before" in late.message
        answer = feed.scores(points_request("a", VALUES[LENGTH : LENGTH + 1], [99]))
        history = np.delete(VALUES[: LENGTH + 1], 1, axis=0)
        assert (rows(answer), score_of(answer)) == ([0], expected_score(history))
        assert feed.scores(points_request("b", VALUES[:1], [7])).n_started == 0


def test_those_who_ask_for_a_snapshot_while_one_is_written_share_the_next(tmp_path: Path) -> None:
    memory = SeriesMemory(SeriesConfig(), lambda: 0.0)
    memory.store(make_manifest({})).take(Rows(series=["a"], values=np.ones((1, 2), np.float32)), 0.0)
    directory = StateDirectory(tmp_path, memory, 2**20)

    async def ask() -> list[int]:
        await directory.open()
        async with directory._turn:
            asked = [asyncio.create_task(directory.write()) for _ in range(20)]
            await asyncio.sleep(0.01)
            asked.pop().cancel()
        n_series = await asyncio.gather(*asked)
        directory.close()
        return n_series

    written = Mock(wraps=directory._write)
    directory._write = written  # type: ignore[method-assign]
    assert asyncio.run(ask()) == [1] * 19
    assert written.call_count == 1


def test_without_a_state_directory_a_snapshot_is_refused(serve: Serve) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        snapshot(serve(make_scorer()))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION
    assert "--state-dir" in caught.value.details()


def test_a_state_directory_belongs_to_one_server(serve: Serve, loop: Loop, tmp_path: Path) -> None:
    series = SeriesConfig(state_dir=tmp_path)
    serve(make_scorer(), series=series)
    second = Server(ServerConfig(model_repository=tmp_path, port=0, series=series), [make_scorer()])
    with pytest.raises(ConfigurationError, match="is in use"):
        loop.run(second.start())


def test_a_folder_that_is_made_anew_is_taken_again_unless_another_server_has_it(serve: Serve, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    server = serve(make_scorer(), series=SeriesConfig(state_dir=folder))
    with feeding(server.channel) as feed:
        feed.scores(points_request("a", VALUES[:1]))
    assert snapshot(server) == 1
    folder.rename(tmp_path / "before")
    folder.mkdir()
    assert snapshot(server) == 1, "nothing has changed but the folder"
    assert list(folder.glob("*.series"))
    folder.rename(tmp_path / "between")
    other = serve(make_scorer(), series=SeriesConfig(state_dir=folder))
    for _ in range(2):
        with pytest.raises(grpc.RpcError, match="is in use"):
            snapshot(server)
    assert not list(folder.glob("*.series"))
    other.close()
    assert snapshot(server) == 1


@pytest.mark.parametrize("damage", ["truncated", "changed", "of another model", "empty", "a folder"])
def test_a_file_that_is_not_as_it_should_be_is_set_aside(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    series = SeriesConfig(state_dir=tmp_path)
    first = serve(make_scorer(), series=series)
    with feeding(first.channel) as feed:
        feed.scores(points_request("a", VALUES[:3]))
        assert snapshot(first) == 1
    first.close()
    [path] = tmp_path.glob("*.series")
    content = path.read_bytes()
    match damage:
        case "truncated":
            path.write_bytes(content[:-7])
        case "changed":
            path.write_bytes(content[:100] + bytes([content[100] ^ 1]) + content[101:])
        case "of another model":
            path = path.rename(path.with_name(path.name.replace("level", "other")))
        case "empty":
            path.write_bytes(b"")
        case "a folder":
            path.unlink()
            path.mkdir()
    with caplog.at_level(logging.ERROR, "offbeat.server"), feeding(serve(make_scorer(), series=series).channel) as feed:
        assert feed.scores(points_request("a", VALUES[:1])).n_started == 1
    assert [str(path) in record.getMessage() for record in caplog.records if record.levelname == "ERROR"] == [True]
    assert path.with_suffix(".refused").exists()
    assert not path.exists()


def test_a_full_disk_is_told_and_counted_and_scoring_goes_on(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(make_scorer(), series=SeriesConfig(state_dir=tmp_path, series_snapshot_s=0.05))
    directory = server.server._points.directory
    assert directory is not None
    is_full = True

    def fsync(_: int) -> None:
        if is_full:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("offbeat.files.os.fsync", fsync)
    with caplog.at_level(logging.INFO, "offbeat.server"), feeding(server.channel) as feed:
        feed.scores(points_request("a", VALUES[: LENGTH - 1]))
        eventually(lambda: directory.snapshots["failed"] >= 3, "several attempts have failed")
        assert rows(feed.scores(points_request("a", VALUES[LENGTH:][:1]))) == [0]
        with pytest.raises(grpc.RpcError) as caught:
            snapshot(server)
        assert "No space left" in caught.value.details()
        is_full = False
        eventually(lambda: directory.snapshots["written"] == 1, "it is written again")
    told = [record.getMessage() for record in caplog.records if record.getMessage().startswith("state_dir")]
    assert len(told) == 2
    assert "No space left" in told[0]
    assert "written again" in told[1]
    assert [path.suffix for path in tmp_path.iterdir() if path.name != ".lock"] == [".series"]


def test_clients_of_a_killed_server_see_unavailable_and_find_their_series_again(tmp_path: Path) -> None:
    repository, state = tmp_path / "models", tmp_path / "state"
    write_version(repository)
    with running(repository, state) as (process, channel), feeding(channel) as feed:
        feed.scores(points_request("a", VALUES[:LENGTH], range(LENGTH)))
        AnomalyScoringStub(channel).SnapshotSeries(v1.SnapshotSeriesRequest())  # type: ignore[no-untyped-call]
        feed.scores(points_request("a", VALUES[LENGTH : LENGTH + 2], [LENGTH, LENGTH + 1]))
        process.send_signal(signal.SIGKILL)
        with pytest.raises(grpc.RpcError) as caught:
            feed.take()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    # What came after the last snapshot is sent anew; what is known already would be refused, or dropped.
    with running(repository, state) as (_, channel), feeding(channel) as feed:
        assert "not later" in feed.refusal(points_request("a", VALUES[:1], [LENGTH - 1])).message
        answer = feed.scores(points_request("a", VALUES[LENGTH : LENGTH + 3], range(LENGTH, LENGTH + 3)))
        assert (rows(answer), answer.n_started) == ([0, 1, 2], 0)
        assert score_of(answer) == pytest.approx(expected_score(VALUES[: LENGTH + 3]), rel=1e-5)


@contextlib.contextmanager
def running(repository: Path, state: Path) -> Iterator[tuple[subprocess.Popen[str], grpc.Channel]]:
    command = [sys.executable, "-m", "offbeat", "serve", str(repository), "--port", "0", "--state-dir", str(state)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        ready = re.search(r"ready on (\S+)", process.stdout.readline())
        assert ready is not None, "the server did not start"
        with grpc.insecure_channel(ready[1]) as channel:
            yield process, channel
    finally:
        process.kill()
        process.wait(60)
        process.stdout.close()


def test_a_new_version_finds_the_series_of_the_one_before_unless_its_windows_are_others(serve: Serve) -> None:
    server = serve(make_scorer())
    with feeding(server.channel) as feed:
        feed.scores(points_request("a", VALUES[:LENGTH]))
        server.server._models.add(_served(server, make_scorer(version=2)))
        answer = feed.scores(points_request("a", VALUES[LENGTH : LENGTH + 1]))
        assert (answer.version, answer.n_started, rows(answer)) == (2, 0, [0])
        manifest = make_scorer(version=3).manifest
        assert manifest.window is not None
        window = msgspec.structs.replace(manifest.window, length=LENGTH - 2)
        other = Scorer(msgspec.structs.replace(manifest, window=window), make_scorer().backend)
        server.server._models.add(_served(server, other))
        answer = feed.scores(points_request("a", VALUES[: LENGTH - 2]))
        assert (answer.version, answer.n_started, rows(answer)) == (3, 1, [LENGTH - 3])


def _served(server: LiveServer, scorer: Scorer):  # type: ignore[no-untyped-def]
    from offbeat.server.scoring.served import ServedModel

    return ServedModel(scorer, server.server._models.find("level").batching)


def test_a_clock_on_the_wall_that_jumps_forgets_nothing(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    server = serve(make_scorer(), series=SeriesConfig(series_ttl_s=1000, series_snapshot_s=0.05))
    with feeding(server.channel) as feed:
        feed.scores(points_request("a", VALUES[:1]))
        monkeypatch.setattr("time.time", lambda: 4e9)
        assert feed.scores(points_request("a", VALUES[:1])).n_started == 0
        memory = server.server._points.memory
        monkeypatch.setattr(memory, "clock", lambda: monotonic() + 1001)
        eventually(lambda: all(len(store) == 0 for _, store in memory.stores()), "the series is forgotten")
        assert feed.scores(points_request("a", VALUES[:1])).n_started == 1
