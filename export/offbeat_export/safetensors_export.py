"""`model.safetensors`: the weights as trained, and the layer plan that says what to compute with them."""

from __future__ import annotations

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from offbeat.bundle.manifest import Manifest
from offbeat.errors import BackendError
from offbeat_export.eager import one_line
from offbeat_export.layer_plan import MEAN, SCALE, THRESHOLD, plan_layers
from offbeat_export.scoring_module import ScoringModule
from offbeat_training.architectures import build_architecture

# How many batches a BatchNorm saw in training: an integer, and without meaning once it is over.
_COUNTER = "num_batches_tracked"


def export_safetensors(module: ScoringModule, manifest: Manifest) -> bytes:
    """The serialised tensors, float32, row-major, under the module's own names; metadata `plan` is the layer plan."""
    weights = {name: weight for name, weight in module.model.state_dict().items() if not name.endswith(_COUNTER)}
    tensors = weights | {MEAN: module.mean, SCALE: module.scale, THRESHOLD: module.threshold}
    return save(
        {name: tensor.detach().contiguous() for name, tensor in tensors.items()},
        # One key only: safetensors writes several in no particular order, and the same model must give the same bytes.
        metadata={"plan": plan_layers(module.model, manifest).to_json()},
    )


def import_safetensors(content: bytes, manifest: Manifest, where: str) -> ScoringModule:
    """The eager scorer again, its weights exactly those exported.

    Raises BackendError where the tensors are not those of the manifest's architecture, ConfigurationError for an
    architecture that does not exist.
    """
    try:
        tensors = load(content)
        mean, scale, threshold = (tensors.pop(name) for name in (MEAN, SCALE, THRESHOLD))
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
