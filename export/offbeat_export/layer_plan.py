"""The layer plan: what to compute with the tensors of `model.safetensors`, in order."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from torch import nn

from offbeat.bundle.manifest import Manifest
from offbeat.errors import ExportError
from offbeat_export.layer_kinds import Add, BatchNorm, Flatten, GaussianDraws, Keep, Layer, Relu, Unflatten
from offbeat_export.lstm_plan import linear, lstm_heads, lstm_layers
from offbeat_export.plan_head import PlanHead
from offbeat_training.architectures import Architecture, Autoencoder, LSTMAutoencoder, VariationalAutoencoder
from offbeat_training.reconstruction_error import ErrorKind

PLAN_SCHEMA_VERSION: Final = 1
# What the linear path of a dense autoencoder is kept as.
_LINEAR = "linear"
MEAN, SCALE, THRESHOLD = "normalisation.mean", "normalisation.scale", "threshold"


class PlanInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The window: float32, raw units; its axes are names or sizes, as in the manifest."""

    name: str
    shape: tuple[int | str, ...]


class PlanNormalisation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Names of the tensors [feature] of (value − mean) / scale."""

    mean: str
    scale: str


class LayerPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Everything but the numbers: normalisation, layers, heads, the kind of error, the threshold's tensor. See docs/format.md."""

    schema_version: Literal[1]
    input: PlanInput
    normalisation: PlanNormalisation
    layers: tuple[Layer, ...]
    heads: tuple[PlanHead, ...] = ()
    error: ErrorKind
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
        heads=tuple(lstm_heads(model)) if isinstance(model, LSTMAutoencoder) else (),
        error=msgspec.convert(model.error, ErrorKind),
        threshold=THRESHOLD,
    )


def _layers(model: Architecture) -> list[Layer]:
    match model:
        case LSTMAutoencoder():
            return lstm_layers(model)
        case Autoencoder():
            return _dense_layers(model)
        case VariationalAutoencoder():
            return [*_sequence("encoder", model.encoder), _draws(model), *_sequence("decoder", model.decoder)]
        case _:
            raise ExportError(f"no layer plan is known for the architecture {model.kind!r}")


def _dense_layers(model: Autoencoder) -> list[Layer]:
    network = [*_sequence("encoder", model.encoder), *_sequence("decoder", model.decoder)]
    if model.linear_encoder is not None and model.linear_decoder is not None:
        path = [linear("linear_encoder", model.linear_encoder), linear("linear_decoder", model.linear_decoder)]
        network = [*path, Keep(name=_LINEAR), *network, Add(name=_LINEAR)]
    return [Flatten(), *network, Unflatten(n_steps=model.n_steps)] if model.has_time else network


def _draws(model: VariationalAutoencoder) -> GaussianDraws:
    return GaussianDraws(
        input_size=model.mean.in_features,
        output_size=model.latent_dim,
        n_draws=model.n_draws,
        weight_mean="mean.weight",
        bias_mean="mean.bias",
        weight_log_variance="log_variance.weight",
        bias_log_variance="log_variance.bias",
        noise="noise",
        limit=model.limit,
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
                layers.append(linear(f"{name}.{child}", module))
            case nn.BatchNorm1d():
                layers.append(_batch_norm(f"{name}.{child}", module))
            case nn.ReLU():
                layers.append(Relu())
            case nn.Dropout():
                pass  # It does nothing once training is over.
            case _:
                raise ExportError(f"no layer is known for {type(module).__name__} in {name}.{child}")
    return layers
