"""Training and scoring in the manner of PyOD and scikit-learn."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Literal, Self, get_args, get_origin, get_type_hints

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_is_fitted, validate_data

from offbeat.data import Dataset
from offbeat.errors import CheckpointError, ConfigurationError, InvalidWindowError, MissingExtraError, require
from offbeat.result import FloatArray
from offbeat_training.checkpoint import Checkpoint
from offbeat_training.config import TrainingConfig
from offbeat_training.fit import fit
from offbeat_training.window_scores import score

_DEFAULTS = msgspec.structs.asdict(TrainingConfig())
EXPORTERS = "offbeat.exporters"
# What features are called that have no names: here, in an npz file, in a csv file without a header, in ready-made windows.
_GENERATED_NAME = re.compile(r"(x|feature_)?\d+|value")


class Detector(BaseEstimator):  # type: ignore[misc]
    """An anomaly detector whose parameters are the fields of `TrainingConfig`, checked when it is fitted.

    X is [row, feature], rows of a series or, with a preset for tables, of a table; or ready-made windows
    [window, time, feature]. Rows of a series are scored by the mean error of the windows that cover them.

    Fitted: `checkpoint_`; `threshold_`, in units of the error; `decision_scores_` and `labels_` (1 for an anomaly, else 0)
    of the X it was fitted to; `n_features_in_`, and `feature_names_in_` where X had names. Arrays that are no numbers, not
    finite, or of other features raise InvalidWindowError, which is a ValueError, as scikit-learn has it.
    Source of the interface: Zhao, Nasrullah, Li, "PyOD: A Python Toolbox for Scalable Outlier Detection", JMLR 20 (2019).
    """

    def __init__(self, **settings: Any) -> None:
        unknown = sorted(settings.keys() - _DEFAULTS.keys())
        if unknown:
            raise TypeError(f"Detector has no parameter {unknown[0]!r}; expected fields of TrainingConfig")
        for name, default in _DEFAULTS.items():
            setattr(self, name, settings.get(name, default))

    # scikit-learn reads the parameters off the signature: one definition of them serves it and the command line.
    __init__.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)]
        + [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value) for name, value in _DEFAULTS.items()]
    )

    def fit(self, X: ArrayLike, y: object = None, *, known_anomalies: ArrayLike | None = None) -> Self:  # noqa: N803
        """Learns what is normal in X; part of it is held out for early stopping and the threshold.

        `y` is ignored, as everywhere in PyOD. `known_anomalies` [row] or [window] is true, or 1, where X is known to be anomalous;
        that is left out. Raises TrainingError where X is too small, ConfigurationError for parameters out of range or of
        another type; scalars of numpy, as searches for parameters draw them, are numbers too.
        """
        config = _training_config(self.get_params())
        values = self._checked(X, reset=True)
        labels = None if known_anomalies is None else _flags(known_anomalies, len(values))
        names = getattr(self, "feature_names_in_", [f"x{index}" for index in range(values.shape[-1])])
        dataset = Dataset(name="X", values=values, feature_names=tuple(map(str, names)), labels=labels)
        checkpoint = fit(dataset, config)
        self.checkpoint_ = replace(checkpoint, has_feature_names=hasattr(self, "feature_names_in_"))
        self.decision_scores_ = score(self.checkpoint_, values)
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(np.int64)
        return self

    @property
    def threshold_(self) -> float:
        """The score above which `predict` says 1."""
        check_is_fitted(self, "checkpoint_")
        return self.checkpoint_.threshold.value

    def decision_function(self, X: ArrayLike) -> NDArray[np.float64]:  # noqa: N803
        """The score of each row or window [n]: the higher, the more anomalous."""
        check_is_fitted(self, "checkpoint_")
        return score(self.checkpoint_, self._checked(X, reset=False))

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:  # noqa: N803
        """1 for each row or window [n] whose score exceeds `threshold_`, else 0."""
        return (self.decision_function(X) > self.threshold_).astype(np.int64)

    def save(self, path: str | Path) -> None:
        """Writes the checkpoint, as `offbeat train` does; `offbeat export` takes it. Scores of X are not kept."""
        check_is_fitted(self, "checkpoint_")
        self.checkpoint_.save(path)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """A fitted detector from a checkpoint, a command's or a detector's, with the parameters it was trained with.

        It has no `decision_scores_` and `labels_`. Raises CheckpointError, naming the file and the fact.
        """
        checkpoint = Checkpoint.load(path)
        try:
            settings = msgspec.convert(checkpoint.training_config, TrainingConfig)
        except (msgspec.ValidationError, ConfigurationError) as error:
            raise CheckpointError(f"{path}: training_config: {error}") from error
        detector = cls(**msgspec.structs.asdict(settings))
        detector.checkpoint_ = checkpoint
        detector.n_features_in_ = len(checkpoint.feature_names)
        if _has_feature_names(checkpoint):
            detector.feature_names_in_ = np.array(checkpoint.feature_names, dtype=np.object_)
        return detector

    def export(self, repository: str | Path, *, name: str, version: int | None = None, description: str = "") -> Path:
        """Writes a model version folder as `offbeat export` does, and returns it.

        The exporter is found by the entry point `folder` of the group `offbeat.exporters`, because training knows nothing of
        exporting. Raises ExportError where the model cannot be exported, MissingExtraError where no exporter is installed.
        """
        check_is_fitted(self, "checkpoint_")
        folder: Path = _exporter()(
            self.checkpoint_, repository, name=name, version=version, description=description
        ).folder
        return folder

    def _checked(self, X: ArrayLike, *, reset: bool) -> FloatArray:  # noqa: N803
        """X as float32, once it is known to be finite and to have the features of the X fitted to."""
        # One row can be scored, and never be learnt from.
        n_least = 2 if reset else 1
        try:
            values: FloatArray = check_array(
                X,
                dtype=np.float32,
                order="C",
                allow_nd=True,
                ensure_min_samples=n_least,
                estimator=self,
                input_name="X",
            )
            if values.ndim == 2:
                validate_data(self, X, reset=reset, skip_check_array=True)
        except ValueError as error:
            raise InvalidWindowError(str(error)) from error
        if values.ndim > 2 and reset:
            self.n_features_in_ = values.shape[-1]
            self.__dict__.pop("feature_names_in_", None)
        if values.ndim > 3 or values.shape[-1] != self.n_features_in_:
            expected = f"[row, {self.n_features_in_}] or [window, time, {self.n_features_in_}]"
            raise InvalidWindowError(f"X has shape {values.shape}; expected {expected}")
        return values

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "checkpoint_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags


def _training_config(parameters: Mapping[str, Any]) -> TrainingConfig:
    plain = {name: value.item() if isinstance(value, np.generic) else value for name, value in parameters.items()}
    for name, kind in get_type_hints(TrainingConfig).items():
        words = _words_of(kind)
        if words and isinstance(plain[name], str):
            require(plain[name] in words, name, plain[name], f"one of {', '.join(words)}")
    try:
        return msgspec.convert(plain, TrainingConfig)
    except msgspec.ValidationError as error:
        raise ConfigurationError(f"parameters of Detector: {error}") from error


def _words_of(kind: Any) -> tuple[str, ...]:
    """The words that a field of that type takes, none where it takes numbers."""
    kinds = (kind, *get_args(kind))
    return tuple(word for each in kinds if get_origin(each) is Literal for word in get_args(each))


def _flags(known_anomalies: ArrayLike, n: int) -> NDArray[np.bool_]:
    """The flags [n] as booleans. Raises InvalidWindowError for anything but booleans, 0 and 1."""
    try:
        flags = np.asarray(known_anomalies)
        others = sorted(set(flags.ravel().tolist()) - {0, 1}, key=str)
    except (TypeError, ValueError) as error:
        raise InvalidWindowError(f"known_anomalies: {error}; expected true or false for each row or window") from error
    if others:
        raise InvalidWindowError(f"known_anomalies hold {others[0]!r}; expected true or false, or 1 or 0, and no other")
    if flags.shape != (n,):
        raise InvalidWindowError(
            f"known_anomalies have shape {flags.shape}; expected {(n,)}, one for each row or window"
        )
    return flags.astype(np.bool_)


def _has_feature_names(checkpoint: Checkpoint) -> bool:
    if checkpoint.has_feature_names is not None:
        return checkpoint.has_feature_names
    return not all(map(_GENERATED_NAME.fullmatch, checkpoint.feature_names))


def _exporter() -> Any:
    points = entry_points(group=EXPORTERS, name="folder")
    try:
        (point,) = points
        return point.load()
    except (ValueError, ImportError) as error:
        raise MissingExtraError("Detector.export needs offbeat_export; pip install 'offbeat[export]'") from error
