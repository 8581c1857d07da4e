"""Parity of a whole version folder: what will really be loaded, the files on the disk, through the backends that run them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass

from offbeat.backends import Backend, create_backend
from offbeat.backends import names as backend_names
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import BackendError, ConfigurationError, MissingExtraError
from offbeat_export.parity_cases import parity_cases
from offbeat_export.parity_measurement import measure_parity
from offbeat_export.parity_report import ParityReport
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.torch_program_backend import TorchProgramBackend
from offbeat_export.torch_program_export import MODEL_TORCH_PROGRAM
from offbeat_export.window_source import WindowSource

# The formats whose parity is measured, by the backend that runs them. Every export must pass these.
MEASURED_BACKENDS = {"onnx": "onnxruntime", "torchscript": "torchscript"}
# This one is measured where it is built, and refuses models that it does not know.
NATIVE = "native"
CPU = BackendConfig(device="cpu", n_threads=1)


@dataclass(frozen=True, kw_only=True)
class FolderParity:
    """One report for each format that was measured, and for each other why not."""

    reports: tuple[ParityReport, ...]
    unmeasured: dict[str, str]

    def check(self) -> None:
        """Raises ParityError where a format misses a bound."""
        for report in self.reports:
            report.check()


def measure_folder(
    opened: ModelVersion,
    module: ScoringModule,
    source: WindowSource,
    others: Mapping[str, Backend] | None = None,
    announce: Callable[[str], None] = lambda case: None,
) -> FolderParity:
    """Measures every format of a folder, and `others` beside them, against the eager module that it was exported from.

    `announce` is told each case. Raises BackendError where a format that must run does not, ParityError as `measure_parity`.
    """
    with _opened(opened) as (backends, unmeasured):
        cases = parity_cases(opened.manifest, source)
        reports = measure_parity(module, opened.manifest, {**backends, **(others or {})}, cases, announce)
    return FolderParity(reports=reports, unmeasured=unmeasured)


@contextmanager
def _opened(version: ModelVersion) -> Iterator[tuple[dict[str, Backend], dict[str, str]]]:
    """The backends of a folder's formats, by format, and those that are not there, with the reason."""
    unmeasured: dict[str, str] = {}
    with ExitStack() as stack:
        backends = {
            format_name: stack.enter_context(closing(create_backend(version, _config(backend))))
            for format_name, backend in MEASURED_BACKENDS.items()
        }
        if MODEL_TORCH_PROGRAM in version.manifest.files:
            program = TorchProgramBackend(version, CPU)
            backends[program.name] = stack.enter_context(closing(program))
        native = _native(version)
        if isinstance(native, str):
            unmeasured[NATIVE] = native
        else:
            backends[NATIVE] = stack.enter_context(closing(native))
        yield backends, unmeasured


def _native(version: ModelVersion) -> Backend | str:
    """The native core with the folder loaded, or why there is none."""
    if NATIVE not in backend_names():
        return "no such backend in this installation"
    try:
        return create_backend(version, _config(NATIVE))
    except (MissingExtraError, ConfigurationError, BackendError) as error:
        return str(error)


def _config(backend: str) -> BackendConfig:
    return BackendConfig(backend=backend, device="cpu", n_threads=1)
