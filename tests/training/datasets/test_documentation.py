"""The examples of docs/data.md, run as they stand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from offbeat_training.generators import server_metrics, write_csv
from tests.training.datasets.shared import SHARED_DATA, needs_shared_data

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[3] / "docs" / "data.md").read_text(), re.DOTALL)
# Files that nobody here has; tests make their like.
ABSENT = ("ServerMachineDataset", "001_UCR_Anomaly", "001_NAB_id", "idx3-ubyte", "mnist.npz")


@needs_shared_data
def test_every_example_runs_as_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in SHARED_DATA.iterdir():
        if folder.is_dir():
            (tmp_path / folder.name).symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    write_csv(server_metrics(3000), tmp_path / "metrics.csv")
    names: dict[str, Any] = {"__name__": "documentation"}
    # Those that need a model are run beside the models.
    for block in (block for block in BLOCKS if "offbeat.load" not in block):
        lines = [line for line in block.splitlines() if not any(word in line for word in ABSENT)]
        exec("\n".join(lines), names)  # noqa: S102
    assert names["parts"].test.values.shape == (2 * 20, 50, 1)
    assert (tmp_path / "test.csv").is_file()
