"""The example of docs/report.md, run as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[3] / "docs" / "report.md").read_text()


def test_the_example_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (example,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    exec(example, {"__name__": "documentation"})  # noqa: S102
    assert (tmp_path / "report.html").is_file()
    written = {path.name for path in (tmp_path / "pictures").iterdir()}
    assert written < set(re.findall(r"`([a-z-]+\.png)`", PAGE))
