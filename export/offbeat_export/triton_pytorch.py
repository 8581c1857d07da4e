"""A folder for Triton's PyTorch backend: the scorer in TorchScript, with the tensor names that this backend asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from offbeat.bundle.manifest import Manifest, TensorSpec
from offbeat.config import BatchingConfig
from offbeat.result import FloatArray
from offbeat_export.eager import evaluate
from offbeat_export.torchscript_export import export_torchscript, load_torchscript

TRITON_MODEL: Final = "model.pt"
_TYPES = {"float32": "TYPE_FP32", "bool": "TYPE_BOOL"}
_TEMPLATE = """\
# Written by `offbeat export --triton-pytorch`; yours to edit. INPUT__0 is the window; OUTPUT__0, OUTPUT__1, … are
# {outputs}.
name: "{name}"
backend: "pytorch"
platform: "pytorch_libtorch"
max_batch_size: {max_batch_size}
{tensors}
dynamic_batching {{ max_queue_delay_microseconds: {max_queue_delay_us} }}
instance_group [ {{ kind: KIND_AUTO count: 1 }} ]
parameters {{ key: "INTRA_OP_THREAD_COUNT" value {{ string_value: "1" }} }}
parameters {{ key: "INTER_OP_THREAD_COUNT" value {{ string_value: "1" }} }}
"""


def triton_name(name: str) -> str:
    """The model's name in Triton, which serves one model of a name, whatever the repository: the ONNX one has `name`."""
    return f"{name}-pytorch"


class _Widened(nn.Module):
    """Gives the first three outputs, error, score and decision, as [batch, 1]: Triton knows no tensor of [batch] alone.

    The backend for ONNX files reshapes them where its configuration says so; the one for PyTorch does not.
    """

    def __init__(self, scorer: nn.Module) -> None:
        super().__init__()
        self.scorer = scorer

    def forward(self, window: Tensor) -> Any:
        """All outputs of the scorer, none of them of [batch] alone."""
        outputs = self.scorer(window)
        return (outputs[0].unsqueeze(1), outputs[1].unsqueeze(1), outputs[2].unsqueeze(1)) + outputs[3:]  # noqa: RUF005


class _WidenedDraws(_Widened):
    """The same for a scorer whose last output, `error_std`, is of [batch] too."""

    def forward(self, window: Tensor) -> Any:
        """All outputs of the scorer, none of them of [batch] alone."""
        outputs = self.scorer(window)
        first = (outputs[0].unsqueeze(1), outputs[1].unsqueeze(1), outputs[2].unsqueeze(1))
        return first + outputs[3:5] + (outputs[5].unsqueeze(1),)


def export_triton_pytorch(module: nn.Module, manifest: Manifest) -> bytes:
    """The `model.pt` of Triton's PyTorch backend: a tuple of the manifest's outputs, those of [batch] as [batch, 1].

    Raises ExportError where TorchScript cannot express the module.
    """
    has_draws = manifest.outputs[-1].name == "error_std"
    return export_torchscript((_WidenedDraws if has_draws else _Widened)(module).eval(), manifest)


def triton_pytorch_config(manifest: Manifest, batching: BatchingConfig | None = None) -> str:
    """The text of its ModelConfig protobuf: tensors by number, batching in Triton's own words.

    Source: Triton's model_config.proto, and the naming convention and parameters of its PyTorch backend.
    """
    batching = batching or BatchingConfig()
    (window,) = manifest.inputs
    tensors = [_tensor("input", "INPUT__0", window)]
    tensors += [_tensor("output", f"OUTPUT__{index}", spec) for index, spec in enumerate(manifest.outputs)]
    return _TEMPLATE.format(
        outputs=", ".join(manifest.output_names),
        name=triton_name(manifest.name),
        tensors="\n".join(tensors),
        max_batch_size=batching.max_batch_size,
        max_queue_delay_us=batching.max_queue_delay_us,
    )


def _tensor(field: str, name: str, spec: TensorSpec) -> str:
    dims = ", ".join("-1" if isinstance(axis, str) else str(axis) for axis in spec.shape[1:] or (1,))
    return f'{field} {{ name: "{name}" data_type: {_TYPES[spec.dtype]} dims: [ {dims} ] }}'


class TritonPyTorchBackend:
    """Runs such a file as Triton would, to measure its parity."""

    name = "triton-pytorch"

    def __init__(self, content: bytes, manifest: Manifest) -> None:
        self._module = load_torchscript(content, self.name, torch.device("cpu"))
        self._shapes = {spec.name: len(spec.shape) for spec in manifest.outputs}
        self.description = f"{self.name} (cpu)"

    def run(self, window: FloatArray, outputs: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """Returns the outputs asked for, in the manifest's shapes."""
        computed = evaluate(self._module, window, tuple(self._shapes))
        return {name: computed[name][:, 0] if self._shapes[name] == 1 else computed[name] for name in outputs}

    def close(self) -> None:
        """Frees the module."""
        del self._module
