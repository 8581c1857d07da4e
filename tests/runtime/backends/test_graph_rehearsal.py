from __future__ import annotations

import sys
from pathlib import Path

import pytest

from offbeat.backends.graph_rehearsal import rehearse, why_no_graphs
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from tests.runtime import folders


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("", ""),
        ("import sys; print('one line'); sys.exit('a reason')", "a reason"),
        ("import os; os.abort()", "their rehearsal was ended by SIGABRT"),
        ("import sys; sys.exit(3)", "their rehearsal ended with status 3"),
    ],
)
def test_how_a_rehearsal_ended_is_told_and_harms_nobody(code: str, expected: str) -> None:
    assert rehearse([sys.executable, "-S", "-c", code]) == expected


def test_one_that_hangs_is_ended() -> None:
    code = "import time; time.sleep(60)"
    assert rehearse([sys.executable, "-S", "-c", code], 0.2) == "their rehearsal took longer than 0.2 s"


def test_one_that_cannot_be_started_is_told() -> None:
    assert rehearse(["/no/such/program"]).startswith("their rehearsal could not be started: ")


def test_a_machine_without_cuda_rehearses_nothing_and_says_why(tmp_path: Path) -> None:
    version = ModelVersion.open(folders.write_version(tmp_path))
    why = why_no_graphs(version, BackendConfig(max_bucket_size=2))
    assert why == "" or "backend 'cuda'" in why


def test_files_that_lie_where_somebody_stands_are_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    version = ModelVersion.open(folders.write_version(tmp_path / "models"))
    for name in ("json", "numpy", "msgspec"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('not this one')\n")
    monkeypatch.chdir(tmp_path)
    assert "not this one" not in why_no_graphs(version, BackendConfig(max_bucket_size=2))
