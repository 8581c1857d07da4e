"""Whether an engine gives a version's golden outputs."""

from __future__ import annotations

from offbeat.backends.base import Backend
from offbeat.bundle import ModelVersion
from offbeat.errors import BackendError


def replay_golden(version: ModelVersion, backend: Backend) -> None:
    """Runs the golden windows. Raises BackendError, naming the folder, where the engine fails, or an output is farther from
    the eager model's than the parity bound.
    """
    golden = version.golden()
    try:
        results = backend.run(golden.window, version.manifest.output_names)
    except BackendError as error:
        raise BackendError(f"{version.path}: golden replay on {error}") from error
    deviation, output = golden.largest_deviation(version.manifest, results)
    if not deviation <= 1.0:
        raise BackendError(
            f"{version.path}: golden replay on {backend.description}: {output} is off by {deviation:.3g} "
            f"times the parity bound of {version.manifest.parity.bound:g}"
        )
