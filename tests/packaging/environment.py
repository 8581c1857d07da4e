"""Fresh virtual environments, as a user makes one before `pip install`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONSTRAINTS = ROOT / "constraints.txt"
# pip and what a virtual environment comes with are the interpreter's, not offbeat's.
_NOT_OURS = {"pip", "setuptools"}
_SIZES = """
import importlib.metadata, json, pathlib, re
sizes = {}
for each in importlib.metadata.distributions():
    files = {pathlib.Path(each.locate_file(file)) for file in each.files or ()}
    size = sum(file.stat().st_size for file in files if file.is_file())
    sizes[re.sub("[-_.]+", "-", each.name).lower()] = size
print(json.dumps(sizes))
"""


def run(*command: object, cwd: Path | None = None, path: str = "/usr/bin:/bin", constraints: Path = CONSTRAINTS) -> str:
    """What the command printed on either stream; fails with it where the command does, and on a traceback."""
    environment = {
        "PATH": path,
        "HOME": os.environ.get("HOME", "/nonexistent"),
        "NO_COLOR": "1",
        "COLUMNS": "200",
        "OMP_NUM_THREADS": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_CONSTRAINT": str(constraints),
        **{name: value for name, value in os.environ.items() if name.startswith("PIP_") and name != "PIP_CONSTRAINT"},
    }
    done = subprocess.run(
        [*map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=cwd, env=environment
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}: exit status {done.returncode}\n{done.stdout}"
    assert "Traceback" not in done.stdout, done.stdout
    return done.stdout


class Environment:
    """A virtual environment with nothing in it but pip."""

    def __init__(self, folder: Path, constraints: Path = CONSTRAINTS) -> None:
        run(sys.executable, "-m", "venv", folder)
        self._bin = folder / "bin"
        self._constraints = constraints

    def install(self, *requirements: str) -> None:
        """By pip, with the constraints, the project's unless told otherwise; every distribution must then find what it asks for.

        Without `--compile` Python compiles what is imported, when it is: of torch, that saves most of the time.
        """
        install = ("-m", "pip", "install", "--quiet", "--no-compile", *requirements)
        run(self._bin / "python", *install, constraints=self._constraints)
        run(self._bin / "python", "-m", "pip", "check")

    def resolve(self, requirement: str) -> None:
        """Finds every distribution that the requirement needs, and installs none."""
        run(self._bin / "python", "-m", "pip", "install", "--quiet", "--dry-run", requirement)

    def run(self, program: str, *arguments: object, cwd: Path) -> str:
        """Runs a program of this environment."""
        return run(self._bin / program, *arguments, cwd=cwd)

    def sizes(self) -> dict[str, int]:
        """Bytes of the installed files by distribution, compiled Python files included."""
        sizes: dict[str, int] = json.loads(run(self._bin / "python", "-c", _SIZES))
        return {name: size for name, size in sizes.items() if name not in _NOT_OURS}
