from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from offbeat.data import Dataset
from offbeat_training import Checkpoint, Detector, TrainingConfig
from offbeat_training import refit as refit_module
from offbeat_training.checkpoint_draft import CheckpointDraft
from offbeat_training.fit import fit
from offbeat_training.folds import N_FOLDS, sample_folds, series_folds
from offbeat_training.optimise import optimise
from offbeat_training.run_config import RunConfig
from tests.training.examples import table, waves

CONFIG = TrainingConfig(
    preset="denoising", seq_len=12, hidden_size=8, latent_dim=2, epochs=3, lr=0.01, device="cpu", refit=True
)


def test_no_row_is_both_learnt_from_and_held_out_in_a_fold() -> None:
    starts = np.arange(0, 300, 2)
    folds = series_folds(starts, 12)
    assert len(folds) == N_FOLDS
    np.testing.assert_array_equal(np.concatenate([held_out for _, held_out in folds]), starts)
    for training, held_out in folds:
        rows, others = ({start + step for start in part for step in range(12)} for part in (training, held_out))
        assert not rows & others


def test_a_series_too_short_for_its_windows_has_no_folds() -> None:
    assert series_folds(np.arange(100), 60) == []
    # Beside the middle third, and what shares rows with it, 11 windows and 9 are left: more than a tenth, and less.
    assert len(series_folds(np.arange(100), 29)) == N_FOLDS
    assert series_folds(np.arange(100), 30) == []
    assert series_folds(np.arange(2), 1) == []


def test_folds_of_samples_are_random_parts_that_the_seed_repeats() -> None:
    positions = np.arange(5, 55)
    folds = sample_folds(positions, seed=1)
    np.testing.assert_array_equal(np.sort(np.concatenate([held_out for _, held_out in folds])), positions)
    assert all(not np.intersect1d(*fold).size for fold in folds)
    for one, other in zip(folds, sample_folds(positions, seed=1), strict=True):
        np.testing.assert_array_equal(one[1], other[1])
    assert sample_folds(np.arange(5), seed=1) == []


def test_a_refit_ends_with_a_quarter_of_its_epochs_at_a_tenth_of_the_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[int, float]] = []

    def optimised(model: Any, draft: CheckpointDraft, *rest: Any) -> Any:
        seen.append((draft.config.epochs, draft.config.lr))
        return optimise(model, draft, *rest)

    monkeypatch.setattr(refit_module, "optimise", optimised)
    settings = TrainingConfig(seq_len=12, hidden_size=4, epochs=12, lr=0.01, device="cpu", refit=True)
    n_epochs = int(fit(waves(400), settings).training["best_epoch"])
    assert n_epochs > 8
    assert set(seen) == {(n_epochs, 0.01), (round(n_epochs / 4), 0.01 * 0.1)}
    assert seen[:2] == [(n_epochs, 0.01), (round(n_epochs / 4), 0.01 * 0.1)]


def test_all_normal_windows_are_learnt_from_and_judged_by_a_model_that_had_not_seen_them() -> None:
    checkpoint = fit(waves(400), CONFIG)
    n_windows = 400 - CONFIG.seq_len + 1
    assert checkpoint.training["n_training_windows"] == n_windows
    assert checkpoint.threshold.n_windows == n_windows


def test_the_last_rows_change_the_model_only_with_a_refit() -> None:
    dataset = waves(400)
    changed = dataset.values.copy()
    changed[-10:] += 2
    for refit in (False, True):
        config = msgspec.structs.replace(CONFIG, refit=refit)
        before, after = (fit(each, config) for each in (dataset, msgspec.structs.replace(dataset, values=changed)))
        same = torch.equal(before.normalisation.mean, after.normalisation.mean)
        assert same is not refit


def test_anomalous_rows_stay_out_of_a_refit() -> None:
    dataset = waves(400)
    labels = np.zeros(400, np.bool_)
    labels[200:204] = True
    spoilt = dataset.values.copy()
    spoilt[200:204] = 1e6
    clean, dirty = (
        fit(msgspec.structs.replace(dataset, values=values, labels=labels), CONFIG)
        for values in (dataset.values, spoilt)
    )
    assert all(torch.equal(tensor, dirty.state_dict[name]) for name, tensor in clean.state_dict.items())


def test_tables_and_ready_made_windows_are_refitted_too() -> None:
    rows = fit(table(), msgspec.structs.replace(CONFIG, preset="tabular"))
    assert rows.threshold.n_windows == rows.training["n_training_windows"] == 300
    windows = np.random.default_rng(0).normal(size=(30, 12, 1)).astype(np.float32)
    beats = fit(Dataset(name="beats", values=windows, feature_names=("value",)), CONFIG)
    assert beats.threshold.n_windows == beats.training["n_training_windows"] == 30


def test_a_run_that_was_resumed_is_refitted_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    whole = fit(waves(400), msgspec.structs.replace(CONFIG, epochs=4))
    folder = RunConfig(model_dir=tmp_path / "run", resume=True)
    fit(waves(400), msgspec.structs.replace(CONFIG, epochs=2), run=folder)
    resumed = fit(waves(400), msgspec.structs.replace(CONFIG, epochs=4), run=folder)
    assert resumed.threshold == whole.threshold
    assert all(torch.equal(tensor, resumed.state_dict[name]) for name, tensor in whole.state_dict.items())
    best = Checkpoint.load(tmp_path / "run" / "best.ckpt")
    assert all(torch.equal(tensor, best.state_dict[name]) for name, tensor in whole.state_dict.items())


def test_where_no_epoch_was_as_good_as_the_linear_path_none_is_made() -> None:
    config = msgspec.structs.replace(CONFIG, lr=10.0)
    correction = fit(waves(400), config).state_dict["decoder.8.weight"]
    assert not correction.any()
    assert fit(waves(400), msgspec.structs.replace(config, refit=False)).state_dict["decoder.8.weight"].any()


@pytest.mark.parametrize("n_rows", [1400, 2400])
def test_new_rows_of_a_clean_series_of_several_windows_are_seldom_flagged(n_rows: int) -> None:
    random = np.random.default_rng(n_rows)
    rows = np.arange(2 * n_rows)
    series = (np.sin(2 * np.pi * rows / 48) + 0.1 * random.normal(size=rows.size)).astype(np.float32)[:, None]
    detector = Detector(preset="auto", epochs=10, device="cpu").fit(series[:n_rows])
    assert detector.predict(series[n_rows:]).mean() <= 0.05
