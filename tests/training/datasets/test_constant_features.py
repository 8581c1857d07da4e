"""A feature that never changes, all the way from a file to scores."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from offbeat.data import ColumnSelection, Dataset, read_dataset, sliding_windows
from offbeat_training import TrainingConfig
from offbeat_training.fit import fit
from offbeat_training.generators import server_metrics, write_csv
from offbeat_training.reconstruction_error import window_errors


@pytest.mark.parametrize("level", [0.0, 0.1, 1e30])
def test_a_constant_feature_gives_finite_scores_and_still_tells_when_it_moves(tmp_path: Path, level: float) -> None:
    metrics = server_metrics(300)
    constant = np.full((300, 1), level, dtype=np.float32)
    values = np.hstack([metrics.values, constant])
    write_csv(Dataset(name="c", values=values, feature_names=("cpu", "memory", "fixed")), tmp_path / "c.csv")
    dataset = read_dataset(tmp_path / "c.csv", ColumnSelection(missing="interpolate"))
    config = TrainingConfig(seq_len=10, epochs=1, hidden_size=4, stride=5, device="cpu")
    checkpoint = fit(dataset, config)
    assert checkpoint.normalisation.scale[2].item() == 1.0
    assert 0 < checkpoint.threshold.value < np.inf
    model = checkpoint.build_model()
    windows = torch.tensor(np.ascontiguousarray(sliding_windows(dataset.values, 10)[::50]))
    moved = windows.clone()
    moved[:, 5, 2] = level + max(10.0, abs(level))
    with torch.inference_mode():
        both = [checkpoint.normalisation.apply(each) for each in (windows, moved)]
        normal, anomalous = (window_errors(each, model(each))[0] for each in both)
    assert torch.isfinite(normal).all()
    assert (normal < 100).all()
    assert (anomalous > normal).all()
