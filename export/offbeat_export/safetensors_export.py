"""`model.safetensors`: the weights as trained or in fewer bits, and the layer plan that says what to compute with them."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from offbeat.bundle.manifest import Manifest
from offbeat.errors import BackendError
from offbeat_export.eager import one_line
from offbeat_export.layer_plan import MEAN, SCALE, THRESHOLD, plan_layers
from offbeat_export.quantised_weight import QuantisedWeight
from offbeat_export.scoring_module import ScoringModule
from offbeat_training.architectures import build_architecture

# How many batches a BatchNorm saw in training: an integer, and without meaning once it is over.
_COUNTER = "num_batches_tracked"
# What the scales of an int8 weight are called beside it.
ROW_SCALE = ".scale"
_STORED_TYPES = (torch.float32, torch.float16, torch.bfloat16)
_NO_WEIGHTS: Mapping[str, QuantisedWeight] = {}


def export_safetensors(
    module: ScoringModule, manifest: Manifest, quantised: Mapping[str, QuantisedWeight] = _NO_WEIGHTS
) -> bytes:
    """The serialised tensors, row-major, under the module's own names; metadata `plan` is the layer plan.

    All are float32 but for those in `quantised`, by name: these are float16, bfloat16, or int8 beside float32 `NAME.scale`
    [row].
    """
    weights = {name: weight for name, weight in module.model.state_dict().items() if not name.endswith(_COUNTER)}
    tensors = weights | {MEAN: module.mean, SCALE: module.scale, THRESHOLD: module.threshold}
    for name, weight in quantised.items():
        tensors[name] = weight.values
        if weight.scale is not None:
            tensors[f"{name}{ROW_SCALE}"] = weight.scale
    return save(
        {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
        # One key only: safetensors writes several in no particular order, and the same model must give the same bytes.
        metadata={"plan": plan_layers(module.model, manifest).to_json()},
    )


def import_safetensors(content: bytes, manifest: Manifest, where: str) -> ScoringModule:
    """The eager scorer again, its weights exactly those exported, in float32: of a variant, what its weights stand for.

    Raises BackendError where the tensors are not those of the manifest's architecture, ConfigurationError for an
    architecture that does not exist.
    """
    try:
        tensors = load(content)
        mean, scale, threshold = (tensors.pop(name) for name in (MEAN, SCALE, THRESHOLD))
        tensors = _in_float32(tensors, where)
        # On the meta device settings that lie about their size cost no memory; assigning compares every shape.
        with torch.device("meta"):
            model = build_architecture(manifest.architecture.kind, manifest.architecture.settings)
        model.load_state_dict(_with_counters(tensors, model.state_dict()), strict=True, assign=True)
    except KeyError as error:
        raise BackendError(f"{where}: no tensor {error}; expected {MEAN}, {SCALE} and {THRESHOLD}") from error
    except (SafetensorError, RuntimeError) as error:
        raise BackendError(f"{where}: {one_line(error)}") from error
    return ScoringModule.of(model, mean, scale, threshold)


def _with_counters(tensors: dict[str, Tensor], expected: dict[str, Tensor]) -> dict[str, Tensor]:
    counters = {name: torch.zeros((), dtype=torch.int64) for name in expected if name.endswith(_COUNTER)}
    return tensors | counters


def _in_float32(tensors: dict[str, Tensor], where: str) -> dict[str, Tensor]:
    """The tensors with every narrow one replaced by the float32 one that it stands for."""
    scales = {f"{name}{ROW_SCALE}" for name, values in tensors.items() if values.dtype == torch.int8}
    wide = {}
    for name, values in tensors.items():
        if name in scales:
            continue
        if values.dtype == torch.int8:
            wide[name] = _rows_times_scales(name, values, tensors.get(f"{name}{ROW_SCALE}"), where)
        elif values.dtype in _STORED_TYPES:
            wide[name] = values.to(torch.float32)
        else:
            raise BackendError(f"{where}: {name} is {values.dtype}; expected float32, float16, bfloat16 or int8")
    return wide


def _rows_times_scales(name: str, values: Tensor, scale: Tensor | None, where: str) -> Tensor:
    if scale is None or values.dim() != 2 or scale.shape != values.shape[:1] or scale.dtype != torch.float32:
        seen = "missing" if scale is None else f"{scale.dtype} {list(scale.shape)}"
        raise BackendError(
            f"{where}: {name} is int8 {list(values.shape)}, {name}{ROW_SCALE} is {seen}; "
            "expected a matrix beside float32 scales, one for each row"
        )
    return QuantisedWeight(values=values, scale=scale).dequantised()
