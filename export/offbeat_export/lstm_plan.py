"""The plan of an LSTMAutoencoder: its layers in order, and its heads."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from offbeat_export.layer_kinds import (
    LSTM,
    BidirectionalLSTM,
    DenseState,
    HiddenState,
    Keep,
    LastStep,
    Layer,
    Linear,
    Relu,
    Repeat,
    Sigmoid,
    Softmax,
    Tanh,
    Zeros,
)
from offbeat_export.plan_head import PlanHead
from offbeat_training.architectures import LSTMAutoencoder
from offbeat_training.architectures.lstm_settings import Activation

_ACTIVATIONS: dict[str, tuple[Layer, ...]] = {
    "linear": (),
    "relu": (Relu(),),
    "sigmoid": (Sigmoid(),),
    "tanh": (Tanh(),),
}
# Names under which values and states are kept.
_ENCODED, _DECODED = "encoded", "decoded"
_ENCODER_STATE, _LATENT_STATE, _INITIAL_STATE = "encoder", "latent", "initial"
_NO_STATES: Mapping[int, str] = {}


def lstm_layers(model: LSTMAutoencoder) -> list[Layer]:
    """From the normalised window to its reconstruction."""
    return [*_encoder(model), *_bridge(model), *_decoder(model), *_output(model)]


def lstm_heads(model: LSTMAutoencoder) -> list[PlanHead]:
    """What the model gives beside the reconstruction."""
    if model.classifier is not None:
        from_last_step = (LastStep(), linear("classifier", model.classifier), Softmax())
        return [PlanHead(output="class_probability", value=_DECODED, layers=from_last_step)]
    if model.forecaster is not None:
        from_each_step = (linear("forecaster", model.forecaster), *_ACTIVATIONS[model.config.output_activation])
        return [PlanHead(output="forecast", value=_ENCODED, layers=from_each_step)]
    return []


def linear(name: str, module: nn.Linear) -> Linear:
    """The layer of a Linear that stands in the module as `name`."""
    return Linear(
        input_size=module.in_features, output_size=module.out_features, weight=f"{name}.weight", bias=f"{name}.bias"
    )


def _encoder(model: LSTMAutoencoder) -> list[Layer]:
    n_layers = model.encoder.num_layers
    states = {layer: f"{_ENCODER_STATE}.{layer}" for layer in range(n_layers)} if model.bridge == "state" else {}
    if model.bridge == "repeat_state" or model.bidirectional:
        states = {n_layers - 1: _ENCODER_STATE}
    layers = _lstm("encoder", model.encoder, final_states=states)
    if model.encoder_narrow is not None:
        layers += _lstm("encoder_narrow", model.encoder_narrow)
    return [*layers, Keep(name=_ENCODED)] if model.forecaster is not None else layers


def _bridge(model: LSTMAutoencoder) -> list[Layer]:
    """From the encoder's state to what the decoder reads."""
    match model.bridge:
        case "state":
            return [Zeros(size=model.n_features)]
        case "repeat_state":
            states, latent = _latent_states(model)
            return [*states, HiddenState(state=latent), _repeat(model)]
        case _:
            taken: Layer = HiddenState(state=_ENCODER_STATE) if model.bidirectional else LastStep()
            return [taken, *_bottleneck(model), _repeat(model)]


def _repeat(model: LSTMAutoencoder) -> Repeat:
    return Repeat(n_repeats=model.n_repeats or None)


def _bottleneck(model: LSTMAutoencoder) -> list[Layer]:
    if model.latent_hidden is None:
        return []
    return [linear("latent_hidden", model.latent_hidden), *_ACTIVATIONS[model.config.latent_activation]]


def _latent_states(model: LSTMAutoencoder) -> tuple[list[Layer], str]:
    """Layers that keep the latent state, and the one the decoder starts from where it differs; the latent state's name."""
    layers: list[Layer] = []
    latent = _ENCODER_STATE
    if model.latent_hidden is not None:
        latent = _LATENT_STATE
        layers.append(
            _dense_state("latent", model.latent_hidden, _ENCODER_STATE, latent, model.config.latent_activation)
        )
    if model.state_hidden is not None:
        layers.append(_dense_state("state", model.state_hidden, latent, _INITIAL_STATE, "linear"))
    return layers, latent


def _dense_state(name: str, hidden: nn.Linear, source: str, target: str, activation: Activation) -> DenseState:
    return DenseState(
        state=source,
        final_state=target,
        input_size=hidden.in_features,
        output_size=hidden.out_features,
        weight_hidden=f"{name}_hidden.weight",
        bias_hidden=f"{name}_hidden.bias",
        weight_cell=f"{name}_cell.weight",
        bias_cell=f"{name}_cell.bias",
        activation=activation,
    )


def _decoder(model: LSTMAutoencoder) -> list[Layer]:
    narrow = [] if model.decoder_narrow is None else _lstm("decoder_narrow", model.decoder_narrow)
    layers = [*narrow, *_lstm("decoder", model.decoder, initial_states=_initial_states(model))]
    return [*layers, Keep(name=_DECODED)] if model.classifier is not None else layers


def _initial_states(model: LSTMAutoencoder) -> dict[int, str]:
    """The names of the states that the decoder's layers start from; the others start from zero."""
    if model.bridge == "state":
        return {layer: f"{_ENCODER_STATE}.{layer}" for layer in range(model.decoder.num_layers)}
    if model.bridge == "repeat":
        return {}
    if model.state_hidden is not None:
        return {0: _INITIAL_STATE}
    return {0: _ENCODER_STATE if model.latent_hidden is None else _LATENT_STATE}


def _output(model: LSTMAutoencoder) -> list[Layer]:
    return [linear("output", model.output), *_ACTIVATIONS[model.config.output_activation]]


def _lstm(
    name: str,
    lstm: nn.LSTM,
    initial_states: Mapping[int, str] = _NO_STATES,
    final_states: Mapping[int, str] = _NO_STATES,
) -> list[Layer]:
    """One layer of the plan for each of an nn.LSTM that stands in the module as `name`."""
    if lstm.bidirectional:
        return [_bidirectional_layer(name, lstm, layer, final_states.get(layer)) for layer in range(lstm.num_layers)]
    return [
        LSTM(
            input_size=lstm.input_size if layer == 0 else lstm.hidden_size,
            hidden_size=lstm.hidden_size,
            initial_state=initial_states.get(layer),
            final_state=final_states.get(layer),
            **_tensors(name, layer),
        )
        for layer in range(lstm.num_layers)
    ]


def _bidirectional_layer(name: str, lstm: nn.LSTM, layer: int, final_state: str | None) -> BidirectionalLSTM:
    forward = _tensors(name, layer)
    backward = {f"{field}_reverse": f"{tensor}_reverse" for field, tensor in forward.items()}
    return BidirectionalLSTM(
        input_size=lstm.input_size if layer == 0 else 2 * lstm.hidden_size,
        hidden_size=lstm.hidden_size,
        final_state=final_state,
        **forward,
        **backward,
    )


def _tensors(name: str, layer: int) -> dict[str, str]:
    """Names of one layer's tensors, by the field that holds them."""
    fields = {
        "weight_input": "weight_ih",
        "weight_hidden": "weight_hh",
        "bias_input": "bias_ih",
        "bias_hidden": "bias_hh",
    }
    return {field: f"{name}.{tensor}_l{layer}" for field, tensor in fields.items()}
