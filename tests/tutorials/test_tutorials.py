"""The blocks of each page of docs/tutorials, run as a reader would: in order, in one folder, by one shell."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from benchmarks.ports import free_ports

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
_BLOCK = re.compile(r'^```(\w+)(?: title="([\w.]+)")?\n(.*?)^```$', re.DOTALL | re.MULTILINE)
_START = "set -euo pipefail; trap 'kill $(jobs -p) 2> /dev/null || true' EXIT\n"
_LIMIT_S = 600


class Block(NamedTuple):
    """A fenced block: bash is run, python with a title is a file, text is what the block before it prints."""

    language: str
    title: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    return [Block(*found) for found in _BLOCK.findall(page.read_text())]


def script_of(blocks: list[Block]) -> str:
    """One shell script; a line of the block's number stands before what each prints."""
    parts = [_START]
    for number, block in enumerate(blocks):
        if block.language == "bash":
            parts.append(f"echo '@@ {number}'\n{block.text}")
        elif block.language == "python":
            parts.append(f"cat > {block.title} <<'END OF FILE'\n{block.text}END OF FILE\n")
    return "".join(parts)


def run(script: str, folder: Path) -> str:
    """What the script prints on either stream. Ends what it left behind; fails with the output where it fails."""
    environment = {
        "PATH": f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin",
        "HOME": str(folder),
        "NO_COLOR": "1",
        "COLUMNS": "200",
        "OMP_NUM_THREADS": "1",
    }
    process = subprocess.Popen(
        ["bash"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder,
        env=environment,
        start_new_session=True,
    )
    try:
        output, _ = process.communicate(script, timeout=_LIMIT_S)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, output
    assert "Traceback" not in output, output
    return output


def assert_prints(expected: str, printed: str) -> None:
    """Each line is there, in this order; … stands for anything, and what lies between does not matter."""
    rest = " ".join(printed.split())
    for line in expected.splitlines():
        pattern = ".*?".join(map(re.escape, " ".join(line.split()).split("…")))
        found = re.search(pattern, rest)
        assert found, f"expected {line!r} in:\n{printed}"
        rest = rest[found.end() :]


@pytest.mark.timeout(_LIMIT_S + 60)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_tutorial_runs_as_it_stands_and_prints_what_it_says(page: Path, tmp_path: Path) -> None:
    (tmp_path / "offbeat").symlink_to(ROOT)
    blocks = blocks_of(page)
    # The page's port may be taken here, and a test's servers are all on free ones.
    (port,) = free_ports(1)
    output = run(script_of(blocks).replace("8001", str(port)), tmp_path)
    printed = {int(number): text for number, text in re.findall(r"^@@ (\d+)$(.*?)(?=^@@|\Z)", output, re.DOTALL | re.M)}
    for number, block in enumerate(blocks):
        if block.language == "text":
            assert_prints(block.text, printed[number - 1])


def test_what_a_tutorial_says_and_nobody_prints_is_found() -> None:
    assert_prints("a …c\nd", "a b c\n\nd")
    for expected in ("a …x", "d\na", "e"):
        with pytest.raises(AssertionError, match="expected"):
            assert_prints(expected, "a b c\nd")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_of_a_tutorial_is_run_or_checked(page: Path) -> None:
    blocks = blocks_of(page)
    assert page.read_text().count("\n```") == 2 * len(blocks)
    for number, block in enumerate(blocks):
        match block.language:
            case "bash":
                assert not block.title
            case "python":
                assert any(f"python {block.title}" in later.text for later in blocks[number:])
            case language:
                assert language == "text"
                assert blocks[number - 1].language == "bash"
