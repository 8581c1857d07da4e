"""Ending under load: in this process, and as a process that gets signals."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import grpc
import pytest

from tests.runtime.folders import random_windows, write_version

from .calls import SCORE, score_later, score_request
from .fakes import GatedBackend, make_scorer
from .live import Serve, eventually

PROGRAM = """
import sys
from pathlib import Path
from offbeat.config import BackendConfig, ServerConfig
from offbeat.server import run_server
from tests.runtime.server.slow import slow_down

slow_down(float(sys.argv[2]))
config = ServerConfig(model_repository=Path(sys.argv[1]), port=0, grace_s=float(sys.argv[3]))
run_server(config, on_ready=lambda port: print(port, flush=True))
print("ended", flush=True)
"""


def test_a_drain_answers_everything_that_was_accepted(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), max_batch_size=2)
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    waiting = [score_later(server.channel, score_request(random_windows(1))) for _ in range(9)]
    queue = server.server._models.find("level").queue
    eventually(lambda: len(queue) == 9, "all are queued")
    draining = threading.Thread(target=server.drain)
    draining.start()
    eventually(lambda: server.server._drain.is_draining, "draining")
    assert draining.is_alive()
    backend.gate.set()
    assert all(call.result(60) for call in (running, *waiting))
    draining.join(60)
    assert backend.is_closed


def test_a_drain_gives_up_when_the_grace_time_is_over(serve: Serve) -> None:
    backend = GatedBackend()
    server = serve(make_scorer(backend), grace_s=0.6)
    running = score_later(server.channel, score_request(random_windows(1)))
    assert backend.entered.acquire(timeout=60)
    start = time.monotonic()
    server.drain()
    # The batch itself would take two minutes.
    assert 0.5 < time.monotonic() - start < 30
    assert running.code() is not grpc.StatusCode.OK
    assert not backend.is_closed, "freed under a batch that still runs"
    backend.gate.set()


@contextmanager
def process(
    repository: Path, *, delay_s: float, grace_s: float = 20, closed: str = ""
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A server process, and its address. `closed` are the shell's words for files that it begins without."""
    arguments = [sys.executable, "-W", "error", "-c", PROGRAM, str(repository), str(delay_s), str(grace_s)]
    if closed:
        arguments = ["sh", "-c", f'exec "$@" {closed}', "sh", *arguments]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        try:
            yield server, f"127.0.0.1:{int(_out(server).readline())}"
        finally:
            if server.poll() is None:
                server.kill()


def _out(server: subprocess.Popen[str]) -> IO[str]:
    assert server.stdout is not None
    return server.stdout


class Load:
    """Threads that score without a pause, and count what they were told."""

    def __init__(self, target: str, n_threads: int) -> None:
        self.told: Counter[grpc.StatusCode] = Counter()
        self.n_sent = 0
        self._target = target
        self._lock = threading.Lock()
        self._request = score_request(random_windows(2)).SerializeToString()
        self._threads = [threading.Thread(target=self._score) for _ in range(n_threads)]
        self._end = threading.Event()
        for thread in self._threads:
            thread.start()

    def _score(self) -> None:
        with grpc.insecure_channel(self._target) as channel:
            call = channel.unary_unary(SCORE)
            while not self._end.is_set():
                code = grpc.StatusCode.OK
                with self._lock:
                    self.n_sent += 1
                try:
                    call(self._request, timeout=60)
                except grpc.RpcError as error:
                    code = error.code()
                    self._end.wait(0.01)
                with self._lock:
                    self.told[code] += 1

    def end(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(100)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models")
    write_version(path)
    return path


def test_sigterm_under_load_loses_no_reply(repository: Path) -> None:
    with process(repository, delay_s=0.02) as (server, target):
        load = Load(target, n_threads=12)
        eventually(lambda: load.told[grpc.StatusCode.OK] > 100, "the load runs")
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        load.end()
        assert "ended" in _out(server).read()
    assert sum(load.told.values()) == load.n_sent
    assert set(load.told) == {grpc.StatusCode.OK, grpc.StatusCode.UNAVAILABLE}, load.told


def test_a_second_signal_stops_at_once(repository: Path) -> None:
    with process(repository, delay_s=250, grace_s=250) as (server, target), grpc.insecure_channel(target) as channel:
        running = score_later(channel, score_request(random_windows(1)), timeout=250)
        assert _out(server).readline() == "a batch runs\n"
        server.send_signal(signal.SIGINT)
        time.sleep(0.3)
        assert server.poll() is None, "the first signal waits for what runs"
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        assert running.exception(60) is not None


def test_a_hangup_drains_too_unless_it_is_ignored_as_under_nohup(repository: Path) -> None:
    with process(repository, delay_s=0.5) as (server, target), grpc.insecure_channel(target) as channel:
        running = score_later(channel, score_request(random_windows(1)), timeout=60)
        assert _out(server).readline() == "a batch runs\n"
        server.send_signal(signal.SIGHUP)
        assert server.wait(60) == 0
        assert running.code() is grpc.StatusCode.OK
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with process(repository, delay_s=0) as (server, target), grpc.insecure_channel(target) as channel:
            server.send_signal(signal.SIGHUP)
            assert score_later(channel, score_request(random_windows(1)), timeout=60).code() is grpc.StatusCode.OK
            assert server.poll() is None
    finally:
        signal.signal(signal.SIGHUP, before)


def test_files_that_a_supervisor_has_closed_do_not_end_it(repository: Path) -> None:
    with (
        process(repository, delay_s=0, closed="<&- 2>&-") as (server, target),
        grpc.insecure_channel(target) as channel,
    ):
        assert score_later(channel, score_request(random_windows(1)), timeout=60).code() is grpc.StatusCode.OK
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0


def test_a_worker_that_hangs_does_not_keep_the_process_from_ending(repository: Path) -> None:
    with process(repository, delay_s=250, grace_s=1) as (server, target), grpc.insecure_channel(target) as channel:
        running = score_later(channel, score_request(random_windows(1)), timeout=250)
        assert _out(server).readline() == "a batch runs\n"
        server.send_signal(signal.SIGTERM)
        assert server.wait(60) == 0
        assert running.exception(60) is not None
