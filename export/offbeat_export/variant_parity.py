"""How far a variant's engines may be from its own eager run, which computes in float32 with the stored weights."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import msgspec
import numpy as np

from offbeat.backends import Backend
from offbeat.bundle.manifest import MAX_PARITY_BOUND, Manifest, Parity
from offbeat.bundle.precision_record import Arithmetic
from offbeat.bundle.tolerance import may_flip
from offbeat.errors import ParityError
from offbeat_export.eager import evaluate
from offbeat_export.parity import PARITY_BOUND
from offbeat_export.parity_cases import ParityCase, parity_cases
from offbeat_export.parity_measurement import measure_parity
from offbeat_export.parity_report import ParityReport
from offbeat_export.scoring_module import ScoringModule
from offbeat_export.window_source import WindowSource

# Another processor rounds otherwise, and its windows are not those measured here.
_HEADROOM = 2.0
# What a static scale was made for is tried in these batches.
_BATCH_SIZES = (1, 3, 64)
_N_EXTREME = 64


def cases_of(arithmetic: Arithmetic, manifest: Manifest, source: WindowSource) -> Iterable[ParityCase]:
    """The cases of every export; with static scales real windows alone, since beyond their range values saturate."""
    return _real_cases(source) if arithmetic == "int8-static" else parity_cases(manifest, source)


def check_float32(module: ScoringModule, manifest: Manifest, backend: Backend, source: WindowSource) -> ParityReport:
    """Parity of a graph that computes in float32, under the rules of every export. Raises ParityError."""
    cases = cases_of("float32", manifest, source)
    (report,) = measure_parity(module, manifest, {"onnx": backend}, cases)
    report.check()
    return report


def integer_parity(
    module: ScoringModule, manifest: Manifest, backends: Mapping[str, Backend], cases: Iterable[ParityCase]
) -> tuple[ParityReport, ...]:
    """What graphs that multiply integers differ by, in units that hold for any bound. Raises ParityError as `bound_of` does."""
    loosest = msgspec.structs.replace(manifest, parity=Parity(bound=MAX_PARITY_BOUND, formats={}))
    return measure_parity(module, loosest, backends, cases)


def bound_of(reports: Iterable[ParityReport]) -> float:
    """Twice the largest relative difference that was measured, to two digits, and no less than float32's bound.

    Raises ParityError where no manifest may claim as much.
    """
    worst = max((report for report in reports), key=_relative)
    bound = max(PARITY_BOUND, _two_digits_up(_HEADROOM * _relative(worst)))
    if not bound <= MAX_PARITY_BOUND:
        where = "" if worst.worst is None else f" in {worst.worst.output}, case '{worst.worst.case}'"
        raise ParityError(
            f"{worst.format} differs from eager by {_relative(worst):.3g} relative{where}; "
            f"expected at most {MAX_PARITY_BOUND / _HEADROOM:g}"
        )
    return bound


def check_extreme_decisions(module: ScoringModule, manifest: Manifest, backend: Backend, source: WindowSource) -> None:
    """Raises ParityError unless windows with outliers, where static scales saturate, are decided as eager decides."""
    window = source.draw("extreme", _N_EXTREME)
    expected = evaluate(module, window, module.output_names)
    seen = backend.run(window, ("is_anomaly",))["is_anomaly"]
    differs = (seen != expected["is_anomaly"]) & ~may_flip(expected["reconstruction_error"], manifest)
    if differs.any():
        raise ParityError(
            f"static scales decide {int(differs.sum())} of {_N_EXTREME} windows with outliers unlike eager; expected none"
        )


def _real_cases(source: WindowSource) -> Iterator[ParityCase]:
    for size in _BATCH_SIZES:
        yield ParityCase(name=f"real, batch {size}", window=source.draw("real", size))


def _relative(report: ParityReport) -> float:
    return 0.0 if report.worst is None else report.worst.relative


def _two_digits_up(value: float) -> float:
    if value <= 0 or not math.isfinite(value):
        return value
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{np.ceil(value / step) * step:.1e}")
