"""`offbeat score` as a filter and as a converter: kinds of files in, kinds of files out."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet
import pytest

from tests.runtime.cli.conftest import Run
from tests.runtime.cli.test_score import read, write_series
from tests.runtime.server.live import eventually

OFFBEAT = str(Path(sys.executable).with_name("offbeat"))


def as_text(path: Path) -> list[str]:
    """Errors of a file of scores, as the csv has them."""
    if path.suffix == ".jsonl":
        errors = [json.loads(line)["reconstruction_error"] for line in path.read_text().splitlines()]
    elif path.suffix == ".parquet":
        errors = pyarrow.parquet.read_table(path).column("reconstruction_error").to_pylist()
    else:
        errors = pa.ipc.open_file(path).read_all().column("reconstruction_error").to_pylist()
    return [f"{error:.9g}" for error in errors]


def test_a_filter_gives_what_a_file_gives(offbeat: Run, model: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "data.csv", 59)
    expected = offbeat("score", tmp_path / "data.csv", "--model", model).stdout
    assert len(read(expected)) == 59
    for kind in ("csv", "parquet"):
        table = pyarrow.csv.read_csv(tmp_path / "data.csv")
        pyarrow.parquet.write_table(table, tmp_path / "data.parquet")
        command = [OFFBEAT, "score", "-", "--format", kind, "--model", str(model)]
        with (tmp_path / f"data.{kind}").open("rb") as stream:
            piped = subprocess.run(command, stdin=stream, capture_output=True, text=True, check=True)
        assert [line["reconstruction_error"] for line in read(piped.stdout)] == [
            line["reconstruction_error"] for line in read(expected)
        ]


@pytest.mark.parametrize(
    "flags", [("--outputs", "p.npz"), ("--missing", "interpolate"), ("--layout", "windows"), ("--format", "npz")]
)
def test_what_is_read_as_a_whole_is_refused_from_a_pipe_by_name(
    offbeat: Run, model: Path, flags: tuple[str, str]
) -> None:
    done = offbeat("score", "-", "--model", model, *flags)
    assert done.returncode == 1
    assert "data is '-'; expected a file: with --outputs, --missing interpolate or --layout windows" in done.stderr


def test_what_is_read_as_a_whole_is_read_as_its_ending_says(offbeat: Run, model: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "data.csv", 30)
    done = offbeat("score", tmp_path / "data.csv", "--model", model, "--format", "jsonl", "--missing", "interpolate")
    assert done.returncode == 1
    assert "format is 'jsonl'; expected a file whose ending says that" in done.stderr


def test_scores_are_written_as_the_ending_or_the_flag_says(offbeat: Run, model: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "data.csv", 30)
    errors = [
        line["reconstruction_error"] for line in read(offbeat("score", tmp_path / "data.csv", "--model", model).stdout)
    ]
    for kind in ("jsonl", "parquet", "arrow"):
        done = offbeat("score", tmp_path / "data.csv", "--model", model, "-o", tmp_path / f"scores.{kind}")
        assert done.returncode == 0, done.stderr
        assert as_text(tmp_path / f"scores.{kind}") == errors
    command = [OFFBEAT, "score", str(tmp_path / "data.csv"), "--model", str(model), "--to", "arrow"]
    piped = subprocess.run(command, capture_output=True, check=True).stdout
    table = pa.ipc.open_stream(io.BytesIO(piped)).read_all()
    assert table.column_names == ["row", "timestamp", "reconstruction_error", "anomaly_score", "is_anomaly"]
    refused = offbeat("score", tmp_path / "data.csv", "--model", model, "-o", tmp_path / "scores.npz")
    assert "expected a csv, JSON Lines, Parquet or Arrow file" in refused.stderr


def test_rows_of_several_series_come_back_with_their_numbers(offbeat: Run, model: Path, tmp_path: Path) -> None:
    values = write_series(tmp_path / "one.csv", 30)
    alone = [
        line["reconstruction_error"] for line in read(offbeat("score", tmp_path / "one.csv", "--model", model).stdout)
    ]
    lines = [f"{name},{flow!r},{pressure!r}" for pressure, flow in values.tolist() for name in ("left", "right")]
    (tmp_path / "two.csv").write_text("pump,flow,pressure\n" + "\n".join(lines) + "\nshort,1,1\n")
    done = offbeat("score", tmp_path / "two.csv", "--model", model, "--series-column", "pump")
    scores = read(done.stdout)
    assert sorted(int(line["row"]) for line in scores) == list(range(61))
    for name in ("left", "right"):
        assert [line["reconstruction_error"] for line in scores if line["series"] == name] == alone
    assert [line["reconstruction_error"] for line in scores if line["series"] == "short"] == [""]
    assert "1 rows are of series shorter than a window, and have no score" in done.stderr
    refused = offbeat(
        "score", tmp_path / "two.csv", "--model", model, "--series-column", "pump", "--missing", "interpolate"
    )
    assert "--series-column is given, and nothing here reads it" in refused.stderr


def test_an_error_far_into_the_data_leaves_the_file_that_was_there(offbeat: Run, model: Path, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(60_000, 2))
    lines = [f"{pressure:.4f},{flow:.4f}" for pressure, flow in rows.tolist()]
    (tmp_path / "data.csv").write_text("pressure,flow\n" + "\n".join([*lines * 3, "1,oops"]))
    (tmp_path / "scores.csv").write_text("before")
    done = offbeat("score", tmp_path / "data.csv", "--model", model, "-o", tmp_path / "scores.csv", "--stride", 6)
    assert done.returncode == 1
    assert "rows read and" in done.stderr
    assert "line 180002 (row 180000)" in done.stderr
    assert (tmp_path / "scores.csv").read_text() == "before"
    assert not list(tmp_path.glob(".*"))


def test_a_full_disk_behind_standard_output_is_said_in_one_line(model: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "data.csv", 20)
    command = [OFFBEAT, "score", str(tmp_path / "data.csv"), "--model", str(model)]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == "error: standard output: cannot be written: No space left on device"
    assert "Traceback" not in done.stderr


def test_a_command_that_is_ended_leaves_no_half_file(model: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "data.csv", 30)
    out = tmp_path / "out"
    out.mkdir()
    command = [OFFBEAT, "score", "-", "--format", "csv", "--model", str(model), "-o", str(out / "scores.csv")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as scoring:
        assert scoring.stdin is not None
        scoring.stdin.write((tmp_path / "data.csv").read_bytes())
        scoring.stdin.flush()
        eventually(lambda: any(out.iterdir()), "a file that is begun")
        scoring.terminate()
        assert scoring.wait(60) == 143
    assert list(out.iterdir()) == []
