"""What docs/training.md says of weights that were trained elsewhere, run as it stands."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from offbeat_training import Checkpoint
from offbeat_training.generators import server_metrics, write_csv

PAGE = (Path(__file__).parents[2] / "docs" / "training.md").read_text()


def test_layers_of_ones_own_become_a_checkpoint_that_computes_what_they_compute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_csv(server_metrics(1500), tmp_path / "train.csv")
    section = PAGE.partition("### Weights trained elsewhere")[2]
    (example,) = re.findall(r"```python\n(.*?)```", section, re.DOTALL)
    names: dict[str, Any] = {"__name__": "documentation"}
    exec(example, names)  # noqa: S102
    checkpoint = Checkpoint.load("mine.ckpt")
    windows = names["normalised"][:8]
    with torch.no_grad():
        latent = names["encoder"](windows)[1][0][-1]
        own = names["output"](names["decoder"](latent[:, None].repeat(1, windows.shape[1], 1))[0])
        np.testing.assert_allclose(checkpoint.build_model()(windows), own, atol=1e-6)
    assert checkpoint.feature_names == ("cpu", "memory")
    assert np.mean(names["errors"] > checkpoint.threshold.value) == pytest.approx(0.01, abs=0.002)
