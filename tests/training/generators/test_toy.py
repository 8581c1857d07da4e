from __future__ import annotations

import numpy as np
import pytest

from offbeat.data import Dataset
from offbeat.errors import ConfigurationError
from offbeat_training.generators.load_windows import load_windows
from offbeat_training.generators.toy import Anomaly, toy_anomalies, toy_sequences


def labels_of(dataset: Dataset) -> np.ndarray:
    assert dataset.labels is not None
    return dataset.labels


def test_toy_sequences_are_uniform_and_normal() -> None:
    dataset = toy_sequences(400, 30, 2)
    assert dataset.values.shape == (400, 30, 2)
    assert dataset.values.dtype == np.float32
    histogram, _ = np.histogram(dataset.values, bins=10, range=(0, 1))
    assert histogram.sum() == dataset.values.size
    np.testing.assert_allclose(histogram, 2400, rtol=0.1)
    assert not labels_of(dataset).any()


def test_the_seed_decides_everything() -> None:
    np.testing.assert_array_equal(toy_anomalies(50, seed=3).values, toy_anomalies(50, seed=3).values)
    assert (toy_sequences(50, seed=3).values != toy_sequences(50, seed=4).values).mean() > 0.99
    assert (labels_of(toy_anomalies(50, seed=3)) != labels_of(toy_anomalies(50, seed=4))).any()


@pytest.mark.parametrize("anomaly", ["spike", "shift"])
@pytest.mark.parametrize("ratio", [0.0, 0.05, 0.333, 1.0])
def test_exactly_the_labelled_windows_are_disturbed(anomaly: Anomaly, ratio: float) -> None:
    normal, dataset = toy_sequences(200, 20, 3, seed=1), toy_anomalies(200, 20, 3, anomaly=anomaly, ratio=ratio, seed=1)
    labels = labels_of(dataset)
    assert labels.sum() == round(ratio * 200)
    changed = (dataset.values != normal.values).any(axis=(1, 2))
    np.testing.assert_array_equal(changed, labels)
    is_outside = ((dataset.values < 0) | (dataset.values >= 1)).any(axis=(1, 2))
    np.testing.assert_array_equal(is_outside, labels)


def test_a_spike_is_one_value_and_a_shift_lasts_to_the_end() -> None:
    normal = toy_sequences(100, 20, 2).values
    spiked = toy_anomalies(100, 20, 2, anomaly="spike", ratio=1.0).values - normal
    assert ((spiked != 0).sum(axis=(1, 2)) == 1).all()
    shifted = toy_anomalies(100, 20, 2, anomaly="shift", ratio=1.0).values - normal
    first = (shifted[:, :, 0] > 0.5).argmax(axis=1)
    assert first.max() < 10
    for window, start in zip(shifted, first, strict=True):
        assert (window[:start] == 0).all()
        assert np.ptp(window[start:]) < 1e-5


def test_windows_of_one_step_can_be_disturbed_too() -> None:
    assert labels_of(toy_anomalies(10, 1, anomaly="shift", ratio=0.5)).sum() == 5


def test_normal_and_high_load_have_the_promised_mean_and_deviation() -> None:
    dataset = load_windows(300, 200, 40, 2)
    labels = labels_of(dataset)
    assert labels.tolist() == [False] * 300 + [True] * 200
    normal, high = dataset.values[~labels], dataset.values[labels]
    assert (normal.mean(), normal.std()) == (pytest.approx(0.5, abs=0.005), pytest.approx(0.1, abs=0.005))
    assert (high.mean(), high.std()) == (pytest.approx(0.9, abs=0.01), pytest.approx(0.2, abs=0.01))


def test_normal_windows_do_not_depend_on_the_others() -> None:
    np.testing.assert_array_equal(load_windows(50, 20, seed=2).values[:50], load_windows(50, seed=2).values)
    assert load_windows(0, 5).n_rows == 5


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: toy_sequences(0), "n_windows is 0"),
        (lambda: toy_sequences(length=0), "length is 0"),
        (lambda: toy_sequences(n_features=-1), "n_features is -1"),
        (lambda: toy_sequences(10**9, 100), "at most"),
        (lambda: toy_anomalies(ratio=1.5), "ratio is 1.5"),
        (lambda: toy_anomalies(anomaly="drift"), "anomaly is 'drift'; expected one of spike, shift"),
        (lambda: load_windows(0, 0), "n_windows is 0"),
        (lambda: load_windows(-1, 5), "n_normal is -1"),
    ],
)
def test_what_makes_no_data_set_is_refused(make, field: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ConfigurationError, match=field):
        make()
