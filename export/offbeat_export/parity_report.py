"""What parity was measured: one format's largest differences from the eager model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from offbeat.bundle.manifest import FormatParity, OutputParity
from offbeat.errors import ParityError
from offbeat_export.parity import FLOAT64_FACTOR, FLOAT64_FLOOR, PARITY_BOUND


@dataclass(frozen=True, kw_only=True)
class Worst:
    """The largest difference seen: |seen − expected| is `relative` times the output's unit, which the bound limits."""

    relative: float
    output: str
    case: str
    window: int
    expected: float
    seen: float


@dataclass(kw_only=True)
class ParityReport:
    """One format against eager float32 over all cases, and both against float64 (sums of squares over windows).

    `outputs` holds, for each output, the largest |Δ| and the largest |Δ| relative to its unit, which the bound limits.
    `decision_flips` counts decisions that differ, `forbidden_flips` those where the error is not near the threshold.
    """

    format: str
    n_cases: int = 0
    n_windows: int = 0
    decision_flips: int = 0
    forbidden_flips: int = 0
    worst: Worst | None = None
    outputs: dict[str, OutputParity] = field(default_factory=dict)
    float64_squares: float = 0.0
    eager_float64_squares: float = 0.0

    @property
    def float64_error(self) -> float:
        """Root mean square over all windows of |error − float64's| / max(1, error)."""
        return math.sqrt(self.float64_squares / max(1, self.n_windows))

    @property
    def eager_float64_error(self) -> float:
        """The same for eager float32."""
        return math.sqrt(self.eager_float64_squares / max(1, self.n_windows))

    def to_manifest(self) -> FormatParity:
        """The figures that travel with the folder."""
        return FormatParity(
            n_cases=self.n_cases,
            n_windows=self.n_windows,
            decision_flips=self.decision_flips,
            worst_case="no difference" if self.worst is None else f"{self.worst.output}: {self.worst.case}",
            outputs=self.outputs,
        )

    def check(self) -> None:
        """Raises ParityError, naming format, output, case and window, where the bound or the float64 rule is missed."""
        if self.worst is not None and not self.worst.relative <= PARITY_BOUND:
            worst = self.worst
            raise ParityError(
                f"{self.format} misses the parity bound: {worst.output} of window {worst.window} in the case '{worst.case}' is {worst.seen:.9g}; "
                f"eager gives {worst.expected:.9g}: {worst.relative:.3g} relative, expected at most {PARITY_BOUND:g}"
            )
        if self.forbidden_flips:
            raise ParityError(f"{self.format} decides {self.forbidden_flips} of {self.n_windows} windows unlike eager")
        allowed = max(FLOAT64_FACTOR * self.eager_float64_error, FLOAT64_FLOOR)
        if not self.float64_error <= allowed:
            raise ParityError(
                f"{self.format} is {self.float64_error:.3g} relative away from a float64 run, eager {self.eager_float64_error:.3g}; "
                f"expected at most {allowed:.3g}"
            )
