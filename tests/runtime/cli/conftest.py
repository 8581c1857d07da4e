from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runtime import folders

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A repository of one hand-made model."""
    folders.write_version(tmp_path / "models")
    return tmp_path / "models"


@pytest.fixture
def offbeat() -> Run:
    """Runs the command line in a process of its own, as a user does."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(Path(sys.executable).with_name("offbeat")), *map(str, arguments)]
        base = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "COLUMNS": "200", "NO_COLOR": "1", "TERM": "dumb"}
        return subprocess.run(command, capture_output=True, text=True, env=base | environment, check=False)

    return run
