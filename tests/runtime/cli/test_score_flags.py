from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.runtime import folders
from tests.runtime.cli.conftest import Run
from tests.runtime.cli.test_score import write_series


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--key", "x"), "--key is given, and nothing here reads it; it goes with an npz file"),
        (("--model-version", 1), "--model-version is given, and nothing here reads it; it goes with --server"),
        (("--timeout-s", 3), "--timeout-s is given, and nothing here reads it; it goes with --server"),
        (("--server", "127.0.0.1:1", "--n-threads", 2), "--n-threads .* scoring in this process, without --server"),
        (("--per", "window", "--row-score", "newest"), "--row-score .* --per row"),
    ],
)
def test_a_flag_that_nothing_reads_is_refused(
    offbeat: Run, model: Path, tmp_path: Path, flags: tuple[object, ...], words: str
) -> None:
    write_series(tmp_path / "data.csv", 30)
    done = offbeat("score", tmp_path / "data.csv", "--model", model, *flags)
    assert done.returncode == 1
    assert done.stdout == ""
    with pytest.raises(AssertionError, match=words):
        raise AssertionError(done.stderr)


def test_ready_made_windows_have_no_rows_to_score(offbeat: Run, model: Path, tmp_path: Path) -> None:
    np.savez(tmp_path / "data.npz", x=folders.random_windows(9))
    for flags in (("--per", "window"), ("--row-score", "newest"), ("--stride", 3)):
        done = offbeat("score", tmp_path / "data.npz", "--model", model, *flags)
        assert done.returncode == 1
        assert f"{flags[0]} is given, and nothing here reads it; it goes with rows of a series" in done.stderr
