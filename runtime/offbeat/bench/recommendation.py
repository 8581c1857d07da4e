"""What to serve models with on one machine: a small file that `offbeat bench` writes and `offbeat serve --tuned` reads."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec
import numpy as np

from offbeat.bench.machine import Machine, this_machine
from offbeat.bench.survey import Measured
from offbeat.bench.waiting import best_batch_size, best_delay_us
from offbeat.bundle.model_version import MANIFEST
from offbeat.config import BackendConfig, BatchingConfig, Device
from offbeat.errors import ConfigurationError, require
from offbeat.files import open_regular
from offbeat.provenance import Digest

_MAX_BYTES = 2**20
# Twice the threads must be 1.3 times as fast: the transport and other workers need cores too.
_THREADS_EXPONENT = float(np.log2(1.3))


class TunedModel(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A version that was measured: the digest is its manifest's, which holds those of all its files."""

    name: str
    version: int
    manifest_sha256: Digest


class Recommendation(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a server, the machine they are for, and what they were measured with.

    `median_us` are those of one call by batch size, of the first model.
    """

    machine: Machine
    models: tuple[TunedModel, ...]
    backend: str
    device: Device
    n_threads: int
    max_batch_size: int
    max_queue_delay_us: int
    median_us: dict[str, float]

    def __post_init__(self) -> None:
        BackendConfig(backend=self.backend, device=self.device, n_threads=self.n_threads)
        BatchingConfig(max_batch_size=self.max_batch_size, max_queue_delay_us=self.max_queue_delay_us)

    def settings(self) -> dict[str, str]:
        """Values of flags, in the words of a command line."""
        names = ("backend", "device", "n_threads", "max_batch_size", "max_queue_delay_us")
        return {name: str(getattr(self, name)) for name in names}

    def check_machine(self, where: Path) -> None:
        """Raises ConfigurationError where this machine is another one."""
        here = this_machine()
        require(
            here == self.machine,
            "tuned",
            _words(here),
            f"{_words(self.machine)}, which {where} was measured on: run offbeat bench here",
        )

    def unmeasured(self, repository: Path, served: Iterable[tuple[str, int]]) -> list[str]:
        """The versions among those served that are not the ones measured, each in words."""
        measured = {(model.name, model.version, model.manifest_sha256) for model in self.models}
        return [
            f"{name} version {version}"
            for name, version in served
            if (name, version, digest_of(repository / name / str(version))) not in measured
        ]


def read_recommendation(path: Path) -> Recommendation:
    """Reads a file, strictly. Raises ConfigurationError."""
    try:
        with open_regular(path, follows_links=True) as file:
            content = file.read(_MAX_BYTES + 1)
        return msgspec.json.decode(content, type=Recommendation)
    except OSError as error:
        raise ConfigurationError(f"{path}: {error.strerror}; expected a file that offbeat bench wrote") from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigurationError(f"{path}: not a recommendation of offbeat bench: {error}") from error


def digest_of(folder: Path) -> str | None:
    """The digest of a version's manifest; None where there is none to read."""
    try:
        with open_regular(folder / MANIFEST, follows_links=False) as file:
            return hashlib.sha256(file.read()).hexdigest()
    except OSError:
        return None


def recommend(measured: Sequence[Measured]) -> Recommendation:
    """The engine and the number of threads with the lowest time over models and batch sizes, and how to batch for it.

    Times count in units of the reference beside them, as a geometric mean; more threads are worth it where twice as many are
    1.3 times as fast. Raises ConfigurationError where no engine ran every model.
    """
    models = tuple(dict.fromkeys(each.contender.folder for each in measured))
    by_setting: dict[tuple[str, int], list[Measured]] = {}
    for each in measured:
        by_setting.setdefault((each.contender.backend, each.contender.n_threads), []).append(each)
    complete = {
        key: found for key, found in by_setting.items() if {each.contender.folder for each in found} == {*models}
    }
    require(bool(complete), "models", list(models), "one engine at least that runs all of them")
    (backend, n_threads), best = min(complete.items(), key=lambda item: _cost(item[0][1], item[1]))
    seconds = {each.batch: median_s(each) for each in best if each.contender.folder == models[0]}
    size = max(
        best_batch_size({e.batch: median_s(e) for e in best if e.contender.folder == folder}) for folder in models
    )
    return Recommendation(
        machine=this_machine(),
        models=tuple(_tuned(folder, best) for folder in models),
        backend=backend,
        device=best[0].contender.device,
        n_threads=n_threads,
        max_batch_size=size,
        max_queue_delay_us=best_delay_us(seconds, size),
        median_us={str(batch): round(value * 1e6, 2) for batch, value in seconds.items()},
    )


def median_s(measured: Measured) -> float:
    """Seconds of one call: the median over all rounds."""
    return float(np.median([time for turns in measured.runs for time in turns.times]))


def relative(measured: Measured) -> float:
    """The time of one call in units of the reference's, round by round: the median."""
    return float(
        np.median([t / r for turns in measured.runs for t, r in zip(turns.times, turns.references, strict=True)])
    )


def _cost(n_threads: int, measured: Sequence[Measured]) -> float:
    return float(np.mean([np.log(relative(each)) for each in measured])) + _THREADS_EXPONENT * float(np.log(n_threads))


def _tuned(folder: str, measured: Sequence[Measured]) -> TunedModel:
    contender = next(each.contender for each in measured if each.contender.folder == folder)
    digest = digest_of(Path(folder))
    if digest is None:
        raise ConfigurationError(f"{folder}: its {MANIFEST} is gone; expected it to stay while it is measured")
    return TunedModel(name=contender.model, version=contender.version, manifest_sha256=digest)


def _words(machine: Machine) -> str:
    return f"{machine.cpu} ({machine.architecture}) with {machine.n_cores} cores"
