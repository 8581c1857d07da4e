from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from offbeat_training.command import evaluate

PAGE = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text()
FLAGS = [name for name, each in inspect.signature(evaluate).parameters.items() if name not in ("scores", "context")]


@pytest.mark.parametrize("name", FLAGS)
def test_the_table_of_flags_has_every_flag(name: str) -> None:
    table = PAGE.partition("\n## Flags\n")[2].partition("\n## ")[0]
    assert f"`--{name.replace('_', '-')}`" in table
