"""Measures parity: the exported formats against the eager model, case by case, before anything is published."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offbeat.backends import Backend
from offbeat.bundle.manifest import Manifest
from offbeat.bundle.tolerance import Floats, difference, may_flip, unit
from offbeat.errors import ParityError
from offbeat_export.eager import Outputs, evaluate
from offbeat_export.parity_cases import ParityCase
from offbeat_export.parity_report import Difference, ParityReport, Worst
from offbeat_export.row_spread import row_spread
from offbeat_export.scoring_module import ScoringModule


@dataclass(frozen=True, kw_only=True, eq=False)
class _Reference:
    """What one case should give: eager float32, what differences are measured in, and the error of a float64 run."""

    case: ParityCase
    eager: Outputs
    units: dict[str, Floats]
    exact_error: Floats

    def float64_distance(self, seen: Outputs) -> Floats:
        """How far each window's error is from float64's, relative to max(1, error), [batch]."""
        distance: Floats = (
            difference(seen["reconstruction_error"], self.exact_error) / self.units["reconstruction_error"]
        )
        return distance

    def float64_squares(self, seen: Outputs) -> float:
        """The sum over windows of the squares of these distances."""
        return float(np.square(self.float64_distance(seen)).sum())


def measure_parity(
    module: ScoringModule,
    manifest: Manifest,
    backends: Mapping[str, Backend],
    cases: Iterable[ParityCase],
    announce: Callable[[str], None] = lambda case: None,
) -> tuple[ParityReport, ...]:
    """Runs every case through eager float32, eager float64 and each backend; one report for each, by its name.

    `announce` is told each case. Raises ParityError for outputs of another shape or type than eager's, and where eager's
    own are not finite, since nothing can be compared with them.
    """
    precise = copy.deepcopy(module).double()
    reports = {name: ParityReport(format=name) for name in backends}
    for case in cases:
        announce(case.name)
        reference = _reference(module, precise, case, manifest)
        for name, backend in backends.items():
            seen = backend.run(case.window, module.output_names)
            _add_case(reports[name], reference, seen, manifest)
            if case.is_mixed:
                reports[name].add_row_spread(row_spread(backend, case.window, seen["reconstruction_error"]))
    return tuple(reports.values())


def _reference(module: ScoringModule, precise: ScoringModule, case: ParityCase, manifest: Manifest) -> _Reference:
    eager = evaluate(module, case.window, module.output_names)
    _require_finite(eager, case)
    exact = evaluate(precise, case.window.astype(np.float64), module.output_names)
    return _Reference(
        case=case,
        eager=eager,
        units={name: unit(name, eager, case.window, manifest) for name in eager},
        exact_error=exact["reconstruction_error"].astype(np.float64),
    )


def _require_finite(eager: Outputs, case: ParityCase) -> None:
    for name, values in eager.items():
        is_finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
        if not is_finite.all():
            raise ParityError(
                f"eager gives {name} that is not finite for window {int(np.argmin(is_finite))} "
                f"in the case '{case.name}'; expected finite numbers"
            )


def _add_case(report: ParityReport, reference: _Reference, seen: Outputs, manifest: Manifest) -> None:
    report.add_windows(reference.case.window)
    for name, expected in reference.eager.items():
        if seen[name].shape != expected.shape or seen[name].dtype != expected.dtype:
            raise ParityError(
                f"{report.format} gives {name} as {seen[name].dtype} {list(seen[name].shape)} in the case '{reference.case.name}'; "
                f"eager gives {expected.dtype} {list(expected.shape)}"
            )
        if name == "is_anomaly":
            is_flipped = seen[name] != expected
            report.decision_flips += int(is_flipped.sum())
            report.forbidden_flips += int(
                (is_flipped & ~may_flip(reference.eager["reconstruction_error"], manifest)).sum()
            )
        else:
            _add_output(report, reference, name, seen[name])
    report.float64_squares += reference.float64_squares(seen)
    report.eager_float64_squares += reference.float64_squares(reference.eager)


def _add_output(report: ParityReport, reference: _Reference, name: str, seen: NDArray[np.generic]) -> None:
    expected = reference.eager[name]
    delta = difference(seen, expected)
    relative = delta / reference.units[name]
    where = np.unravel_index(int(np.argmax(relative)), relative.shape)
    report.differences.setdefault(name, Difference()).add(delta, relative)
    if relative[where] > (0.0 if report.worst is None else report.worst.relative):
        report.worst = Worst(
            relative=float(relative[where]),
            output=name,
            case=reference.case.name,
            window=int(where[0]),
            n_steps=reference.case.window.shape[1] if reference.case.window.ndim == 3 else None,
            expected=float(expected[where]),
            seen=float(seen[where]),
            eager_float64=float(reference.float64_distance(reference.eager)[where[0]]),
        )
