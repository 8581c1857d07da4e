from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import offbeat
from offbeat.bundle import ModelVersion
from offbeat.result import FloatArray
from offbeat_export import export_checkpoint
from tests.export.checkpoints import CHECKPOINTS

GOLDEN = Path(__file__).parents[2] / "runtime" / "cpp" / "tests" / "golden"
FOLDERS = sorted(path.name for path in GOLDEN.iterdir())
# Architectures without a golden folder.
EXPORTED = ("denoising", "repeat-sigmoid")
ENGINES = ("eager", "torchscript", "onnxruntime", "native")
N = 64
# What follows from them, outputs in raw units, may hold NaN: there is no number that it would have to be.
ERRORS = {"reconstruction_error", "feature_error", "step_error", "error_std"}

Open = Callable[[str], ModelVersion]


@pytest.fixture(scope="module")
def open_version(tmp_path_factory: pytest.TempPathFactory) -> Open:
    """A golden folder, or a model without one, exported."""

    def opened(name: str) -> ModelVersion:
        if name in FOLDERS:
            return ModelVersion.open(GOLDEN / name / "1")
        repository = tmp_path_factory.mktemp("models")
        export_checkpoint(CHECKPOINTS[name](), repository, name=name)
        return ModelVersion.open(repository / name / "1")

    return opened


def absurd_windows(version: ModelVersion) -> FloatArray:
    """Finite windows near float32's end: of values of either sign, and of one such feature among usual ones."""
    manifest = version.manifest
    length = manifest.window.length if manifest.window is not None else 0
    shape = tuple(axis if isinstance(axis, int) else length for axis in manifest.window_shape[1:])
    generator = np.random.default_rng(0)
    sizes = np.array([3.4e38, 1e38, 1e37])[np.arange(N) % 3].reshape(N, *(1 for _ in shape))
    wild = sizes * generator.choice([-1.0, 1.0], (N, *shape))
    partly = generator.normal(size=(N, *shape))
    partly[..., 0] = wild[..., 0]
    return np.concatenate([wild, partly]).astype(np.float32)


def outputs_of(version: ModelVersion, engine: str) -> dict[str, NDArray[np.generic]]:
    with offbeat.load(version.path, backend=engine) as scorer:
        return scorer.score(absurd_windows(version), version.manifest.output_names).arrays()


@pytest.mark.parametrize("name", [*FOLDERS, *EXPORTED])
def test_finite_windows_that_overflow_a_model_are_anomalies_with_the_same_errors_on_every_engine(
    open_version: Open, name: str
) -> None:
    version = open_version(name)
    expected = outputs_of(version, "eager")
    for engine in ENGINES:
        seen = outputs_of(version, engine)
        assert seen["is_anomaly"].all(), engine
        assert (seen["anomaly_score"] == 1).all(), engine
        for output in ERRORS & seen.keys():
            assert not np.isnan(seen[output]).any(), (engine, output)
            np.testing.assert_allclose(seen[output], expected[output], rtol=1e-4, err_msg=f"{engine}: {output}")


@pytest.mark.parametrize("name", ["tabular", "variational"])
@pytest.mark.parametrize("engine", ENGINES)
def test_where_the_arithmetic_ends_in_nan_the_error_is_infinite(open_version: Open, name: str, engine: str) -> None:
    seen = outputs_of(open_version(name), engine)
    has_failed = np.isnan(seen["reconstruction"])
    assert has_failed.any()
    assert (seen["reconstruction_error"][has_failed.any(axis=1)] == np.inf).all()
    assert (seen["feature_error"][has_failed] == np.inf).all()
