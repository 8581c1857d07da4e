"""`offbeat train` on data with gaps."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner, Result

from offbeat.errors import DataError
from offbeat_training import Checkpoint
from offbeat_training.command import train
from offbeat_training.generators import server_metrics, write_csv


def run(*arguments: object, **environment: str) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(train)
    small = ("--seq-len", 10, "--epochs", 1, "--hidden-size", 4, "--device", "cpu")
    words = [str(argument) for argument in (*arguments, *small)]
    return CliRunner().invoke(app, words, env={"COLUMNS": "60", **environment})


@pytest.fixture
def gaps(tmp_path: Path) -> Path:
    """Two hundred minutes, of which one value and one whole row are missing."""
    write_csv(server_metrics(200), tmp_path / "metrics.csv")
    lines = (tmp_path / "metrics.csv").read_text().splitlines(keepends=True)
    time, _, *rest = lines[50].split(",")
    lines[50] = ",".join([time, "", *rest])
    del lines[120]
    (tmp_path / "metrics.csv").write_text("".join(lines))
    return tmp_path / "metrics.csv"


def test_train_refuses_gaps_until_a_policy_is_chosen(gaps: Path, tmp_path: Path) -> None:
    out = tmp_path / "model.ckpt"
    refused = run(gaps, "--out", out)
    assert isinstance(refused.exception, DataError)
    assert "(row 49), column 'cpu'; expected numbers, or a policy for gaps: --missing" in str(refused.exception)
    assert not out.exists()
    filled = run(gaps, "--out", out, "--missing", "interpolate")
    assert filled.exit_code == 0, filled.output
    assert Checkpoint.load(out).feature_names == ("cpu", "memory", "label")


def test_train_says_on_stderr_what_was_filled_and_how_it_was_sampled(gaps: Path, tmp_path: Path) -> None:
    done = run(gaps, "--out", tmp_path / "model.ckpt", OFFBEAT_MISSING="forward-fill")
    assert done.exit_code == 0, done.output
    assert done.stderr.splitlines()[:2] == [
        "metrics.csv: 1 of 597 values were missing and filled",
        "metrics.csv: irregular sampling: median step 60 s, 1 gap, the largest 120 s after row 118",
    ]


def test_train_is_silent_about_regular_and_complete_data(tmp_path: Path) -> None:
    write_csv(server_metrics(200), tmp_path / "metrics.csv")
    done = run(tmp_path / "metrics.csv", "--out", tmp_path / "model.ckpt", "--label-column", "label")
    assert done.exit_code == 0, done.output
    assert "metrics.csv:" not in done.stderr


def test_a_policy_nobody_knows_is_refused_with_those_there_are(gaps: Path) -> None:
    refused = run(gaps, "--missing", "zero")
    assert refused.exit_code == 2
    assert "forward-fill" in refused.stderr


def test_the_policies_lead_to_different_models(gaps: Path, tmp_path: Path) -> None:
    means = []
    for policy in ("forward-fill", "interpolate"):
        assert run(gaps, "--out", tmp_path / f"{policy}.ckpt", "--missing", policy).exit_code == 0
        means.append(Checkpoint.load(tmp_path / f"{policy}.ckpt").normalisation.mean.numpy())
    assert not np.array_equal(means[0], means[1])
