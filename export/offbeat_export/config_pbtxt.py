"""`config.pbtxt`: the model's folder as Triton's ONNX Runtime backend reads it."""

from __future__ import annotations

from offbeat.bundle.manifest import Manifest, TensorSpec
from offbeat.config import BatchingConfig

_TYPES = {"float32": "TYPE_FP32", "bool": "TYPE_BOOL"}
# One thread a call and one call an instance, as in offbeat's own server: more instances, not more threads, use more cores.
_TEMPLATE = """\
# Written by `offbeat export`; yours to edit. All versions of this model share it.
name: "{name}"
platform: "onnxruntime_onnx"
max_batch_size: {max_batch_size}
{tensors}
dynamic_batching {{
  max_queue_delay_microseconds: {max_queue_delay_us}
  default_queue_policy {{ max_queue_size: {max_queue_size} }}
}}
instance_group [ {{ kind: KIND_AUTO count: 1 }} ]
parameters {{ key: "intra_op_thread_count" value {{ string_value: "1" }} }}
"""


def config_pbtxt(manifest: Manifest, batching: BatchingConfig | None = None) -> str:
    """The text of a ModelConfig protobuf: tensors as the manifest lists them, batching in Triton's own words."""
    batching = batching or BatchingConfig()
    tensors = [_tensor("input", spec) for spec in manifest.inputs] + [
        _tensor("output", spec) for spec in manifest.outputs
    ]
    return _TEMPLATE.format(
        name=manifest.name,
        tensors="\n".join(tensors),
        max_batch_size=batching.max_batch_size,
        max_queue_delay_us=batching.max_queue_delay_us,
        max_queue_size=batching.max_queue_size,
    )


def _tensor(field: str, spec: TensorSpec) -> str:
    """One input or output. Triton leaves out the batch axis and knows no tensor without another: [batch] is [batch, 1] there."""
    axes = [-1 if isinstance(axis, str) else axis for axis in spec.shape[1:]]
    reshape = "" if axes else " reshape { shape: [ ] }"
    dims = ", ".join(str(axis) for axis in axes or [1])
    return f'{field} {{ name: "{spec.name}" data_type: {_TYPES[spec.dtype]} dims: [ {dims} ]{reshape} }}'
