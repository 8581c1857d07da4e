from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

OFFBEAT = str(Path(sys.executable).with_name("offbeat"))
ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/nonexistent",
    "COLUMNS": "200",
    "NO_COLOR": "1",
    "OMP_NUM_THREADS": "1",
}
Run = Callable[..., subprocess.CompletedProcess[str]]
Serve = Callable[[Path], AbstractContextManager[str]]


def run_offbeat(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Runs the command line as a user does; fails with what it printed."""
    command = [OFFBEAT, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done


@contextmanager
def serve_offbeat(repository: Path) -> Iterator[str]:
    """A server process on a free port, ended by SIGTERM; it must drain and exit with 0."""
    command = [OFFBEAT, "serve", str(repository), "--port", "0", "--grace-s", "5"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            assert "ready on" in line, process.communicate()[1]
            yield line.split()[-1]
        finally:
            process.terminate()
            _, errors = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "Traceback" not in errors


@pytest.fixture(scope="session")
def offbeat() -> Run:
    return run_offbeat


@pytest.fixture(scope="session")
def serving() -> Serve:
    return serve_offbeat
