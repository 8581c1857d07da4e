"""Proves model versions: digests, and the golden windows on each backend."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Literal

import msgspec

from offbeat.backends import create_backend
from offbeat.bundle import Golden, ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import FormatAbsentError, MissingExtraError, OffbeatError

Verdict = Literal["ok", "refused", "absent"]


class BackendCheck(msgspec.Struct, frozen=True, kw_only=True):
    """One backend's replay of the golden windows.

    `deviation` is the largest difference from the eager model in units of the manifest's parity bound, at most 1 for `ok`,
    and `output` the output it is in; None where nothing ran. An engine that is not installed, or whose file the folder
    does not hold, is `absent`. `message` says why it is not `ok`.
    """

    backend: str
    verdict: Verdict
    description: str = ""
    deviation: float | None = None
    output: str | None = None
    load_ms: float | None = None
    replay_ms: float | None = None
    message: str = ""


class VersionCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What was found of one version: `problem` where the folder itself is not what its manifest says."""

    folder: str
    name: str | None = None
    version: int | None = None
    problem: str | None = None
    backends: tuple[BackendCheck, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether the folder is whole, at least one backend replayed it, and none that is there failed."""
        verdicts = {check.verdict for check in self.backends}
        return self.problem is None and "ok" in verdicts and "refused" not in verdicts


def verify_version(
    folder: Path, backends: Sequence[str], asked: Sequence[str], config: BackendConfig, *, is_placed: bool
) -> VersionCheck:
    """Checks one version folder on the named backends, of which those `asked` for must be there; `config` says the rest.

    One that `is_placed` in a repository must be the model and the version that its path says. Raises no OffbeatError.
    """
    try:
        version = ModelVersion.open(folder)
        if is_placed:
            version.check_place()
        golden = version.golden()
    except OffbeatError as error:
        return VersionCheck(folder=str(folder), problem=str(error))
    checks = tuple(_replay(version, golden, backend, is_asked=backend in asked, config=config) for backend in backends)
    manifest = version.manifest
    return VersionCheck(folder=str(folder), name=manifest.name, version=manifest.version, backends=checks)


def _replay(
    version: ModelVersion, golden: Golden, backend: str, *, is_asked: bool, config: BackendConfig
) -> BackendCheck:
    names = version.manifest.output_names
    started = perf_counter()
    try:
        with closing(create_backend(version, msgspec.structs.replace(config, backend=backend))) as engine:
            loaded = perf_counter()
            deviation, output = golden.largest_deviation(version.manifest, engine.run(golden.window, names))
            replayed = perf_counter()
            description = engine.description
    except OffbeatError as error:
        is_absent = isinstance(error, MissingExtraError | FormatAbsentError) and not is_asked
        return BackendCheck(backend=backend, verdict="absent" if is_absent else "refused", message=str(error))
    is_within = deviation <= 1.0
    return BackendCheck(
        backend=backend,
        verdict="ok" if is_within else "refused",
        description=description,
        deviation=deviation,
        output=output,
        load_ms=1e3 * (loaded - started),
        replay_ms=1e3 * (replayed - loaded),
        message="" if is_within else f"{output} is off by {deviation:.3g} times the parity bound",
    )
