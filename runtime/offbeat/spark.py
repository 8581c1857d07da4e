"""Scores the windows of a Spark data frame by a pandas UDF. Needs pyspark: `pip install 'offbeat[spark]'`."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from offbeat.bundle import Manifest, TensorSpec, open_version
from offbeat.config import BackendConfig
from offbeat.errors import ConfigurationError, InvalidWindowError, MissingExtraError
from offbeat.result import DEFAULT_OUTPUTS, P_VALUE, FloatArray
from offbeat.scorer import Scorer, check_outputs, check_shape

if TYPE_CHECKING:
    from pyspark.sql import Column
    from pyspark.sql.types import DataType

Predict: TypeAlias = Callable[[FloatArray], dict[str, NDArray[np.generic]]]


def scoring_udf(
    folder: str | os.PathLike[str],
    outputs: Sequence[str] = DEFAULT_OUTPUTS,
    *,
    backend: str = "auto",
    n_threads: int = 1,
    length: int | None = None,
    batch_size: int = 512,
) -> Callable[[Column | str], Column]:
    """A pandas UDF of a column of windows, for a column of structs with the outputs as fields.

    A window is an array of its values in raw units, row after row: [time · feature], or [feature] of a tabular model; `length`
    rows, the trained length unless said. Outputs of more than one value a window come as flat arrays likewise.

    Each Python worker of the executors loads the model once, on a `backend` with `n_threads` for one call. `folder` is a
    model version folder, or a model's folder for its newest version, under a path that driver and executors share; a relative
    path that an executor does not have is looked for among the files of `SparkContext.addFile`.

    Raises BundleError and what else `open_version` raises, InvalidWindowError for an output or a length that the model does
    not have, ConfigurationError for a batch size below 1, and MissingExtraError without pyspark. A window of another size, with
    nulls, NaN or infinity ends the job: filter them out before.
    """
    if batch_size < 1:
        raise ConfigurationError(f"batch_size is {batch_size}; expected at least 1")
    try:
        from pyspark.ml.functions import predict_batch_udf
        from pyspark.sql.types import BooleanType, ByteType, StructField, StructType
    except ImportError as error:
        raise MissingExtraError("scoring in Spark needs pyspark and pandas; pip install 'offbeat[spark]'") from error
    config = BackendConfig(backend=backend, n_threads=n_threads)
    version = open_version(folder)
    names = check_outputs(version.manifest, outputs)
    shape = _window_shape(version.manifest, length)
    check_shape(version.manifest, (1, *shape))
    specs = {spec.name: spec for spec in version.manifest.outputs}
    udf = predict_batch_udf(
        partial(_load, str(version.path), names, config),
        return_type=StructType([StructField(name, _type_of(name, specs, ByteType())) for name in names]),
        batch_size=batch_size,
        input_tensor_shapes=[list(shape)],
    )
    result = StructType([StructField(name, _type_of(name, specs, BooleanType())) for name in names])

    def score(windows: Column | str) -> Column:
        return udf(windows).cast(result)

    return score


def _load(folder: str, outputs: tuple[str, ...], config: BackendConfig) -> Predict:
    """What an executor calls once."""
    scorer = Scorer.open(open_version(_local(Path(folder))), config)
    return partial(_predict, scorer, outputs)


def _predict(scorer: Scorer, outputs: tuple[str, ...], windows: FloatArray) -> dict[str, NDArray[np.generic]]:
    result = scorer.score(windows, outputs)
    return {name: _flat(array) for name, array in result.arrays().items()}


def _flat(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """Spark takes one or two axes, and numbers."""
    numbers = array.astype(np.int8) if array.dtype == np.bool_ else array
    return numbers if numbers.ndim == 1 else numbers.reshape(len(numbers), -1)


def _local(folder: Path) -> Path:
    if folder.is_absolute() or folder.exists():
        return folder
    from pyspark import SparkFiles

    return Path(SparkFiles.getRootDirectory()) / folder


def _window_shape(manifest: Manifest, length: int | None) -> tuple[int, ...]:
    n_features = len(manifest.feature_names)
    if manifest.window is None:
        if length is not None:
            raise InvalidWindowError(f"length is {length}; model {manifest.name!r} is tabular: expected none")
        return (n_features,)
    return (manifest.window.length if length is None else length, n_features)


def _type_of(name: str, specs: dict[str, TensorSpec], truth: DataType) -> DataType:
    """The type of an output's column. `truth` is that of a yes or no: what a batch predicts cannot be boolean."""
    from pyspark.sql.types import ArrayType, FloatType

    if name == P_VALUE:
        return FloatType()
    spec = specs[name]
    value = truth if spec.dtype == "bool" else FloatType()
    return value if len(spec.shape) == 1 else ArrayType(value)
