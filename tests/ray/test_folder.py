"""`offbeat score --engine ray` on a cluster whose nodes come and go, held to `offbeat score` of each file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import offbeat

from ..runtime.folders import LENGTH, random_windows, write_version

pytest.importorskip("ray", reason="needs ray: make extras")
pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("cluster")]
_N_FILES, _N_ROWS = 24, 80_000


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return write_version(tmp_path / "models")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


def _write(path: Path, n_rows: int, seed: int = 0, **columns: Any) -> Any:
    values = random_windows(1, n_rows, seed)[0] if n_rows else np.empty((0, 2), np.float32)
    table = pa.table({"pressure": values[:, 0], "flow": values[:, 1], **columns})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path)
    return table


def _start(data: Path, out: Path, model: Path, *flags: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "offbeat", "score", data, "--engine", "ray", "--model", model, "-o", out, *flags]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=os.environ | {"COLUMNS": "400"})


def _score(data: Path, out: Path, model: Path, *flags: str) -> tuple[int, str]:
    process = _start(data, out, model, *flags)
    _, told = process.communicate(timeout=200)
    return process.returncode, told


def _eventually(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 200
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < end
        time.sleep(0.005)


def _assert_scored(out: Path, name: str, table: Any, model: Path) -> None:
    expected = offbeat.score_table(offbeat.load(model), table)
    scores = pq.read_table(out / name)
    assert scores["row"].to_pylist() == list(range(table.num_rows))
    for column in ("reconstruction_error", "is_anomaly"):
        np.testing.assert_allclose(scores[column].to_numpy(), expected[column].to_numpy(), rtol=1e-6)


def test_a_node_killed_half_way_loses_nothing_and_doubles_nothing(
    cluster: Any, data: Path, model: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    tables = {f"{index:03}.parquet": _write(data / f"{index:03}.parquet", _N_ROWS, index) for index in range(_N_FILES)}
    doomed = cluster.add_node(num_cpus=2, object_store_memory=100 * 2**20)
    process = _start(data, out, model, "--batch-size", "16")
    raylet = str(doomed.all_processes["raylet"][0].process.pid)
    half_written: list[str] = []

    def is_half_way() -> bool:
        half_written[:] = _written_by(raylet, out)
        return bool(half_written) and len(list(out.glob("*.parquet"))) >= 2

    _eventually(is_half_way, process)
    # As when a machine loses its power: those who write there end in the middle, and the node with them.
    for pid in half_written:
        os.kill(int(pid), signal.SIGKILL)
    n_before = len(list(out.glob("*.parquet")))
    cluster.remove_node(doomed, allow_graceful=False)
    _, told = process.communicate(timeout=200)
    assert process.returncode == 0, told
    assert 0 < n_before < _N_FILES - 2
    assert f"{_N_FILES} files scored, 0 kept from before" in told
    assert f"{_N_FILES * _N_ROWS:,} rows" in told
    assert sorted(path.name for path in out.iterdir()) == sorted(tables)
    for name in list(tables)[::6]:
        _assert_scored(out, name, tables[name], model)
    assert all(pq.read_metadata(out / name).num_rows == table.num_rows for name, table in tables.items())


def _written_by(raylet: str, out: Path) -> list[str]:
    """The processes of a node that are in the middle of a file."""
    writers = {partial.name.split(".")[-3] for partial in out.glob(".*.part")}
    return [pid for pid in writers if _parent(pid) == raylet]


def _parent(pid: str) -> str:
    try:
        return Path("/proc", pid, "stat").read_text().rpartition(")")[2].split()[1]
    except OSError:
        return ""


def test_a_run_that_was_ended_goes_on_where_it_was(data: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    tables = {f"{index:03}.parquet": _write(data / f"{index:03}.parquet", 100_000, index) for index in range(8)}
    process = _start(data, out, model, "--batch-size", "16")
    _eventually(lambda: len(list(out.glob("*.parquet"))) >= 2, process)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    before = {path: path.stat().st_mtime_ns for path in out.glob("*.parquet")}
    assert len(before) < 8
    status, told = _score(data, out, model, "--batch-size", "16")
    assert status == 0, told
    n_kept = int(told.split(" files scored, ")[1].split()[0])
    assert len(before) <= n_kept < 8
    assert all(path.stat().st_mtime_ns == changed for path, changed in before.items())
    assert sorted(path.name for path in out.iterdir()) == sorted(tables)
    _assert_scored(out, "000.parquet", tables["000.parquet"], model)


def test_what_changed_is_scored_again_and_all_else_is_kept(data: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for index in range(3):
        _write(data / f"{index}.parquet", 50, index)
    assert _score(data, out, model)[0] == 0
    changed = _write(data / "1.parquet", 60, seed=9)
    (out / "2.parquet").write_bytes(b"half a file")
    status, told = _score(data, out, model)
    assert (status, "2 files scored, 1 kept from before" in told) == (0, True), told
    _assert_scored(out, "1.parquet", changed, model)
    newest = write_version(tmp_path / "models", version=2)
    assert "3 files scored, 0 kept" in _score(data, out, newest)[1]
    assert "3 files scored, 0 kept" in _score(data, out, newest, "--row-score", "newest")[1]


def test_there_is_a_line_for_each_row_whatever_the_files_hold(data: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    long = _write(data / "year=2026" / "long.parquet", 40)
    _write(data / "short.parquet", LENGTH - 1)
    _write(data / "empty.parquet", 0)
    _write(data / "_temporary" / "0.parquet", 5)
    status, told = _score(data, out, model)
    assert status == 0, told
    assert "2 files scored, 0 kept from before, 1 without rows; 45 rows" in told
    assert f"{LENGTH - 1} without a score" in told
    _assert_scored(out, "year=2026/long.parquet", long, model)
    short = pq.read_table(out / "short.parquet")
    assert short["reconstruction_error"].null_count == short.num_rows == LENGTH - 1
    assert set(short["series"].to_pylist()) == {"short"}
    assert sorted(path.name for path in out.rglob("*.parquet")) == ["long.parquet", "short.parquet"]


def test_series_of_a_file_are_scored_apart_and_none_may_be_in_two_files(
    data: Path, model: Path, tmp_path: Path
) -> None:
    out, flags = tmp_path / "out", ("--series-column", "host")
    table = _write(data / "a.parquet", 40, host=["x", "y"] * 20)
    _write(data / "b.parquet", 10, host=["z"] * 10)
    assert _score(data, out, model, *flags)[0] == 0
    scores = pq.read_table(out / "a.parquet").sort_by("row")
    assert scores["series"].to_pylist() == ["x", "y"] * 20
    alone = offbeat.score_table(offbeat.load(model), table.take(list(range(0, 40, 2))))
    errors = scores.filter(pa.compute.equal(scores["series"], "x"))["reconstruction_error"]
    np.testing.assert_allclose(errors.to_numpy(), alone["reconstruction_error"].to_numpy(), rtol=1e-6)
    _write(data / "c.parquet", 10, host=["y"] * 10)
    status, told = _score(data, out, model, *flags)
    assert status != 0
    assert "series 'y' has rows in a.parquet and in c.parquet" in told
    assert not (out / "c.parquet").exists()


def test_a_file_that_cannot_be_scored_is_named_and_holds_up_no_other(data: Path, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    _write(data / "good.parquet", 20)
    (data / "broken.parquet").write_bytes(b"PAR1 and no more")
    pq.write_table(pa.table({"pressure": [1.0]}), data / "narrow.parquet")
    pq.write_table(pa.table({"pressure": [1.0, None], "flow": [1.0, 2.0]}), data / "gaps.parquet")
    status, told = _score(data, out, model)
    assert status != 0
    for word in ("broken.parquet", "no column 'flow'", "gaps.parquet", "missing value", "3 files could not be scored"):
        assert word in told
    assert [path.name for path in out.iterdir()] == ["good.parquet"]


@pytest.mark.parametrize(
    ("folder", "target", "flags", "message"),
    [
        ("absent", "out", (), "no such folder"),
        ("data", "out", (), "no *.parquet"),
        ("data", "data/out", (), "apart from the data"),
        ("data", "-", (), "a folder, with --engine ray"),
        ("data", "out", ("--to", "csv"), "--to is given"),
        ("data", "out", ("--server", "h:1"), "--server is given"),
        ("data", "out", ("--stride", "99"), "stride"),
        ("data", "out", ("--missing", "interpolate"), "missing"),
    ],
)
def test_what_is_wrong_with_a_call_is_told_before_a_cluster_is_asked(
    data: Path, model: Path, tmp_path: Path, folder: str, target: str, flags: tuple[str, ...], message: str
) -> None:
    out = Path("-") if target == "-" else tmp_path / target
    status, told = _score(tmp_path / folder, out, model, *flags)
    assert status != 0
    assert message in told
    assert data.exists()
