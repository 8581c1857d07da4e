"""Which weights of a scorer a variant stores in fewer bits, and the scorer that they make."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator, Mapping

import torch

from offbeat.bundle.manifest import Manifest
from offbeat.bundle.precision_record import WeightPrecision
from offbeat_export.layer_kinds import Layer
from offbeat_export.layer_plan import plan_layers
from offbeat_export.quantised_weight import QuantisedWeight
from offbeat_export.scoring_module import ScoringModule

QuantisedWeights = Mapping[str, QuantisedWeight]


def quantise_weights(module: ScoringModule, manifest: Manifest, precision: WeightPrecision) -> QuantisedWeights:
    """The weight matrices of a scorer by their names in `model.safetensors`; biases, norms and noise are not among them.

    Raises ExportError for a weight that the precision cannot hold.
    """
    tensors = module.model.state_dict()
    names = weight_names(module, manifest)
    return {name: QuantisedWeight.of(tensors[name], precision, name) for name in names if tensors[name].dim() == 2}


def weight_names(module: ScoringModule, manifest: Manifest) -> tuple[str, ...]:
    """Tensors that a layer of the plan multiplies with: those its keys call `weight…`, each once."""
    plan = plan_layers(module.model, manifest)
    layers: list[Layer] = [*plan.layers, *(layer for head in plan.heads for layer in head.layers)]
    return tuple(dict.fromkeys(_weights_of(layers)))


def _weights_of(layers: Iterable[Layer]) -> Iterator[str]:
    for layer in layers:
        for field in layer.__struct_fields__:
            name = getattr(layer, field)
            if field.startswith("weight") and name is not None:
                yield name


def with_weights(module: ScoringModule, weights: QuantisedWeights) -> ScoringModule:
    """A copy of the scorer that computes in float32 with what the weights stand for: the meaning of the variant."""
    rounded = copy.deepcopy(module)
    tensors = rounded.model.state_dict()
    with torch.no_grad():
        for name, weight in weights.items():
            tensors[name].copy_(weight.dequantised())
    return rounded
