from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from offbeat.data import Dataset
from offbeat.errors import ConfigurationError, TrainingError
from offbeat_training import Autoencoder, Checkpoint, LSTMAutoencoder, TrainingConfig, VariationalAutoencoder
from offbeat_training.checkpoint_draft import errors_of
from offbeat_training.fit import fit
from offbeat_training.preset_designs import PRESETS, TABULAR
from offbeat_training.presets import build_preset
from offbeat_training.training_data import prepare
from tests.training.examples import table, waves

DEFAULTS: dict[str, tuple[type, dict[str, Any]]] = {
    "repeat": (LSTMAutoencoder, {"hidden_size": 64, "n_layers": 1, "dropout": 0.0, "error": "mean_squared"}),
    "repeat-sigmoid": (LSTMAutoencoder, {"output_activation": "sigmoid", "error": "sum_squared"}),
    "repeat-classifier": (LSTMAutoencoder, {"n_classes": 3, "error": "sum_squared"}),
    "repeat-forecast": (LSTMAutoencoder, {"forecasts": True, "error": "sum_squared"}),
    "state": (LSTMAutoencoder, {"bridge": "state", "n_layers": 2, "dropout": 0.2, "error": "mean_squared"}),
    "stacked": (LSTMAutoencoder, {"hidden_size": 64, "narrow_size": 32, "error": "sum_absolute"}),
    "flexible": (LSTMAutoencoder, {"bridge": "repeat_state", "output_activation": "tanh", "latent_activation": "relu"}),
    "tabular": (Autoencoder, {"hidden_sizes": [128, 64], "latent_dim": 32, "dropout": 0.2}),
    "denoising": (Autoencoder, {"latent_dim": 16, "dropout": 0.0, "n_steps": 20, "noise": 1.0, "linear_dim": 60}),
    "variational": (VariationalAutoencoder, {"hidden_sizes": [128, 64], "latent_dim": 32, "n_draws": 10}),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_is_what_its_name_promises(preset: Any) -> None:
    model = build_preset(TrainingConfig(preset=preset), 3, n_classes=3, n_steps=0 if preset in TABULAR else 20)
    kind, settings = DEFAULTS[preset]
    assert type(model) is kind
    assert model.settings() | settings == model.settings()


def test_the_configuration_changes_what_its_preset_reads() -> None:
    config = TrainingConfig(
        preset="flexible", hidden_size=6, num_layers=2, num_decoder_layers=1, bidirectional=True, latent_dim=5,
        dropout=0.1, recurrent_dropout=0.2, latent_activation="tanh", n_repeats=9, output_activation="linear",
    )  # fmt: skip
    assert build_preset(config, 2).settings() == {
        "n_features": 2, "hidden_size": 6, "n_layers": 2, "n_decoder_layers": 1, "bidirectional": True, "latent_dim": 5,
        "dropout": 0.1, "recurrent_dropout": 0.2, "latent_activation": "tanh", "n_repeats": 9,
        "output_activation": "linear", "bridge": "repeat_state", "narrow_size": 0, "n_classes": 0, "forecasts": False,
        "error": "mean_squared",
    }  # fmt: skip
    assert build_preset(TrainingConfig(preset="stacked", hidden_size=64), 1).settings()["hidden_size"] == 128
    assert build_preset(TrainingConfig(preset="variational", beta=0.5, n_draws=3), 1).settings()["n_draws"] == 3


@pytest.mark.parametrize(
    ("preset", "field", "value"),
    [
        ("repeat", "latent_dim", 4),
        ("stacked", "num_layers", 2),
        ("state", "bidirectional", True),
        ("tabular", "beta", 0.1),
        ("flexible", "n_draws", 5),
        ("flexible", "recurrent_dropout", 1.0),
        ("flexible", "n_repeats", 0),
        ("flexible", "latent_activation", "swish"),
        ("variational", "beta", float("nan")),
        ("variational", "dropout", 0.1),
        ("tabular", "noise", 0.1),
        ("denoising", "noise", -1.0),
        ("denoising", "linear_dim", -1),
        ("denoising", "beta", 0.1),
    ],
)
def test_a_field_that_its_preset_does_not_read_or_that_is_out_of_range_is_refused(
    preset: Any, field: str, value: Any
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field} is"):
        TrainingConfig(preset=preset, **{field: value})


def small(preset: Any, **changes: Any) -> TrainingConfig:
    return TrainingConfig(
        preset=preset, seq_len=20, stride=5, hidden_size=8, epochs=3, lr=0.01, device="cpu", **changes
    )


@pytest.mark.parametrize("preset", [preset for preset in PRESETS if preset != "repeat-classifier"])
def test_every_preset_trains_and_takes_its_threshold_from_the_error_it_scores_by(preset: Any) -> None:
    dataset = table() if preset in TABULAR else waves()
    config = small(preset)
    checkpoint = fit(dataset, config)
    data = prepare(dataset, config)
    errors = errors_of(checkpoint.build_model(), data.windows, data.validation)
    assert checkpoint.threshold.value == pytest.approx(np.percentile(errors, 95.0), rel=1e-5)
    again = fit(dataset, config)
    assert all(torch.equal(tensor, again.state_dict[name]) for name, tensor in checkpoint.state_dict.items())


@pytest.mark.parametrize("preset", ["repeat-forecast", "state", "stacked", "flexible", "variational"])
def test_the_loss_of_a_preset_falls(preset: Any) -> None:
    dataset = table() if preset in TABULAR else waves()
    short, long = (fit(dataset, msgspec.structs.replace(small(preset), epochs=epochs)) for epochs in (1, 30))
    assert long.training["best_validation_loss"] < 0.9 * short.training["best_validation_loss"]


def two_kinds_of_windows() -> tuple[Dataset, np.ndarray]:
    random = np.random.default_rng(0)
    classes = random.integers(0, 2, 200)
    slope = np.where(classes, 1.0, -1.0)[:, None, None] * np.linspace(-2, 2, 12)[None, :, None]
    values = (slope + random.normal(0, 0.1, (200, 12, 1))).astype(np.float32)
    return Dataset(name="slopes", values=values, feature_names=("value",)), classes


def test_a_classifier_learns_the_classes_of_its_windows() -> None:
    dataset, classes = two_kinds_of_windows()
    config = msgspec.structs.replace(small("repeat-classifier"), epochs=20)
    checkpoint = fit(dataset, config, class_labels=classes)
    model = checkpoint.build_model()
    assert isinstance(model, LSTMAutoencoder)
    _, logits = model.classify(torch.from_numpy(prepare(dataset, config).windows))
    assert (logits.argmax(dim=1).numpy() == classes).mean() > 0.95


def test_a_window_of_a_series_is_of_the_class_of_its_last_row() -> None:
    dataset = waves(120)
    rising = np.gradient(dataset.values[:, 0]) > 0
    config = msgspec.structs.replace(small("repeat-classifier"), stride=1, epochs=2)
    assert isinstance(fit(dataset, config, class_labels=rising.astype(int)), Checkpoint)


@pytest.mark.parametrize(
    ("preset", "labels", "named"),
    [
        ("repeat-classifier", None, "class_labels are none"),
        ("repeat", np.arange(400) % 2, "class_labels are given"),
        ("repeat-classifier", np.arange(399) % 2, r"int64 \[399\]; expected 400 whole numbers"),
        ("repeat-classifier", np.linspace(0, 1, 400), "expected 400 whole numbers"),
        ("repeat-classifier", np.arange(400) % 2 - 1, "expected 400 whole numbers from 0"),
        ("repeat-classifier", np.zeros(400, int), "at least two classes"),
    ],
)
def test_class_labels_that_do_not_fit_are_an_error_that_says_so(preset: Any, labels: Any, named: str) -> None:
    with pytest.raises(TrainingError, match=named):
        fit(waves(400), small(preset), class_labels=labels)


def test_a_number_of_repeats_that_is_not_the_windows_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="n_repeats is 15 and a window has 20 steps: the error is over the first 15"):
        fit(waves(), small("flexible", n_repeats=15))
    fit(waves(), small("flexible", n_repeats=20))
