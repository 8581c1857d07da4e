"""How a model describes itself in the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Sequence

from offbeat.bundle import Manifest, TensorSpec
from offbeat.config import BatchingConfig
from offbeat.inference.open_inference_pb2 import (
    TYPE_BOOL,
    TYPE_FP32,
    ModelConfig,
    ModelDynamicBatching,
    ModelInput,
    ModelMetadataResponse,
    ModelOutput,
)
from offbeat.server.messages.inference_messages import DATATYPES
from offbeat.server.models.triton_config import policy_message
from offbeat.version_policy import VersionPolicy

# The folder's standard form, as Triton names it, whatever engine runs it here.
PLATFORM = "onnxruntime_onnx"
_CONFIG_TYPES = {"float32": TYPE_FP32, "bool": TYPE_BOOL}


def metadata_of(manifest: Manifest, versions: Sequence[int]) -> ModelMetadataResponse:
    """Name, tensors and the versions being served; -1 where any size fits."""
    return ModelMetadataResponse(
        name=manifest.name,
        versions=[str(version) for version in versions],
        platform=PLATFORM,
        inputs=[_metadata(spec) for spec in manifest.inputs],
        outputs=[_metadata(spec) for spec in manifest.outputs],
    )


def config_of(manifest: Manifest, batching: BatchingConfig, policy: VersionPolicy | None) -> ModelConfig:
    """Triton's configuration of the model; its shapes leave the batch axis out."""
    return ModelConfig(
        name=manifest.name,
        platform=PLATFORM,
        backend="onnxruntime",
        version_policy=None if policy is None else policy_message(policy),
        max_batch_size=batching.max_batch_size,
        input=[
            ModelInput(name=spec.name, data_type=_CONFIG_TYPES[spec.dtype], dims=_sizes(spec)[1:])
            for spec in manifest.inputs
        ],
        output=[
            ModelOutput(name=spec.name, data_type=_CONFIG_TYPES[spec.dtype], dims=_sizes(spec)[1:])
            for spec in manifest.outputs
        ],
        dynamic_batching=ModelDynamicBatching(max_queue_delay_microseconds=batching.max_queue_delay_us),
    )


def _metadata(spec: TensorSpec) -> ModelMetadataResponse.TensorMetadata:
    return ModelMetadataResponse.TensorMetadata(name=spec.name, datatype=DATATYPES[spec.dtype], shape=_sizes(spec))


def _sizes(spec: TensorSpec) -> list[int]:
    return [-1 if isinstance(axis, str) else axis for axis in spec.shape]
