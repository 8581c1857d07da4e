from __future__ import annotations

import msgspec
import numpy as np
import pytest

from offbeat.errors import ConfigurationError, TrainingError
from offbeat_training import TrainingConfig
from offbeat_training.fit import fit
from offbeat_training.thresholds import choose_threshold, require_enough_windows
from tests.training.examples import waves

ERRORS = np.random.default_rng(0).gamma(3, size=500).astype(np.float32)


def test_without_a_method_it_is_the_percentile_or_the_value_given() -> None:
    assert choose_threshold(ERRORS, TrainingConfig()).method == "percentile"
    assert choose_threshold(ERRORS, TrainingConfig(threshold=2.0)).method == "fixed"
    assert choose_threshold(ERRORS, TrainingConfig(threshold=2.0, threshold_method="fixed")).value == 2.0


@pytest.mark.parametrize("method", ["pot", "conformal"])
def test_the_rate_is_one_percent_unless_another_is_given(method: str) -> None:
    config = msgspec.convert({"threshold_method": method}, TrainingConfig)
    default, given = (
        choose_threshold(ERRORS, each) for each in (config, msgspec.structs.replace(config, false_alarm_rate=0.1))
    )
    assert (default.method, default.false_alarm_rate, given.false_alarm_rate) == (method, 0.01, 0.1)
    assert given.value < default.value


def test_best_f1_parts_the_held_out_windows_from_the_anomalies() -> None:
    threshold = choose_threshold(ERRORS, TrainingConfig(threshold_method="best-f1"), ERRORS.max() + 1 + ERRORS)
    assert (threshold.f1, threshold.n_windows) == (1.0, 1000)
    assert ERRORS.max() < threshold.value < ERRORS.max() + 1 + ERRORS.min()


def test_an_anomaly_whose_error_is_infinite_is_found() -> None:
    wild = np.array([np.inf, np.nan], np.float32)
    assert choose_threshold(ERRORS, TrainingConfig(threshold_method="best-f1"), wild).f1 == 1.0


def test_the_more_normal_windows_each_stands_for_the_higher_is_the_threshold() -> None:
    config = TrainingConfig(threshold_method="best-f1")
    rare, frequent = (choose_threshold(ERRORS, config, 4 + ERRORS[:50], weight).value for weight in (100.0, 1.0))
    assert frequent < rare


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"threshold_method": "magic"}, "threshold_method is 'magic'"),
        ({"threshold_method": "fixed"}, "a number with threshold_method fixed"),
        ({"threshold_method": "pot", "threshold": 1.0}, "none with any other"),
        ({"false_alarm_rate": 0.01}, "goes with threshold_method pot or conformal"),
        ({"threshold_method": "pot", "false_alarm_rate": 0.0}, "above 0, up to 0.25"),
        ({"threshold_method": "pot", "false_alarm_rate": float("nan")}, "above 0, up to 0.25"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        TrainingConfig(**settings)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("method", "words"), [("pot", "needs 20 windows"), ("conformal", "needs 99"), ("best-f1", "label_column")]
)
def test_too_few_windows_are_refused_before_training(method: str, words: str) -> None:
    config = msgspec.convert({"threshold_method": method}, TrainingConfig)
    with pytest.raises(TrainingError, match=words):
        require_enough_windows(19, 0, config)


def test_fit_finds_labelled_anomalies_that_it_did_not_learn_from() -> None:
    dataset = waves(800)
    labels = np.zeros(800, dtype=np.bool_)
    labels[300:320] = True
    spoiled = dataset.values.copy()
    spoiled[labels] += 20
    config = TrainingConfig(
        seq_len=20, stride=5, hidden_size=8, epochs=4, batch_size=32, lr=0.01, device="cpu", threshold_method="best-f1"
    )
    threshold = fit(msgspec.structs.replace(dataset, labels=labels, values=spoiled), config).threshold
    assert threshold.f1 is not None
    assert threshold.f1 > 0.9
