from __future__ import annotations

import csv
import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.runtime import folders
from tests.runtime.cli.conftest import Run


def write_series(path: Path, n_rows: int) -> np.ndarray:
    """A csv of a series with time stamps; returns its values."""
    values = folders.random_windows(1, n_rows, seed=3)[0]
    rows = [f"2024-01-01 00:{row:02d}:00,{flow!r},{pressure!r}" for row, (pressure, flow) in enumerate(values.tolist())]
    path.write_text("timestamp,flow,pressure\n" + "\n".join(rows) + "\n")
    return values


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def window_errors(values: np.ndarray) -> np.ndarray:
    windows = np.stack([values[start : start + folders.LENGTH] for start in range(len(values) - folders.LENGTH + 1)])
    return folders.expected_outputs(windows)["reconstruction_error"]


def test_each_row_of_a_series_gets_the_mean_error_of_its_windows(offbeat: Run, model: Path, tmp_path: Path) -> None:
    values = write_series(tmp_path / "data.csv", 30)
    done = offbeat(
        "score", tmp_path / "data.csv", "--model", model, "--out", tmp_path / "scores.csv", "--batch-size", 7
    )
    assert done.returncode == 0, done.stderr
    lines = read((tmp_path / "scores.csv").read_text())
    assert list(lines[0]) == ["row", "timestamp", "reconstruction_error", "anomaly_score", "is_anomaly"]
    assert [line["row"] for line in lines] == [str(row) for row in range(30)]
    assert lines[17]["timestamp"] == "2024-01-01 00:17:00"
    errors = window_errors(values)
    for row, line in enumerate(lines):
        expected = errors[max(0, row - folders.LENGTH + 1) : row + 1].mean()
        assert float(line["reconstruction_error"]) == pytest.approx(expected, rel=1e-5)
        assert float(line["anomaly_score"]) == pytest.approx(min(expected / (2 * folders.THRESHOLD), 1), rel=1e-5)
        assert line["is_anomaly"] == str(int(expected > folders.THRESHOLD))
    assert sorted(tmp_path.glob(".*")) == []


def test_a_row_may_take_the_newest_window_and_flags_may_add_up_to_an_alarm(
    offbeat: Run, model: Path, tmp_path: Path
) -> None:
    values = write_series(tmp_path / "data.csv", 30)
    done = offbeat(
        "score", tmp_path / "data.csv", "--model", model, "--row-score", "newest", "--alarm-k", 2, "--alarm-n", 4
    )
    lines = read(done.stdout)
    errors = window_errors(values)
    expected = np.concatenate([np.full(folders.LENGTH - 1, errors[0]), errors])
    np.testing.assert_allclose([float(line["reconstruction_error"]) for line in lines], expected, rtol=1e-5)
    flags = [int(line["is_anomaly"]) for line in lines]
    assert [line["alarm"] for line in lines] == [
        str(int(sum(flags[max(0, row - 3) : row + 1]) >= 2)) for row in range(30)
    ]
    assert list(lines[0])[-2:] == ["is_anomaly", "alarm"]


def test_each_window_gets_a_line_with_its_last_timestamp(offbeat: Run, model: Path, tmp_path: Path) -> None:
    values = write_series(tmp_path / "data.csv", 30)
    done = offbeat("score", tmp_path / "data.csv", "--model", model, "--per", "window", "--stride", 4)
    lines = read(done.stdout)
    assert [line["timestamp"][14:16] for line in lines] == ["05", "09", "13", "17", "21", "25", "29"]
    expected = window_errors(values)[[0, 4, 8, 12, 16, 20, 24]]
    np.testing.assert_allclose([float(line["reconstruction_error"]) for line in lines], expected, rtol=1e-5)


def test_ready_made_windows_get_a_line_each(offbeat: Run, model: Path, tmp_path: Path) -> None:
    windows = folders.random_windows(9)
    np.savez(tmp_path / "data.npz", x=windows)
    lines = read(offbeat("score", tmp_path / "data.npz", "--model", model).stdout)
    assert [line["window"] for line in lines] == [str(index) for index in range(9)]
    expected = folders.expected_outputs(windows)["reconstruction_error"]
    np.testing.assert_allclose([float(line["reconstruction_error"]) for line in lines], expected, rtol=1e-5)


def test_options_are_environment_variables_too(offbeat: Run, model: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "data.csv", 30)
    done = offbeat(
        "score", tmp_path / "data.csv", OFFBEAT_MODEL=str(model), OFFBEAT_PER="window", OFFBEAT_SCORE_STRIDE="24"
    )
    assert len(read(done.stdout)) == 2


def test_a_reader_that_leaves_early_is_no_traceback(model: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "data.csv", 59)
    command = [
        str(Path(sys.executable).with_name("offbeat")),
        "score",
        str(tmp_path / "data.csv"),
        "--model",
        str(model),
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.close()
    _, errors = process.communicate()
    assert "Traceback" not in errors


def test_a_link_is_followed_and_a_device_is_written_to(offbeat: Run, model: Path, tmp_path: Path) -> None:
    write_series(tmp_path / "data.csv", 30)
    (tmp_path / "real.csv").write_text("before")
    (tmp_path / "link.csv").symlink_to(tmp_path / "real.csv")
    os.mkfifo(tmp_path / "pipe")
    for target in ("link.csv", "pipe"):
        reader = (
            subprocess.Popen(["cat", tmp_path / "pipe"], stdout=subprocess.PIPE, text=True)
            if target == "pipe"
            else None
        )
        done = offbeat("score", tmp_path / "data.csv", "--model", model, "--out", tmp_path / target)
        assert done.returncode == 0, done.stderr
        text = (tmp_path / "real.csv").read_text() if reader is None else reader.communicate(timeout=60)[0]
        assert len(read(text)) == 30
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "pipe").is_fifo()


def test_a_small_and_busy_server_is_still_used_to_the_end(offbeat: Run, model: Path, tmp_path: Path) -> None:
    """Batches are cut to the server's limit, and a full queue is waited for."""
    values = write_series(tmp_path / "data.csv", 59)
    command = [str(Path(sys.executable).with_name("offbeat")), "serve", str(model), "--port", "0"]
    limits = ["--max-batch-size", "4", "--max-queue-size", "1"]
    with subprocess.Popen([*command, *limits], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as server:
        assert server.stdout is not None
        target = server.stdout.readline().split()[-1]
        arguments = ("score", tmp_path / "data.csv", "--server", target, "--model", "level", "--per", "window")
        both = [threading.Thread(target=lambda: results.append(offbeat(*arguments))) for _ in range(3)]
        results: list[subprocess.CompletedProcess[str]] = []
        for thread in both:
            thread.start()
        for thread in both:
            thread.join()
        server.terminate()
    for done in results:
        assert done.returncode == 0, done.stderr
        errors = [float(line["reconstruction_error"]) for line in read(done.stdout)]
        np.testing.assert_allclose(errors, window_errors(values), rtol=1e-5)


@pytest.mark.parametrize("stride", [1, 4])
def test_each_row_gets_the_means_of_its_further_outputs(offbeat: Run, model: Path, tmp_path: Path, stride: int) -> None:
    values = write_series(tmp_path / "data.csv", 30)
    target = ("--out", tmp_path / "scores.csv", "--outputs", tmp_path / "outputs.npz")
    done = offbeat("score", tmp_path / "data.csv", "--model", model, "--stride", stride, "--batch-size", 5, *target)
    assert done.returncode == 0, done.stderr
    errors = [float(line["reconstruction_error"]) for line in read((tmp_path / "scores.csv").read_text())]
    with np.load(tmp_path / "outputs.npz") as outputs:
        assert list(outputs["feature_names"]) == ["pressure", "flow"]
        np.testing.assert_allclose(outputs["feature_error"].sum(axis=1), errors, rtol=1e-5)
        np.testing.assert_allclose(outputs["reconstruction"], np.broadcast_to(folders.MEAN, values.shape), rtol=1e-6)


def test_ready_made_windows_keep_their_shape_in_the_further_outputs(offbeat: Run, model: Path, tmp_path: Path) -> None:
    windows = folders.random_windows(9)
    np.savez(tmp_path / "data.npz", x=windows)
    done = offbeat("score", tmp_path / "data.npz", "--model", model, "--outputs", tmp_path / "outputs.npz")
    assert done.returncode == 0, done.stderr
    with np.load(tmp_path / "outputs.npz") as outputs:
        expected = folders.expected_outputs(windows)
        np.testing.assert_allclose(outputs["feature_error"], expected["feature_error"], rtol=1e-5)
        assert outputs["reconstruction"].shape == windows.shape
