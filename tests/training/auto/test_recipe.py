from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from offbeat.data import Dataset
from offbeat.errors import ConfigurationError, TrainingError
from offbeat_training import Detector, TrainingConfig
from offbeat_training.auto import resolve
from offbeat_training.auto.window import MAX_PART, MAX_VALUES, window_length, window_stride
from offbeat_training.fit import fit

AUTO = TrainingConfig(preset="auto", device="cpu")


def dataset_of(values: np.ndarray, **fields: Any) -> Dataset:
    names = tuple(f"f{index}" for index in range(values.shape[-1]))
    return Dataset(name="made", values=values.astype(np.float32), feature_names=names, **fields)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def wave(n_rows: int, period: int = 48) -> np.ndarray:
    return np.sin(2 * np.pi * np.arange(n_rows) / period)[:, None] + 0.05 * noise(n_rows, 1)


def test_another_preset_is_left_as_it_is() -> None:
    config = TrainingConfig(preset="state")
    choice = resolve(dataset_of(wave(300)), config)
    assert choice.config is config
    assert choice.reasons == ()


def test_one_feature_or_time_stamps_make_a_series() -> None:
    stamps = np.datetime_as_string(np.arange("2024-01-01", 400, dtype="datetime64[D]"))
    for dataset in (dataset_of(noise(400, 1)), dataset_of(noise(400, 5), timestamps=stamps)):
        assert resolve(dataset, AUTO).config.preset == "denoising"


def test_without_either_a_slow_feature_tells_a_series_from_a_table() -> None:
    assert resolve(dataset_of(noise(400, 5)), AUTO).config.preset == "tabular"
    with_level = np.hstack([noise(400, 5), noise(400, 1).cumsum(axis=0)])
    choice = resolve(dataset_of(with_level), AUTO)
    assert choice.config.preset == "denoising"
    assert "neighbouring rows of 'f5' correlate at" in choice.reasons[0]


def test_a_window_length_that_is_given_says_what_rows_are() -> None:
    rows = dataset_of(noise(400, 5))
    assert resolve(rows, msgspec.structs.replace(AUTO, seq_len=20)).config.preset == "denoising"
    assert resolve(dataset_of(wave(400)), msgspec.structs.replace(AUTO, seq_len=1)).config.preset == "tabular"


def test_ready_made_windows_get_no_linear_path() -> None:
    config = resolve(dataset_of(noise(60, 140, 1)), AUTO).config
    assert (config.preset, config.linear_dim, config.refit) == ("denoising", 0, True)


def test_a_window_is_a_whole_number_of_periods_near_200_values() -> None:
    assert window_length(wave(2000))[0] == 192
    assert window_length(wave(2000, 288))[0] == pytest.approx(288, abs=2)
    assert window_length(wave(2000, 130))[0] == pytest.approx(260, abs=4)
    assert window_length(np.hstack([wave(2000, 15)] * 8))[0] == 30


def test_without_a_period_a_window_has_about_200_values_but_at_least_30_rows() -> None:
    assert window_length(noise(2000, 1)) == (200, "no dominant period; about 200 values")
    assert window_length(noise(2000, 4))[0] == 50
    assert window_length(noise(2000, 38)) == (30, "no dominant period; at least 30 rows")


@pytest.mark.parametrize(("n_rows", "n_features"), [(1, 1), (3, 1), (10, 1), (60, 1), (60, 5000), (600, 166), (40, 8)])
def test_a_window_is_never_too_long_for_the_rows_or_the_memory(n_rows: int, n_features: int) -> None:
    length, _ = window_length(noise(n_rows, n_features))
    assert 1 <= length <= max(1, MAX_PART * n_rows)
    assert length == 1 or length * n_features <= MAX_VALUES


def test_windows_are_thinned_out_and_no_row_is_left_out() -> None:
    assert window_stride(2400, 200) == 1
    assert window_stride(1_000_000, 1440) == 250
    assert window_stride(10_000_000, 200) == 200


def test_fields_that_are_given_win_over_the_recipe() -> None:
    given = msgspec.structs.replace(AUTO, seq_len=64, batch_size=32, percentile=90.0, noise=0.5)
    config = resolve(dataset_of(wave(900)), given).config
    assert (config.seq_len, config.batch_size, config.percentile, config.noise) == (64, 32, 90.0, 0.5)
    named = resolve(dataset_of(wave(900)), AUTO, given=["seq_len", "preset"]).config
    assert named.seq_len == TrainingConfig().seq_len


def test_a_field_that_the_chosen_preset_does_not_read_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="bidirectional is True; expected none with preset denoising"):
        resolve(dataset_of(wave(900)), msgspec.structs.replace(AUTO, bidirectional=True))


def test_labels_only_say_which_rows_are_left_out() -> None:
    labels = np.zeros(3000, np.bool_)
    labels[1000:1010] = True
    values = wave(3000)
    spoilt = values.copy()
    spoilt[1000:1010] = 1e6
    assert resolve(dataset_of(values, labels=labels), AUTO) == resolve(dataset_of(spoilt, labels=labels), AUTO)


def test_the_recorded_configuration_repeats_the_model_bit_for_bit() -> None:
    dataset = dataset_of(wave(260, 20))
    checkpoint = fit(dataset, msgspec.structs.replace(AUTO, epochs=3))
    recorded = msgspec.convert(checkpoint.training_config, TrainingConfig)
    assert recorded.preset == "denoising"
    again = fit(dataset, recorded)
    assert again.threshold == checkpoint.threshold
    assert all(torch.equal(tensor, again.state_dict[name]) for name, tensor in checkpoint.state_dict.items())


@pytest.mark.parametrize(
    "values",
    [noise(6, 1), np.ones((80, 1)), np.hstack([np.ones((80, 2)), noise(80, 1).cumsum(axis=0)]), noise(40, 300)],
    ids=["six rows", "constant", "mostly constant", "wide"],
)
def test_odd_data_are_learnt_and_scored(values: np.ndarray) -> None:
    detector = Detector(preset="auto", epochs=2, device="cpu").fit(values)
    assert np.isfinite(detector.decision_scores_).all()
    assert detector.threshold_ > 0


def test_too_few_rows_are_an_error_that_says_what_to_do() -> None:
    with pytest.raises(TrainingError, match=r"expects at least two|expected at least"):
        fit(dataset_of(noise(2, 1)), AUTO)


def test_a_spike_and_a_shift_in_a_wave_stand_out() -> None:
    values = wave(1500)
    detector = Detector(preset="auto", epochs=5, device="cpu").fit(values[:1000])
    spoilt = values.copy()
    spoilt[1200] += 4
    spoilt[1400:1420] += 1.5
    scores = detector.decision_function(spoilt)
    assert scores[[1200, 1410]].min() > 2 * detector.threshold_
    assert scores[:1000].max() < 1.5 * detector.threshold_
