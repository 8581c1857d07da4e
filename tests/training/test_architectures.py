from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from offbeat.errors import ConfigurationError
from offbeat_training import Autoencoder, LSTMAutoencoder, build_architecture
from offbeat_training.architectures import Architecture
from offbeat_training.reconstruction_error import window_errors


def lstm_by_hand(lstm: nn.LSTM, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """The LSTM of the textbook, step by step and layer by layer: every output of the last layer, and its final state."""
    layer_inputs = inputs
    for layer in range(lstm.num_layers):
        weights = [
            getattr(lstm, f"{name}_l{layer}").double() for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        ]
        hidden = cell = torch.zeros(inputs.shape[0], lstm.hidden_size, dtype=torch.float64)
        outputs = []
        for step in range(inputs.shape[1]):
            gates = layer_inputs[:, step] @ weights[0].T + hidden @ weights[1].T + weights[2] + weights[3]
            i, f, g, o = gates.chunk(4, dim=1)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
            outputs.append(hidden)
        layer_inputs = torch.stack(outputs, dim=1)
    return layer_inputs, hidden


@pytest.mark.parametrize(("n_features", "hidden_size", "n_layers"), [(1, 4, 1), (3, 8, 1), (2, 5, 3)])
def test_lstm_autoencoder_repeats_the_last_hidden_state_into_its_decoder(
    n_features: int, hidden_size: int, n_layers: int
) -> None:
    torch.manual_seed(1)
    model = LSTMAutoencoder(n_features, hidden_size, n_layers, dropout=0.3).eval()
    windows = torch.randn(4, 9, n_features)
    with torch.inference_mode():
        _, latent = lstm_by_hand(model.encoder, windows.double())
        decoded, _ = lstm_by_hand(model.decoder, latent[:, None, :].repeat(1, 9, 1))
        expected = decoded @ model.output.weight.double().T + model.output.bias.double()
        torch.testing.assert_close(model(windows).double(), expected, rtol=0, atol=1e-6)


def test_autoencoder_is_blocks_to_a_latent_layer_and_back() -> None:
    torch.manual_seed(2)
    model = Autoencoder(6, hidden_sizes=(16, 8), latent_dim=3, dropout=0.2)
    for _ in range(3):
        model(torch.randn(32, 6) * 4 + 1)
    model.eval()
    layers = [module for part in (model.encoder, model.decoder) for module in part]
    rows = expected = torch.randn(5, 6)
    with torch.inference_mode():
        for layer in layers:
            if isinstance(layer, nn.Linear):
                expected = expected @ layer.weight.T + layer.bias
            elif isinstance(layer, nn.BatchNorm1d):
                spread = torch.sqrt(layer.running_var + layer.eps)
                expected = (expected - layer.running_mean) / spread * layer.weight + layer.bias
            elif isinstance(layer, nn.ReLU):
                expected = expected.clamp(min=0)
        torch.testing.assert_close(model(rows), expected, rtol=0, atol=1e-6)
    kinds = ["Linear", "BatchNorm1d", "ReLU", "Dropout"]
    assert [type(layer).__name__ for layer in layers] == [*kinds, *kinds, "Linear", *kinds, *kinds, "Linear"]
    widths = [(layer.in_features, layer.out_features) for layer in layers if isinstance(layer, nn.Linear)]
    assert widths == [(6, 16), (16, 8), (8, 3), (3, 8), (8, 16), (16, 6)]


MODELS = [
    (LSTMAutoencoder(2, 5, 2, 0.1), (4, 7, 2), (3, 11, 2)),
    (LSTMAutoencoder(2, 5, 2, 0.1, bridge="state"), (4, 7, 2), (3, 11, 2)),
    (LSTMAutoencoder(2, 6, narrow_size=3, error="sum_absolute"), (4, 7, 2), (3, 11, 2)),
    (LSTMAutoencoder(2, 5, 2, bridge="repeat_state", bidirectional=True, latent_dim=3), (4, 7, 2), (3, 11, 2)),
    (Autoencoder(4, (6, 3), 2), (4, 4), (9, 4)),
]


class Errors(nn.Module):
    """What the exported graph does with a model."""

    def __init__(self, model: Architecture) -> None:
        super().__init__()
        self.model = model

    def forward(self, windows: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        return window_errors(windows, self.model(windows), self.model.error)


@pytest.mark.parametrize(("model", "_", "shape"), MODELS)
def test_models_and_errors_can_be_scripted(model: Architecture, _: Any, shape: tuple[int, ...]) -> None:
    scripted = torch.jit.script(Errors(model.eval()))
    windows = torch.randn(shape)
    for mine, expected in zip(scripted(windows), Errors(model)(windows), strict=True):
        torch.testing.assert_close(mine, expected)


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # nn.LSTM checks its input's size in Python
@pytest.mark.parametrize(("model", "traced_shape", "shape"), MODELS)
def test_a_trace_serves_other_batches_and_lengths(
    model: Architecture, traced_shape: tuple[int, ...], shape: tuple[int, ...]
) -> None:
    traced = torch.jit.trace(model.eval(), torch.randn(traced_shape))
    windows = torch.randn(shape)
    torch.testing.assert_close(traced(windows), model(windows))


@pytest.mark.parametrize("model", [case[0] for case in MODELS])
def test_settings_rebuild_the_same_module(model: Architecture) -> None:
    rebuilt = build_architecture(model.kind, model.settings())
    rebuilt.load_state_dict(model.state_dict(), strict=True)
    assert rebuilt.settings() == model.settings()
    assert str(rebuilt) == str(model)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("transformer", {}),
        ("lstm_autoencoder", {}),
        ("lstm_autoencoder", {"n_features": 0}),
        ("lstm_autoencoder", {"n_features": 2, "hidden_size": 10**12}),
        ("lstm_autoencoder", {"n_features": 2, "n_layers": 10**9}),
        ("lstm_autoencoder", {"n_features": 2, "dropout": float("nan")}),
        ("lstm_autoencoder", {"n_features": 2, "colour": "red"}),
        ("lstm_autoencoder", {"n_features": 2, "error": "huber"}),
        ("lstm_autoencoder", {"n_features": 2, "output_activation": "swish"}),
        ("lstm_autoencoder", {"n_features": 2, "n_classes": 1}),
        ("lstm_autoencoder", {"n_features": 2, "n_classes": 2, "forecasts": True}),
        ("lstm_autoencoder", {"n_features": 2, "bridge": "state", "n_decoder_layers": 2}),
        ("lstm_autoencoder", {"n_features": 2, "bridge": "state", "bidirectional": True}),
        ("lstm_autoencoder", {"n_features": 2, "bridge": "state", "narrow_size": 4}),
        ("lstm_autoencoder", {"n_features": 2, "bidirectional": True, "narrow_size": 4}),
        ("lstm_autoencoder", {"n_features": "2"}),
        ("lstm_autoencoder", {"n_features": 2, "hidden_size": 2.5}),
        ("autoencoder", {"n_features": 2, "hidden_sizes": [4] * 1000}),
        ("autoencoder", {"n_features": 2, "hidden_sizes": [0]}),
        ("autoencoder", {"n_features": 2, "hidden_sizes": 8}),
        ("autoencoder", {"n_features": 2, "latent_dim": 0}),
        ("autoencoder", {"n_features": 2, "error": "huber"}),
    ],
)
def test_settings_that_fit_no_module_are_a_configuration_error(kind: str, settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        build_architecture(kind, settings)
