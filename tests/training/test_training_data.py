from __future__ import annotations

import msgspec
import numpy as np
import pytest
import torch

from offbeat.data import Dataset
from offbeat.errors import TrainingError
from offbeat_training import TrainingConfig
from offbeat_training.preprocessing import Normalisation, unresolved
from offbeat_training.training_data import Batches, prepare
from tests.training.examples import table, waves


def test_standardisation_sees_the_training_part_alone() -> None:
    dataset = waves(400)
    config = TrainingConfig(seq_len=20)
    before = prepare(dataset, config)
    first_held_out = int(before.validation[0])
    changed = dataset.values.copy()
    changed[first_held_out:] *= 1000
    after = prepare(msgspec.structs.replace(dataset, values=changed), config)
    torch.testing.assert_close(before.normalisation.mean, after.normalisation.mean, rtol=0, atol=0)
    torch.testing.assert_close(before.normalisation.scale, after.normalisation.scale, rtol=0, atol=0)
    rows = dataset.values[: before.training[-1] + 20].astype(np.float64)
    np.testing.assert_allclose(before.normalisation.mean, rows.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(before.normalisation.scale, rows.std(axis=0), rtol=1e-6)


def test_standardisation_of_a_table_sees_neither_the_held_out_nor_the_anomalous_rows() -> None:
    dataset = table()
    labels = np.zeros(300, dtype=np.bool_)
    labels[:30] = True
    config = TrainingConfig(preset="tabular", seed=3)
    before = prepare(msgspec.structs.replace(dataset, labels=labels), config)
    changed = dataset.values.copy()
    changed[before.validation] = 1e6
    changed[:30] = -1e6
    after = prepare(msgspec.structs.replace(dataset, labels=labels, values=changed), config)
    torch.testing.assert_close(before.normalisation.mean, after.normalisation.mean, rtol=0, atol=0)


@pytest.mark.parametrize("level", [0.0, 5.0, 0.1, 1e30])
def test_a_constant_feature_is_centred_and_never_blown_up(level: float) -> None:
    normalisation = Normalisation.fit(np.full((1000, 1), level, dtype=np.float32))
    assert normalisation.scale.tolist() == [1.0]
    assert normalisation.apply(torch.full((1, 1), level)).abs().item() == 0.0


def offset_noise(offset: float, deviation: float) -> np.ndarray:
    """A column that float32 holds in coarse steps."""
    return (offset + np.random.default_rng(1).normal(0, deviation, (1000, 1))).astype(np.float32)


@pytest.mark.parametrize(
    ("offset", "deviation"),
    [(1e9, 30.0), (-1e9, 10.0), (1e9, 100.0), (1e30, 1e22), (1e3, 1e-5), (5.0, 3e-7), (1e-4, 1e-11)],
)
def test_no_scale_is_below_what_float32_can_tell_apart(offset: float, deviation: float) -> None:
    values = offset_noise(offset, deviation)
    assert np.ptp(values) > 0
    assert unresolved(values).tolist() == [True]
    bounds: tuple[tuple[float, float], ...] = ((0.0, 1.0), (-1.0, 1.0))
    for normalisation in (Normalisation.fit(values), *(Normalisation.fit_range(values, *each) for each in bounds)):
        assert normalisation.scale.item() >= np.spacing(np.float32(abs(offset)))
        normalised = normalisation.apply(torch.from_numpy(values))
        # A deviation is at most the scale, so that only its tail lies beyond, and one step is no outlier.
        assert normalised.abs().max() <= 6
        assert normalised.square().mean() <= 1.5
    for low, high in bounds:
        normalised = Normalisation.fit_range(values, low, high).apply(torch.from_numpy(values))
        assert low - 0.5 <= normalised.min() <= normalised.max() <= high + 0.5


@pytest.mark.parametrize(
    ("offset", "deviation"), [(0.0, 1.0), (1e9, 1e4), (100.0, 0.01), (0.0, 1e-30), (1e30, 0.0), (0.1, 0.0)]
)
def test_features_that_float32_resolves_and_constant_ones_need_no_offset_taken_off(
    offset: float, deviation: float
) -> None:
    values = offset_noise(offset, deviation)
    assert unresolved(values).tolist() == [False]
    assert Normalisation.fit(values).scale.item() == pytest.approx(values.std(dtype=np.float64) or 1.0)


@pytest.mark.parametrize(
    "config", [TrainingConfig(seq_len=20), TrainingConfig(preset="tabular"), TrainingConfig(preset="flexible")]
)
def test_a_large_offset_is_warned_of_by_the_columns_name(config: TrainingConfig) -> None:
    values = np.hstack([waves(1000).values, offset_noise(1e9, 30.0)])
    dataset = Dataset(name="x", values=values, feature_names=("a", "b", "odometer"))
    with pytest.warns(
        UserWarning, match="column 'odometer' varies by 3.*, where float32 steps by 64: subtract an offset"
    ) as told:
        prepare(dataset, config)
    assert len(told) == 1
    assert len(str(told[0].message).splitlines()) == 1


def test_validation_windows_are_raw_and_spread_over_the_held_out_part() -> None:
    data = prepare(waves(600), TrainingConfig(seq_len=20))
    windows = data.raw_validation_windows(64)
    assert windows.shape == (64, 20, 2)
    assert windows.dtype == torch.float32
    first, last = int(data.validation[0]), int(data.validation[-1])
    np.testing.assert_array_equal(windows[0], waves(600).values[first : first + 20])
    np.testing.assert_array_equal(windows[-1], waves(600).values[last : last + 20])


def test_ready_made_windows_keep_their_length() -> None:
    windows = np.random.default_rng(0).normal(size=(30, 12, 1)).astype(np.float32)
    data = prepare(Dataset(name="beats", values=windows, feature_names=("value",)), TrainingConfig(seq_len=50))
    assert data.window is not None
    assert (data.window.length, data.window.stride) == (12, 12)
    assert data.training.size + data.validation.size == 30


def test_windows_do_not_fit_the_tabular_preset() -> None:
    windows = Dataset(name="beats", values=np.zeros((30, 12, 1), np.float32), feature_names=("value",))
    with pytest.raises(TrainingError, match="beats holds windows"):
        prepare(windows, TrainingConfig(preset="tabular"))


@pytest.mark.parametrize(("n", "max_size"), [(5, 4), (9, 4), (8, 8), (3, 100), (257, 128)])
def test_batches_cover_every_window_once_and_none_is_left_with_one_row(n: int, max_size: int) -> None:
    windows = np.arange(n, dtype=np.float32)[:, None]
    batches = list(Batches(windows, np.arange(n), max_size, torch.Generator().manual_seed(1)))
    assert sorted(value.item() for batch in batches for value in batch) == list(range(n))
    assert all(2 <= len(batch) <= max_size for batch in batches)
    assert len(batches) == len(Batches(windows, np.arange(n), max_size))


def test_each_pass_over_the_batches_has_another_order_that_the_seed_repeats() -> None:
    windows = np.arange(50, dtype=np.float32)[:, None]

    def passes(seed: int) -> list[list[float]]:
        batches = Batches(windows, np.arange(50), 16, torch.Generator().manual_seed(seed))
        return [torch.cat(list(batches)).ravel().tolist() for _ in range(2)]

    assert passes(1) == passes(1)
    assert passes(1)[0] != passes(1)[1]
    assert passes(1) != passes(2)


@pytest.mark.parametrize(
    ("config", "low", "high"),
    [
        (TrainingConfig(preset="repeat-sigmoid"), 0.0, 1.0),
        (TrainingConfig(preset="flexible"), -1.0, 1.0),
        (TrainingConfig(preset="repeat-forecast", output_activation="sigmoid"), 0.0, 1.0),
    ],
)
def test_values_learnt_from_fill_the_range_that_a_bounded_output_can_reproduce(
    config: TrainingConfig, low: float, high: float
) -> None:
    data = prepare(waves(), config)
    learnt_from = data.windows[data.training].reshape(-1, 2)
    np.testing.assert_allclose(learnt_from.min(axis=0), low, atol=1e-5)
    np.testing.assert_allclose(learnt_from.max(axis=0), high, atol=1e-5)


def test_an_unbounded_output_learns_standardised_values() -> None:
    data = prepare(waves(), TrainingConfig(preset="flexible", output_activation="linear", stride=50))
    learnt_from = data.windows[data.training].reshape(-1, 2)
    np.testing.assert_allclose(learnt_from.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(learnt_from.std(axis=0), 1.0, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 5e6])
def test_a_constant_feature_is_not_blown_up_by_its_range_either(level: float) -> None:
    normalisation = Normalisation.fit_range(np.full((50, 1), level, dtype=np.float32), 0.0, 1.0)
    assert normalisation.scale.item() == 1.0
    assert normalisation.apply(torch.tensor([[level]])).item() == 0.0
