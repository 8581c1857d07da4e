"""Between arrays and the messages of offbeat.v1, as a client sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from msgspec import Struct
from numpy.typing import ArrayLike, NDArray

from offbeat.errors import BackendError, InvalidWindowError, UnknownModelError
from offbeat.result import RESULT_NAMES, FloatArray, ScoreResult
from offbeat.scorer import as_float32, real_array
from offbeat.v1.scoring_pb2 import (
    DATA_TYPE_BOOL,
    DATA_TYPE_FLOAT32,
    ListModelsResponse,
    ScoreRequest,
    ScoreResponse,
    Tensor,
)

_DTYPES = {DATA_TYPE_FLOAT32: np.dtype("<f4"), DATA_TYPE_BOOL: np.dtype(np.bool_)}


class ModelSummary(Struct, frozen=True, kw_only=True):
    """A model version being served, the backend that runs it, and the most windows it takes in one request."""

    name: str
    version: int
    architecture: str
    backend: str
    max_batch_size: int


def request_of(
    windows: ArrayLike, *, model: str, version: int | None, outputs: Sequence[str], request_id: str = ""
) -> ScoreRequest:
    """The request for the scores of `windows`. Raises InvalidWindowError for what no model takes, UnknownModelError."""
    array = as_windows(windows)
    return ScoreRequest(
        model=model_name(model),
        version=version_number(version),
        id=request_id,
        window=Tensor(name="window", data_type=DATA_TYPE_FLOAT32, shape=array.shape, data=array.tobytes()),
        outputs=output_names(outputs),
    )


def model_name(model: str) -> str:
    """A model's name as it travels. Raises UnknownModelError for what cannot be one."""
    if not isinstance(model, str) or not model.isprintable():
        raise UnknownModelError(f"model {model!r}; expected the name of one that is served")
    return model


def version_number(version: int | None) -> int:
    """A version as it travels, where 0 asks for the newest. Raises UnknownModelError for what cannot be a version."""
    if version is None:
        return 0
    if not isinstance(version, (int, np.integer)) or not 1 <= version < 2**63:
        raise UnknownModelError(f"version {version!r}; expected a positive integer, or None for the newest")
    return int(version)


def output_names(outputs: Sequence[str]) -> Sequence[str]:
    """The outputs asked for. Raises InvalidWindowError for one name alone, whose letters would be taken for names."""
    if isinstance(outputs, str):
        raise InvalidWindowError(f"outputs are {outputs!r}; expected a sequence of names")
    return outputs


def as_windows(windows: ArrayLike) -> FloatArray:
    """The windows as float32, [batch, time, feature] or [batch, feature], at least one; other real numbers are converted.

    Raises InvalidWindowError. Whether they fit the model, and are finite, is for the server to say.
    """
    array = real_array(windows)
    if array.ndim not in (2, 3) or array.size == 0:
        raise InvalidWindowError(
            f"windows have shape {list(array.shape)}; expected [batch, time, feature], or [batch, feature] for a tabular "
            "model, and no empty axis"
        )
    # A value beyond float32 becomes an infinity, which the server refuses by its place.
    return as_float32(array)


def result_of(response: ScoreResponse, backend: str) -> ScoreResult:
    """The scores in a response; `backend` is told beside it. Raises BackendError for a response that is not whole."""
    arrays = {tensor.name: _array(tensor) for tensor in response.outputs}
    unknown = set(arrays).difference(RESULT_NAMES)
    if unknown:
        raise BackendError(f"the server answered with outputs {sorted(unknown)}, which this client does not know")
    return ScoreResult(model=response.model, version=response.version, backend=backend, **arrays)  # type: ignore[arg-type]


def summaries_of(response: ListModelsResponse) -> list[ModelSummary]:
    """The models in a response."""
    fields = ModelSummary.__struct_fields__
    return [ModelSummary(**{field: getattr(model, field) for field in fields}) for model in response.models]


def _array(tensor: Tensor) -> NDArray[np.generic]:
    dtype, shape, data = _DTYPES.get(tensor.data_type), tuple(tensor.shape), tensor.data
    if dtype is None or min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise BackendError(
            f"the server's {tensor.name!r} is damaged: {len(data)} bytes for shape {list(shape)} of type {tensor.data_type}"
        )
    return np.frombuffer(data, dtype).reshape(shape)
