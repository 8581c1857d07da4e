"""`config.pbtxt`: the model's folder as Triton's ONNX Runtime backend reads it."""

from __future__ import annotations

from offbeat.bundle.manifest import Manifest, TensorSpec
from offbeat.config import BatchingConfig

_TYPES = {"float32": "TYPE_FP32", "bool": "TYPE_BOOL"}
# One thread a call and one call an instance, as in offbeat's own server: more instances, not more threads, use more cores.
# There is no default_queue_policy: whatever it says, a timeout or a size, Triton's batcher misses wake-ups with it and lets
# requests wait for half a second (measured in 2.51; Triton's issue 8870). Memory is not kept for each shape seen, since shapes
# come from outside. Before a model is ready, it has run the smallest and the largest batch.
_TEMPLATE = """\
# Written by `offbeat export`; yours to edit. All versions of this model share it.
name: "{name}"
platform: "onnxruntime_onnx"
max_batch_size: {max_batch_size}
{tensors}
dynamic_batching {{ max_queue_delay_microseconds: {max_queue_delay_us} }}
instance_group [ {{ kind: KIND_AUTO count: 1 }} ]
{warmup}
{parameters}
"""
_PARAMETERS = {
    "intra_op_thread_count": "1",
    "inter_op_thread_count": "1",
    "enable_mem_arena": "false",
    "enable_mem_pattern": "false",
}


def config_pbtxt(manifest: Manifest, batching: BatchingConfig | None = None) -> str:
    """The text of a ModelConfig protobuf: tensors as the manifest lists them, batching in Triton's own words.

    Source: Triton's model_config.proto, and the parameters that its ONNX Runtime backend reads.
    """
    batching = batching or BatchingConfig()
    tensors = [_tensor("input", spec) for spec in manifest.inputs] + [
        _tensor("output", spec) for spec in manifest.outputs
    ]
    return _TEMPLATE.format(
        name=manifest.name,
        tensors="\n".join(tensors),
        warmup="\n".join(_warmup(manifest, size) for size in sorted({1, batching.max_batch_size})),
        parameters="\n".join(
            f'parameters {{ key: "{key}" value {{ string_value: "{value}" }} }}' for key, value in _PARAMETERS.items()
        ),
        max_batch_size=batching.max_batch_size,
        max_queue_delay_us=batching.max_queue_delay_us,
    )


def _tensor(field: str, spec: TensorSpec) -> str:
    """One input or output. Triton leaves out the batch axis and knows no tensor without another: [batch] is [batch, 1] there."""
    axes = [-1 if isinstance(axis, str) else axis for axis in spec.shape[1:]]
    reshape = "" if axes else " reshape { shape: [ ] }"
    dims = ", ".join(str(axis) for axis in axes or [1])
    return f'{field} {{ name: "{spec.name}" data_type: {_TYPES[spec.dtype]} dims: [ {dims} ]{reshape} }}'


def _warmup(manifest: Manifest, batch_size: int) -> str:
    """A batch of zero windows of the trained length."""
    (window,) = manifest.inputs
    length = 1 if manifest.window is None else manifest.window.length
    dims = ", ".join(str(length if isinstance(axis, str) else axis) for axis in window.shape[1:])
    value = f"data_type: {_TYPES[window.dtype]} dims: [ {dims} ] zero_data: true"
    return (
        f'model_warmup {{ name: "batch of {batch_size}" batch_size: {batch_size} '
        f'inputs {{ key: "{window.name}" value {{ {value} }} }} }}'
    )
