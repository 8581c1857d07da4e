from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import offbeat
from offbeat.cli.listen_address import tcp_address
from offbeat.cli.listen_gaps import GapFilling
from offbeat.cli.listen_loop import ListenLoop, listening_socket
from offbeat.cli.listen_rows import Row, RowFormat
from offbeat.cli.listen_watch import FeedRow, Watch
from offbeat.data import fill_missing
from offbeat.errors import ConfigurationError, DataError
from offbeat.series_config import SeriesConfig
from tests.runtime import folders
from tests.runtime.cli.conftest import Run

FEATURES = ("pressure", "flow")
OFFBEAT = str(Path(sys.executable).with_name("offbeat"))


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[offbeat.Scorer]:
    repository = tmp_path_factory.mktemp("models")
    folders.write_version(repository)
    with offbeat.load(repository) as scorer:
        yield scorer


def json_lines(values: np.ndarray, **words: str) -> bytes:
    rows = (dict(zip(FEATURES, row, strict=True)) | words for row in values.tolist())
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


class Listening:
    """A loop in a thread of its own, with clients on a loopback port and a pipe for what it tells."""

    def __init__(self, scorer: offbeat.Scorer, **settings: object) -> None:
        self.told: list[str] = []
        self.reader, self.writer = os.pipe()
        watch = Watch(scorer, SeriesConfig(), stride=1, tells_scores=True)
        has_gaps = "gaps" in settings
        format_ = RowFormat(
            feature_names=FEATURES, series_column=settings.pop("series_column", None), has_gaps=has_gaps
        )  # type: ignore[arg-type]
        self.loop = ListenLoop(watch, format_, self.writer, self.told.append, **settings)  # type: ignore[arg-type]
        server = listening_socket("127.0.0.1", 0)
        self.address = server.getsockname()
        self.loop.add_server(server)
        self.thread = threading.Thread(target=self.loop.run)
        self.thread.start()
        self._text = b""
        self._clients: list[socket.socket] = []

    def client(self, content: bytes = b"", *, is_whole: bool = True) -> socket.socket:
        connection = socket.create_connection(self.address)
        self._clients.append(connection)
        connection.sendall(content)
        if is_whole:
            connection.close()
        return connection

    def lines(self, n_lines: int) -> list[dict[str, object]]:
        """The next lines, once there are so many."""
        while self._text.count(b"\n") < n_lines:
            self._text += os.read(self.reader, 65_536)
        *lines, self._text = self._text.split(b"\n", n_lines)
        return [json.loads(line) for line in lines]

    def until(self, is_so: Callable[[], bool]) -> None:
        end = time.monotonic() + 60
        while not is_so():
            assert time.monotonic() < end, self.told
            time.sleep(0.01)

    def end(self) -> None:
        self.loop.stop()
        self.thread.join(timeout=60)
        assert not self.thread.is_alive()
        for client in self._clients:
            client.close()
        os.close(self.reader)
        os.close(self.writer)


@pytest.fixture
def listening(scorer: offbeat.Scorer) -> Iterator[Callable[..., Listening]]:
    started: list[Listening] = []

    def start(**settings: object) -> Listening:
        started.append(Listening(scorer, **settings))
        return started[-1]

    yield start
    for each in started:
        each.end()


def test_each_row_of_each_client_gets_the_score_of_its_window(
    listening: Callable[..., Listening], scorer: offbeat.Scorer
) -> None:
    listener, n_clients, n_rows = listening(), 12, 30
    feeds = [folders.random_windows(1, n_rows, seed)[0] for seed in range(n_clients)]
    threads = [threading.Thread(target=listener.client, args=(json_lines(values),)) for values in feeds]
    for thread in threads:
        thread.start()
    n_windows = n_rows - folders.LENGTH + 1
    lines = listener.lines(n_clients * n_windows)
    found = {}
    for feed in {str(line["feed"]) for line in lines}:
        of_feed = [line for line in lines if line["feed"] == feed]
        assert [line["line"] for line in of_feed] == list(range(folders.LENGTH, n_rows + 1))
        found[tuple(line["reconstruction_error"] for line in of_feed)] = feed
    for values in feeds:
        windows = np.lib.stride_tricks.sliding_window_view(values, folders.LENGTH, axis=0).transpose(0, 2, 1)
        errors = scorer.score(windows).reconstruction_error
        assert errors is not None
        assert tuple(errors.tolist()) in found
    for thread in threads:
        thread.join()


def test_series_are_told_apart_by_their_names_over_all_clients(listening: Callable[..., Listening]) -> None:
    listener, values = listening(series_column="pump"), folders.random_windows(1, 8)[0]
    first = listener.client(json_lines(values[:4], pump="left") + json_lines(values[:2], pump="right"), is_whole=False)
    listener.until(lambda: listener.loop._watch.n_rows == 6)
    listener.client(json_lines(values[4:], pump="left"))
    assert [line["series"] for line in listener.lines(3)] == ["left"] * 3
    first.close()


def test_gaps_are_filled_within_a_series_as_score_fills_them(listening: Callable[..., Listening]) -> None:
    gaps = GapFilling(FEATURES, SeriesConfig())
    listener, whole = listening(series_column="pump", gaps=gaps), listening(series_column="pump")
    values = folders.random_windows(1, 20)[0].astype(np.float64)
    values[3, 0] = values[7:10, 1] = values[12] = np.nan
    mixed = [
        json_lines(values[row : row + 1], pump="left").replace(b"NaN", b"null")
        + json_lines(values[:1] + row, pump="right")
        for row in range(20)
    ]
    listener.client(b"".join(mixed))
    whole.client(json_lines(fill_missing(values, "forward-fill")[0], pump="left"))
    errors = [line["reconstruction_error"] for line in listener.lines(30) if line["series"] == "left"]
    assert errors == [line["reconstruction_error"] for line in whole.lines(15)]
    assert gaps.n_filled == 6
    assert "6 missing values filled" in listener.loop.summary()
    assert listener.loop.n_bad == 0


def test_a_gap_with_nothing_before_it_in_its_series_is_a_bad_line(listening: Callable[..., Listening]) -> None:
    listener = listening(series_column="pump", gaps=GapFilling(FEATURES, SeriesConfig()))
    listener.client(b"pump,pressure,flow\na,1,2\nb,1,\nb,1,2\nb,,na\n")
    listener.until(lambda: listener.loop._watch.n_rows == 3)
    assert [told.split(": ", 1)[1] for told in listener.told] == [
        "line 3: column 'flow' is missing; expected a value, or one before it in its series to repeat"
    ]


def test_no_more_series_are_remembered_for_gaps_than_allowed_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr("offbeat.cli.listen_gaps.monotonic", lambda: now)
    gaps = GapFilling(FEATURES, SeriesConfig(max_series=2, series_ttl_s=10.0))
    for name in ("a", "b", "a", "c"):
        gaps.filled(name, [1.0, 2.0])
    with pytest.raises(DataError, match="column 'flow' is missing"):
        gaps.filled("b", [1.0, np.nan])
    assert gaps.filled("a", [np.nan, 3.0]) == [1.0, 3.0]
    now = 10.0
    with pytest.raises(DataError, match="column 'pressure' is missing"):
        gaps.filled("a", [np.nan, np.nan])


def test_a_window_whose_arithmetic_fails_is_an_alarm_on_every_backend() -> None:
    folder = Path(__file__).parents[3] / "runtime" / "cpp" / "tests" / "golden" / "tabular" / "1"
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (64, 64))
    for backend in ("onnxruntime", "native"):
        with offbeat.load(folder, backend=backend) as scorer:
            watch = Watch(scorer, SeriesConfig(), stride=1, tells_scores=True)
            n_features = len(scorer.manifest.feature_names)
            rows = [Row(values=(3.4e38 * row[:n_features]).tolist(), series=None, timestamp=None) for row in signs]
            lines = list(watch.take([FeedRow(feed="a", line=n, row=row) for n, row in enumerate(rows)], 0.0))
        told = [json.loads(line) for line in lines]
        assert len(told) == 64
        assert all((line["reconstruction_error"], line["anomaly_score"]) == (None, 1.0) for line in told)
        assert all(line["is_anomaly"] and line["alarm"] for line in told)


def test_junk_and_torn_off_clients_disturb_nobody(listening: Callable[..., Listening]) -> None:
    listener, values = listening(), folders.random_windows(1, 12)[0]
    halves = json_lines(values)
    steady = listener.client(halves[:301], is_whole=False)
    endless = listener.client(b"x" * 3_000_000, is_whole=False)
    junk = listener.client(np.random.default_rng(0).bytes(50_000).replace(b"{", b"\n") + b"\n", is_whole=False)
    torn = listener.client(b'{"pressure": 1', is_whole=False)
    torn.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    torn.close()
    listener.until(lambda: any("torn off" in told for told in listener.told))
    steady.sendall(halves[301:].replace(b"\n", b"\r\n"))
    lines = listener.lines(7)
    assert [line["line"] for line in lines] == list(range(6, 13))
    endless.sendall(b"\n")
    listener.until(lambda: any("longer than 1,048,576 bytes" in told for told in listener.told))
    assert (
        any("further lines of that kind are counted only" in told for told in listener.told) or len(listener.told) < 110
    )
    for client in (steady, endless, junk):
        client.close()


def test_no_more_clients_are_taken_than_allowed_and_the_next_waits_its_turn(
    listening: Callable[..., Listening],
) -> None:
    listener, values = listening(max_clients=1), folders.random_windows(1, 6)[0]
    first = listener.client(json_lines(values[:1]), is_whole=False)
    listener.until(lambda: listener.loop._watch.n_rows == 1)
    listener.client(json_lines(values))
    time.sleep(0.1)
    assert listener.loop._watch.n_rows == 1
    first.close()
    assert len(listener.lines(1)) == 1


def test_a_slow_reader_holds_the_rows_back_and_the_end_is_not_held_up(
    listening: Callable[..., Listening], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("offbeat.cli.listen_loop._GRACE_S", 0.2)
    listener, sent = listening(), json_lines(folders.random_windows(1, 2000)[0])

    def send() -> None:
        with contextlib.suppress(ConnectionError):
            listener.client(sent)

    thread = threading.Thread(target=send)
    thread.start()
    listener.until(lambda: listener.loop._watch.n_rows >= 256)
    time.sleep(0.2)
    n_rows = listener.loop._watch.n_rows
    assert n_rows < 2000
    listener.loop.stop()
    listener.thread.join(timeout=60)
    assert not listener.thread.is_alive()
    assert listener.loop.output.n_lost > 0
    assert "lines that nobody read" in listener.loop.summary()
    thread.join()


def test_a_strict_listener_sends_a_client_away_at_its_first_bad_line(listening: Callable[..., Listening]) -> None:
    listener, values = listening(is_strict=True), folders.random_windows(1, 9)[0]
    client = listener.client(json_lines(values[:6]) + b"oops\n" + json_lines(values[6:]), is_whole=False)
    assert len(listener.lines(1)) == 1
    with contextlib.suppress(ConnectionResetError):
        assert client.recv(1) == b""
    client.close()
    assert listener.loop._watch.n_rows == 6


@pytest.mark.parametrize("text", ["7007", "127.0.0.1:", ":7", "127.0.0.1:99999", "127.0.0.1:-1"])
def test_an_address_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="expected host:port"):
        tcp_address(text, insecure=True)


def test_only_this_machine_is_listened_to_unless_somebody_says_otherwise() -> None:
    with pytest.raises(ConfigurationError, match="give --insecure"):
        tcp_address("0.0.0.0:7007", insecure=False)
    assert tcp_address("0.0.0.0:7007", insecure=True) == ("0.0.0.0", 7007)  # noqa: S104
    assert tcp_address("[::1]:0", insecure=False) == ("::1", 0)


def test_alarms_come_at_once_and_a_signal_ends_it_with_a_summary(model: Path) -> None:
    command = [OFFBEAT, "listen", str(model), "--alarm-k", "2", "--alarm-n", "3"]
    values = np.tile(np.array([[90.0, 90.0]]), (8, 1))
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"pressure,flow\n" + b"".join(b"%f,%f\n" % tuple(row) for row in values) + b"junk\n")
        process.stdin.flush()
        lines = [json.loads(process.stdout.readline()) for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=60)
    assert [line["line"] for line in lines] == [8, 9]
    assert lines[0]["alarm"] is True
    assert (process.returncode, output) == (0, b"")
    assert errors.decode().splitlines() == [
        "standard input: line 10: 1 cells; expected 2: pressure, flow",
        "8 rows of 1 series, 3 windows, 2 alarms, 1 bad lines",
    ]


def lines_of(command: list[str], content: bytes) -> tuple[list[dict[str, object]], str]:
    done = subprocess.run(command, input=content, capture_output=True, check=False)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr.decode()


def test_with_a_state_file_a_restart_goes_on_where_the_last_run_ended(model: Path, tmp_path: Path) -> None:
    values, state = folders.random_windows(1, 12)[0], tmp_path / "rows.series"
    command = [OFFBEAT, "listen", str(model), "--scores", "--alarm-k", "2", "--alarm-n", "8"]
    kept = [*command, "--state-file", str(state)]
    whole, _ = lines_of(command, json_lines(values))
    first, _ = lines_of(kept, json_lines(values[:8]))
    assert state.stat().st_mode & 0o777 == 0o600
    second, told = lines_of(kept, json_lines(values[8:]))
    names = ("reconstruction_error", "is_anomaly", "alarm")
    assert [[line[name] for name in names] for line in (*first, *second)] == [
        [line[name] for name in names] for line in whole
    ]
    assert told.startswith("4 rows of 1 series, 4 windows, ")


def test_a_state_file_is_written_while_rows_come_and_found_after_a_kill(model: Path, tmp_path: Path) -> None:
    values, state = folders.random_windows(1, 7)[0], tmp_path / "rows.series"
    command = [OFFBEAT, "listen", str(model), "--scores", "--state-file", str(state), "--series-snapshot-s", "0.05"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(json_lines(values[:6]))
        process.stdin.flush()
        end = time.monotonic() + 30
        while not state.exists():
            assert time.monotonic() < end
            time.sleep(0.01)
        process.kill()
    assert len(lines_of(command, json_lines(values[6:]))[0]) == 1


def test_a_state_file_that_is_damaged_or_of_another_model_is_refused(offbeat: Run, model: Path, tmp_path: Path) -> None:
    folders.write_version(tmp_path / "others", "other")
    state = tmp_path / "rows.series"
    lines_of([OFFBEAT, "listen", str(tmp_path / "others"), "--state-file", str(state)], b"1,2\n")
    assert "rows for model 'other'" in offbeat("listen", model, "--state-file", state).stderr
    state.write_bytes(state.read_bytes()[:-1])
    refused = offbeat("listen", model, "--state-file", state)
    assert refused.returncode == 1
    assert f"error: {state}: " in refused.stderr
    assert "no such folder" in offbeat("listen", model, "--state-file", tmp_path / "absent" / "x").stderr
    assert "series cannot be written" in offbeat("listen", model, "--state-file", tmp_path / ("x" * 250)).stderr


def test_a_strict_standard_input_ends_with_an_error(offbeat: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("pressure,flow\n1,2\noops\n3,4\n")
    with (tmp_path / "rows.csv").open() as stream:
        done = subprocess.run(
            [OFFBEAT, "listen", str(model), "--strict"], stdin=stream, capture_output=True, text=True, check=False
        )
    assert done.returncode == 1
    assert "standard input: line 3: 1 cells; expected 2" in done.stderr
    assert "1 rows of 1 series, 0 windows, 0 alarms, 1 bad lines" in done.stderr
    assert "error: standard input: a line that is no row, and --strict" in done.stderr


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--max-clients", "3"], "--max-clients is given, and nothing here reads it; it goes with --tcp"),
        (["--insecure"], "--insecure is given, and nothing here reads it; it goes with --tcp"),
        (["--stride", str(10**20)], "--stride"),
        (["--tcp", "127.0.0.1:0", "--state-file", "x"], "it goes with standard input, or --series-column"),
        (["--series-snapshot-s", "5"], "it goes with --state-file"),
        (["--missing", "interpolate"], "'interpolate' is not one of 'reject', 'forward-fill'"),
    ],
)
def test_flags_that_nobody_could_follow_are_refused(offbeat: Run, model: Path, flags: list[str], words: str) -> None:
    done = offbeat("listen", model, *flags)
    assert done.returncode in (1, 2)
    assert words in done.stderr
    assert "Traceback" not in done.stderr
