"""The quantiles of what was learnt from, which checkpoints keep."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest

from offbeat.provenance import TrainingRecord
from offbeat_training import Checkpoint, TrainingConfig, normal_sample
from offbeat_training.fit import fit
from offbeat_training.normal_sample import normal_quantiles
from offbeat_training.training_data import prepare
from tests.training.examples import table, waves

PLACES = np.linspace(0, 1, 41)


def test_quantiles_are_those_of_the_windows_learnt_from_in_raw_units_and_of_the_errors_held_out() -> None:
    data = prepare(waves(400), TrainingConfig(seq_len=20))
    errors = np.random.default_rng(0).random(77).astype(np.float32)
    found = normal_quantiles(data, errors)
    assert found is not None
    assert found.n_windows == data.training.size
    values = data.raw_windows[data.training].reshape(-1, data.raw_windows.shape[-1])
    np.testing.assert_allclose(np.transpose(found.features), np.quantile(values, PLACES, axis=0), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.errors, np.quantile(errors, PLACES), rtol=1e-6)


def test_a_large_training_set_is_sampled_evenly_and_too_many_features_are_left_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = prepare(table(), TrainingConfig(preset="tabular", seed=3))
    errors = np.ones(10, np.float32)
    whole = normal_quantiles(data, errors)
    assert whole is not None
    monkeypatch.setattr(normal_sample, "_MAX_VALUES", 1)
    part = normal_quantiles(data, errors)
    assert part is not None
    assert part.n_windows == 64 < whole.n_windows
    spread = whole.features[0][-1] - whole.features[0][0]
    assert abs(part.features[0][20] - whole.features[0][20]) < 0.3 * spread
    monkeypatch.setattr(normal_sample, "_MAX_FEATURES", 1)
    assert normal_quantiles(data, errors) is None
    monkeypatch.undo()
    assert normal_quantiles(data, np.array([1, np.inf], np.float32)) is None


def test_a_trained_model_keeps_them_in_its_file(tmp_path: Path) -> None:
    checkpoint = fit(waves(300), TrainingConfig(seq_len=12, hidden_size=4, epochs=1))
    checkpoint.save(tmp_path / "model.ckpt")
    training = Checkpoint.load(tmp_path / "model.ckpt").training
    assert training == checkpoint.training
    normal = msgspec.convert(training, TrainingRecord).normal
    assert normal is not None
    assert len(normal.features) == len(checkpoint.feature_names)
