from __future__ import annotations

import io

import pytest
from rich.console import Console

from offbeat_export.export_progress import ExportProgress


def test_each_step_gets_a_line_with_its_seconds_and_details_get_none() -> None:
    times_s = iter([0.0, 2.5, 2.5, 4.0])
    console = Console(file=io.StringIO(), width=80)
    with ExportProgress(console, lambda: next(times_s)) as progress:
        progress.announce("writing model.onnx")
        progress.announce("measuring parity: real, batch 1")
        progress.announce("measuring parity: real, batch 2")
    lines = [line.rstrip() for line in console.file.getvalue().splitlines() if line.strip()]
    assert lines == ["   2.5 s  writing model.onnx", "   1.5 s  measuring parity"]


def _fail_in_a_step(console: Console) -> None:
    with ExportProgress(console) as progress:
        progress.announce("writing model.onnx")
        raise ValueError("no")


def test_a_step_that_fails_is_not_shown_as_done() -> None:
    console = Console(file=io.StringIO(), width=80)
    with pytest.raises(ValueError, match="no"):
        _fail_in_a_step(console)
    assert "writing" not in console.file.getvalue()
