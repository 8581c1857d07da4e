"""The layer plan: what to compute with the tensors of `model.safetensors`, in order."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from torch import nn

from offbeat.bundle.manifest import Manifest
from offbeat.errors import ExportError
from offbeat_training.architectures import Architecture, Autoencoder, LSTMAutoencoder

PLAN_SCHEMA_VERSION: Final = 1
MEAN, SCALE, THRESHOLD = "normalisation.mean", "normalisation.scale", "threshold"


class _Layer(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=True):
    """One step from the normalised window to its reconstruction. Strings other than `kind` are names of tensors."""


class LSTM(_Layer, tag="lstm", frozen=True, kw_only=True):
    """[batch, time, input_size] → [batch, time, hidden_size], from a zero state; rows of the weights are gates i, f, g, o."""

    input_size: int
    hidden_size: int
    weight_input: str
    weight_hidden: str
    bias_input: str
    bias_hidden: str


class LastStep(_Layer, tag="last_step", frozen=True, kw_only=True):
    """[batch, time, size] → [batch, size]: the last step alone."""


class Repeat(_Layer, tag="repeat", frozen=True, kw_only=True):
    """[batch, size] → [batch, time, size]: the same vector at each of the window's steps."""


class Linear(_Layer, tag="linear", frozen=True, kw_only=True):
    """[..., input_size] → [..., output_size]: x · weightᵀ + bias."""

    input_size: int
    output_size: int
    weight: str
    bias: str


class BatchNorm(_Layer, tag="batch_norm", frozen=True, kw_only=True):
    """[batch, size] → same: (x − mean) / √(variance + epsilon) · weight + bias."""

    size: int
    epsilon: float
    mean: str
    variance: str
    weight: str
    bias: str


class Relu(_Layer, tag="relu", frozen=True, kw_only=True):
    """max(x, 0)."""


Layer = LSTM | LastStep | Repeat | Linear | BatchNorm | Relu


class PlanInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The window: float32, raw units; its axes are names or sizes, as in the manifest."""

    name: str
    shape: tuple[int | str, ...]


class PlanNormalisation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names of the tensors [feature] of (value − mean) / scale."""

    mean: str
    scale: str


class LayerPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything but the numbers: normalisation, layers, the kind of error, the threshold's tensor. See docs/format.md."""

    schema_version: Literal[1]
    input: PlanInput
    normalisation: PlanNormalisation
    layers: tuple[Layer, ...]
    error: Literal["mean_squared"]
    threshold: str

    def to_json(self) -> str:
        """The plan as it stands in the file's metadata."""
        return msgspec.json.encode(self).decode()


def plan_layers(model: Architecture, manifest: Manifest) -> LayerPlan:
    """The plan of a model. Raises ExportError for an architecture that has none."""
    window = manifest.inputs[0]
    return LayerPlan(
        schema_version=PLAN_SCHEMA_VERSION,
        input=PlanInput(name=window.name, shape=window.shape),
        normalisation=PlanNormalisation(mean=MEAN, scale=SCALE),
        layers=tuple(_layers(model)),
        error="mean_squared",
        threshold=THRESHOLD,
    )


def _layers(model: Architecture) -> list[Layer]:
    match model:
        case LSTMAutoencoder():
            encoder, decoder = _lstm("encoder", model.encoder), _lstm("decoder", model.decoder)
            return [*encoder, LastStep(), Repeat(), *decoder, _linear("output", model.output)]
        case Autoencoder():
            return [*_sequence("encoder", model.encoder), *_sequence("decoder", model.decoder)]
        case _:
            raise ExportError(f"no layer plan is known for the architecture {model.kind!r}")


def _lstm(name: str, lstm: nn.LSTM) -> list[Layer]:
    return [
        LSTM(
            input_size=lstm.input_size if layer == 0 else lstm.hidden_size,
            hidden_size=lstm.hidden_size,
            weight_input=f"{name}.weight_ih_l{layer}",
            weight_hidden=f"{name}.weight_hh_l{layer}",
            bias_input=f"{name}.bias_ih_l{layer}",
            bias_hidden=f"{name}.bias_hh_l{layer}",
        )
        for layer in range(lstm.num_layers)
    ]


def _linear(name: str, linear: nn.Linear) -> Linear:
    return Linear(
        input_size=linear.in_features, output_size=linear.out_features, weight=f"{name}.weight", bias=f"{name}.bias"
    )


def _batch_norm(name: str, norm: nn.BatchNorm1d) -> BatchNorm:
    return BatchNorm(
        size=norm.num_features,
        epsilon=norm.eps,
        mean=f"{name}.running_mean",
        variance=f"{name}.running_var",
        weight=f"{name}.weight",
        bias=f"{name}.bias",
    )


def _sequence(name: str, modules: nn.Sequential) -> list[Layer]:
    layers: list[Layer] = []
    for child, module in modules.named_children():
        match module:
            case nn.Linear():
                layers.append(_linear(f"{name}.{child}", module))
            case nn.BatchNorm1d():
                layers.append(_batch_norm(f"{name}.{child}", module))
            case nn.ReLU():
                layers.append(Relu())
            case nn.Dropout():
                pass  # It does nothing once training is over.
            case _:
                raise ExportError(f"no layer is known for {type(module).__name__} in {name}.{child}")
    return layers
