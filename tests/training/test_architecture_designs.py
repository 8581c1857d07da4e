from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from offbeat_training import LSTMAutoencoder, build_architecture
from tests.training.architecture_references import (
    Flexible,
    Repeat,
    RepeatClassifier,
    RepeatForecast,
    Stacked,
    State,
)

SIGMOID = {"output_activation": "sigmoid", "error": "sum_squared"}


def windows(n_features: int, n_steps: int = 9) -> Tensor:
    return torch.randn(4, n_steps, n_features)


def agree(seen: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(seen, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "reference"),
    [
        (LSTMAutoencoder(3, 8), Repeat(3, 8)),
        (LSTMAutoencoder(1, 4, 3, 0.3), Repeat(1, 4, 3)),
        (LSTMAutoencoder(2, 8, **SIGMOID), Repeat(2, 8, is_sigmoid=True)),
        (LSTMAutoencoder(2, 6, 2, 0.2, bridge="state"), State(2, 6, 2)),
        (LSTMAutoencoder(1, 8, narrow_size=4, error="sum_absolute"), Stacked(1, 4)),
    ],
    ids=["repeat", "repeat, 3 layers", "repeat-sigmoid", "state", "stacked"],
)
def test_a_design_gives_its_references_output_with_its_references_weights(
    model: LSTMAutoencoder, reference: nn.Module
) -> None:
    model.eval().load_state_dict(reference.state_dict(), strict=True)
    x = windows(model.n_features)
    agree(model(x), reference(x))


def test_the_classifier_reads_the_decoders_last_hidden_state() -> None:
    model, reference = LSTMAutoencoder(2, 8, n_classes=3, error="sum_squared"), RepeatClassifier(2, 8, 3)
    model.load_state_dict(reference.state_dict(), strict=True)
    x, labels = windows(2), torch.tensor([0, 2, 1, 1])
    reconstruction, logits = model.classify(x)
    agree(reconstruction, reference(x))
    agree(logits, reference.logits(x))
    loss = nn.MSELoss(reduction="sum")(reference(x), x) + nn.CrossEntropyLoss(reduction="sum")(logits, labels)
    torch.testing.assert_close(model.losses(x, labels).sum(), loss)


@pytest.mark.parametrize("is_sigmoid", [False, True])
def test_the_forecast_reads_the_encoders_output_at_every_step(is_sigmoid: bool) -> None:
    settings = SIGMOID if is_sigmoid else {"error": "sum_squared"}
    model, reference = LSTMAutoencoder(2, 8, forecasts=True, **settings), RepeatForecast(2, 8, is_sigmoid)
    model.load_state_dict(reference.state_dict(), strict=True)
    x = windows(2)
    reconstruction, forecast = model.forecast(x)
    agree(reconstruction, reference(x))
    agree(forecast, reference.forecast(x))
    squares = nn.MSELoss(reduction="sum")
    torch.testing.assert_close(
        model.losses(x).sum(), squares(reference(x), x) + squares(reference.forecast(x)[:, :-1], x[:, 1:])
    )


FLEXIBLE: dict[str, dict[str, Any]] = {
    "plain": {},
    "three layers to two": {"n_layers": 3, "n_decoder_layers": 2},
    "bidirectional": {"n_layers": 2, "bidirectional": True},
    "bottleneck": {"latent_dim": 3},
    "bottleneck as wide as the decoder": {"latent_dim": 6},
    "everything": {"n_layers": 2, "n_decoder_layers": 3, "bidirectional": True, "latent_dim": 5},
}


def copy_layer(target: nn.LSTM, layer: int, source: nn.LSTM, suffix: str = "") -> None:
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        getattr(target, f"{name}_l{layer}{suffix}").data.copy_(getattr(source, f"{name}_l0"))


def take_weights(model: LSTMAutoencoder, reference: Flexible) -> None:
    for layer, source in enumerate(reference.ahead):
        copy_layer(model.encoder, layer, source)
    for layer, source in enumerate(reference.behind):
        copy_layer(model.encoder, layer, source, "_reverse")
    for layer, source in enumerate(reference.layers):
        copy_layer(model.decoder, layer, source)
    model.output.load_state_dict(reference.output.state_dict())
    for name, sources in (("latent", reference.bottleneck), ("state", reference.projection)):
        targets = [getattr(model, f"{name}_hidden"), getattr(model, f"{name}_cell")]
        assert (targets != [None, None]) == bool(sources)
        for target, source in zip(targets, sources, strict=bool(sources)):
            target.load_state_dict(source.state_dict())


@pytest.mark.parametrize("n_repeats", [0, 5, 14], ids=["as many repeats as steps", "fewer", "more"])
@pytest.mark.parametrize("case", FLEXIBLE)
def test_the_flexible_design_in_all_its_forms(case: str, n_repeats: int) -> None:
    settings = FLEXIBLE[case]
    model = LSTMAutoencoder(
        2, 6, bridge="repeat_state", output_activation="tanh", n_repeats=n_repeats, dropout=0.2, **settings
    )
    n_layers = settings.get("n_layers", 1)
    reference = Flexible(
        2,
        6,
        n_layers,
        settings.get("n_decoder_layers", n_layers),
        settings.get("latent_dim", 0),
        settings.get("bidirectional", False),
    )
    take_weights(model.eval(), reference)
    x = windows(2)
    expected = reference(x, n_repeats or None)
    n_compared = min(9, n_repeats or 9)
    agree(model(x), expected[:, :9])
    error, feature_error, step_error = model.errors(x)
    agree(error, (x[:, :n_compared] - expected[:, :n_compared]).square().mean(dim=(1, 2)))
    assert step_error is not None
    assert step_error.shape == (4, n_compared)
    torch.testing.assert_close(step_error.sum(dim=1), error)
    torch.testing.assert_close(feature_error.sum(dim=1), error)
    assert model.is_time_dynamic == (n_repeats == 0)


BEFORE = {"n_features": 3, "hidden_size": 5, "n_layers": 2, "dropout": 0.1}


def test_settings_of_before_the_designs_make_the_module_they_made() -> None:
    model = build_architecture("lstm_autoencoder", BEFORE)
    assert set(model.state_dict()) == set(Repeat(3, 5, 2).state_dict())
    assert (model.error, model.is_time_dynamic) == ("mean_squared", True)
