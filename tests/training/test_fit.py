from __future__ import annotations

import io
import re
from pathlib import Path
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
import torch
from rich.console import Console

from offbeat.data import Dataset
from offbeat.errors import ConfigurationError, TrainingError
from offbeat_training import Checkpoint, TrainingConfig
from offbeat_training import fit as fit_module
from offbeat_training.best_weights import BestWeights
from offbeat_training.fit import fit
from offbeat_training.reconstruction_error import window_errors
from offbeat_training.run_config import RunConfig
from offbeat_training.thresholds import choose_threshold
from offbeat_training.training_data import prepare
from tests.training.examples import table, waves

SERIES = TrainingConfig(seq_len=20, stride=5, hidden_size=8, epochs=6, batch_size=32, lr=0.01, device="cpu")
TABLE = TrainingConfig(preset="tabular", hidden_size=16, latent_dim=2, epochs=6, batch_size=32, device="cpu")


def held_out_errors(checkpoint: Checkpoint, dataset: Dataset, config: TrainingConfig) -> np.ndarray:
    data = prepare(dataset, config)
    normalised = torch.from_numpy(np.ascontiguousarray(data.windows[data.validation]))
    with torch.inference_mode():
        return window_errors(normalised, checkpoint.build_model()(normalised))[0].numpy()


@pytest.mark.parametrize(("dataset", "config"), [(waves(), SERIES), (table(), TABLE)], ids=["series", "table"])
def test_training_gives_a_whole_checkpoint_that_its_file_keeps(
    dataset: Dataset, config: TrainingConfig, tmp_path: Path
) -> None:
    checkpoint = fit(dataset, config)
    checkpoint.save(tmp_path / "model.ckpt")
    loaded = Checkpoint.load(tmp_path / "model.ckpt")
    assert loaded.training == checkpoint.training
    assert loaded.feature_names == dataset.feature_names
    assert loaded.training["source"] == {"name": dataset.name, "sha256": None, "n_rows": dataset.n_rows}
    assert loaded.training["n_epochs"] == 6
    assert loaded.training["n_training_windows"] > loaded.training["n_validation_windows"] > 0


@pytest.mark.parametrize(("dataset", "config"), [(waves(), SERIES), (table(), TABLE)], ids=["series", "table"])
def test_the_same_seed_gives_the_same_weights_bit_for_bit(dataset: Dataset, config: TrainingConfig) -> None:
    first, second = fit(dataset, config), fit(dataset, config)
    other = fit(dataset, msgspec.structs.replace(config, seed=1))
    assert all(torch.equal(first.state_dict[name], second.state_dict[name]) for name in first.state_dict)
    assert first.threshold == second.threshold
    assert any(not torch.equal(first.state_dict[name], other.state_dict[name]) for name in first.state_dict)


def test_training_leaves_the_random_state_of_its_caller_alone() -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(waves(), SERIES)
    assert torch.equal(torch.rand(3), expected)


def test_the_loss_falls() -> None:
    short = fit(waves(), msgspec.structs.replace(SERIES, epochs=1))
    long = fit(waves(), msgspec.structs.replace(SERIES, epochs=40))
    assert long.training["best_validation_loss"] < 0.7 * short.training["best_validation_loss"]


def test_early_stopping_restores_the_best_epoch() -> None:
    # Steps far too large: the loss jumps up and down, and the last epoch is not the best.
    config = msgspec.structs.replace(SERIES, lr=0.3, epochs=200, patience=4)
    checkpoint = fit(waves(), config)
    training = checkpoint.training
    assert training["n_epochs"] == training["best_epoch"] + 4 < 200
    until_best = fit(waves(), msgspec.structs.replace(config, epochs=training["best_epoch"]))
    assert all(torch.equal(tensor, until_best.state_dict[name]) for name, tensor in checkpoint.state_dict.items())
    errors = held_out_errors(checkpoint, waves(), config)
    assert errors.mean() == pytest.approx(training["best_validation_loss"], rel=1e-5)


def test_the_threshold_is_the_percentile_of_the_held_out_errors() -> None:
    config = msgspec.structs.replace(SERIES, percentile=90.0)
    checkpoint = fit(waves(), config)
    errors = held_out_errors(checkpoint, waves(), config)
    assert checkpoint.threshold.value == pytest.approx(np.percentile(errors, 90.0), rel=1e-5)
    assert checkpoint.threshold.percentile == 90.0
    assert checkpoint.threshold.n_windows == errors.size == checkpoint.training["n_validation_windows"]


def test_a_fixed_threshold_is_taken_as_it_is() -> None:
    threshold = choose_threshold(np.ones(7, np.float32), TrainingConfig(threshold=0.125))
    assert (threshold.value, threshold.method, threshold.percentile) == (0.125, "fixed", None)


@pytest.mark.parametrize("value", [1e39, 1e-40, 0.0, -1.0, float("nan"), float("inf")])
def test_a_fixed_threshold_that_no_model_could_hold_is_refused_before_training(value: float) -> None:
    with pytest.raises(ConfigurationError, match=r"threshold is .*; expected a positive, normal float32 number"):
        TrainingConfig(threshold=value)


@pytest.mark.parametrize("part", ["build_preset", "optimise"])
def test_too_little_memory_is_an_error_that_says_what_to_make_smaller(
    part: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # More than any address space has, so that it fails on every machine, and as torch fails.
    monkeypatch.setattr(fit_module, part, lambda *_: torch.empty(2**48))
    with pytest.raises(TrainingError, match=r"out of memory; try a smaller hidden_size .now 8.") as caught:
        fit(waves(), SERIES)
    assert len(str(caught.value).splitlines()) == 1


def test_an_error_of_torch_that_is_not_about_memory_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fit_module, "optimise", lambda *_: torch.zeros(2) @ torch.zeros(3))
    with pytest.raises(RuntimeError, match="size"):
        fit(waves(), SERIES)


def test_errors_of_zero_still_give_a_positive_threshold() -> None:
    assert choose_threshold(np.zeros(7, np.float32), TrainingConfig()).value > 0


def test_a_constant_series_trains() -> None:
    constant = Dataset(name="flat", values=np.full((200, 1), 3.5, np.float32), feature_names=("value",))
    assert np.isfinite(fit(constant, msgspec.structs.replace(SERIES, epochs=2)).threshold.value)


def test_labelled_anomalies_change_nothing_but_what_is_left_out() -> None:
    dataset = waves(600)
    labels = np.zeros(600, dtype=np.bool_)
    labels[100:110] = True
    spoiled = dataset.values.copy()
    spoiled[labels] = 1e6
    clean = fit(msgspec.structs.replace(dataset, labels=labels), SERIES)
    dirty = fit(msgspec.structs.replace(dataset, labels=labels, values=spoiled), SERIES)
    assert all(torch.equal(tensor, dirty.state_dict[name]) for name, tensor in clean.state_dict.items())


def test_a_loss_that_is_not_finite_is_an_error_that_says_what_to_try() -> None:
    config = msgspec.structs.replace(TABLE, optim="sgd", lr=1e30, epochs=5)
    with pytest.raises(TrainingError, match=r"epoch \d.*smaller lr \(now 1e\+30\) or grad_clip"):
        fit(table(), config)


def test_clipping_bounds_the_step() -> None:
    config = msgspec.structs.replace(SERIES, optim="sgd", lr=1.0, epochs=1, grad_clip=1e-9)
    torch.manual_seed(config.seed)
    clipped = fit(waves(), config)
    still = fit(waves(), msgspec.structs.replace(config, lr=1e-12))
    for name, tensor in clipped.state_dict.items():
        torch.testing.assert_close(tensor, still.state_dict[name], rtol=0, atol=1e-6)


def test_training_writes_no_file_and_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    fit(waves(), msgspec.structs.replace(SERIES, epochs=2))
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")


def test_progress_shows_epochs_and_losses() -> None:
    screen = io.StringIO()
    fit(waves(), SERIES, console=Console(file=screen, force_terminal=True, width=120))
    assert "6/6" in screen.getvalue()
    assert "held out" in screen.getvalue()


def test_a_screen_that_is_a_file_gets_a_line_every_few_epochs() -> None:
    screen = io.StringIO()
    fit(waves(), SERIES, run=RunConfig(log_interval=2), console=Console(file=screen, width=120))
    assert re.findall(r"^epoch (\d): loss [\d.]+, held out [\d.]+, best", screen.getvalue(), re.MULTILINE) == [
        "2",
        "4",
        "6",
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here")
def test_cuda_is_refused_where_there_is_no_gpu() -> None:
    with pytest.raises(ConfigurationError, match="no usable GPU"):
        fit(waves(), msgspec.structs.replace(SERIES, device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_training_on_a_gpu_gives_a_checkpoint_on_the_cpu() -> None:
    checkpoint = fit(waves(), msgspec.structs.replace(SERIES, device="cuda"))
    assert all(tensor.device.type == "cpu" for tensor in checkpoint.state_dict.values())


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("preset", "transformer"),
        ("seq_len", 0),
        ("stride", 0),
        ("hidden_size", 0),
        ("num_layers", -1),
        ("latent_dim", 4),
        ("dropout", 1.0),
        ("batch_size", 0),
        ("epochs", 0),
        ("patience", 0),
        ("optim", "lion"),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("weight_decay", -1.0),
        ("grad_clip", 0.0),
        ("validation_fraction", 1.0),
        ("percentile", 0.0),
        ("percentile", 101.0),
        ("threshold", -1.0),
        ("threshold", float("inf")),
        ("seed", -1),
        ("device", "tpu"),
    ],
)
def test_every_setting_out_of_range_is_an_error_naming_it(field: str, value: object) -> None:
    with pytest.raises(ConfigurationError, match=f"^{field} is"):
        TrainingConfig(**{field: value})


def test_a_table_needs_batches_of_three_rows_for_its_batch_norm() -> None:
    with pytest.raises(ConfigurationError, match="batch_size is 2"):
        TrainingConfig(preset="tabular", batch_size=2)


def test_the_smallest_table_trains() -> None:
    checkpoint = fit(table(3), msgspec.structs.replace(TABLE, batch_size=3, epochs=2))
    assert checkpoint.training["n_training_windows"] == 2


def test_of_epochs_with_the_same_loss_the_first_is_kept() -> None:
    best = BestWeights()
    module = SimpleNamespace(model=torch.nn.Linear(1, 1))
    for epoch, loss in enumerate((2.0, 1.0, 1.0, 3.0)):
        torch.nn.init.constant_(module.model.weight, float(epoch))
        trainer = SimpleNamespace(callback_metrics={"validation_loss": torch.tensor(loss)}, current_epoch=epoch)
        best.on_validation_end(trainer, module)
    assert (best.epoch, best.loss, best.weights["weight"].item()) == (2, 1.0, 1.0)
