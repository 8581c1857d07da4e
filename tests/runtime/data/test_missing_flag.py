"""`offbeat score` as a user runs it, on data with gaps."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime import folders

GAPS = "timestamp,pressure,flow\n" + "".join(
    f"2024-01-01 00:{minute:02}:00,{'' if minute == 7 else minute},{10 * minute}\n"
    for minute in range(20)
    if minute != 12
)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folders.write_version(tmp_path / "models")
    return tmp_path / "models"


def score(data: Path, model: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("offbeat")), "score", str(data), "--model", str(model), *arguments]
    base = {"PATH": "/usr/bin:/bin", "COLUMNS": "60", "NO_COLOR": "1", "TERM": "dumb"}
    return subprocess.run(command, capture_output=True, text=True, env=base | environment, check=False)


def test_gaps_are_refused_until_a_policy_is_chosen(tmp_path: Path, model: Path) -> None:
    (tmp_path / "data.csv").write_text(GAPS)
    refused = score(tmp_path / "data.csv", model)
    assert refused.returncode != 0
    assert "column 'pressure'" in refused.stderr
    assert refused.stdout == ""
    filled = score(tmp_path / "data.csv", model, "--missing", "interpolate")
    assert filled.returncode == 0, filled.stderr
    assert len(filled.stdout.splitlines()) == 1 + 19
    held = score(tmp_path / "data.csv", model, OFFBEAT_MISSING="forward-fill")
    assert held.returncode == 0, held.stderr
    assert held.stdout != filled.stdout


def test_what_was_filled_and_how_it_was_sampled_stand_on_stderr_in_a_line_each(tmp_path: Path, model: Path) -> None:
    (tmp_path / "data.csv").write_text(GAPS)
    notes = score(tmp_path / "data.csv", model, "--missing", "interpolate").stderr.splitlines()
    assert notes[0] == "data.csv: 1 of 38 values were missing and filled"
    assert notes[1] == "data.csv: irregular sampling: median step 60 s, 1 gap, the largest 120 s after row 11"


def test_regular_and_complete_data_are_scored_without_a_note(tmp_path: Path, model: Path) -> None:
    rows = "".join(f"2024-01-01 00:{minute:02}:00,{minute},{minute}\n" for minute in range(20))
    (tmp_path / "data.csv").write_text("timestamp,pressure,flow\n" + rows)
    done = score(tmp_path / "data.csv", model)
    assert done.returncode == 0, done.stderr
    assert "data.csv" not in done.stderr


def test_a_policy_nobody_knows_is_refused_with_those_there_are(tmp_path: Path, model: Path) -> None:
    (tmp_path / "data.csv").write_text(GAPS)
    refused = score(tmp_path / "data.csv", model, "--missing", "zero")
    assert refused.returncode == 2
    assert "forward-fill" in refused.stderr
