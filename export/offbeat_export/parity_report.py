"""What parity was measured: one format's largest differences from the eager model."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from offbeat.bundle.manifest import FormatParity, OutputParity
from offbeat.bundle.tolerance import Floats
from offbeat.errors import ParityError
from offbeat.result import FloatArray
from offbeat_export.parity import FLOAT64_FACTOR, FLOAT64_FLOOR, PARITY_BOUND, ROW_BOUND


class UndeterminedError(ParityError):
    """A bound is missed for windows of `n_steps`, whose error eager float32 itself does not determine to the bound."""

    def __init__(self, message: str, n_steps: int | None = None) -> None:
        super().__init__(message)
        self.n_steps = n_steps


@dataclass(frozen=True, kw_only=True)
class Worst:
    """The largest difference seen: |seen − expected| is `relative` times the output's unit, which the bound limits.

    `n_steps` is the window's time, None for a row of a table. `eager_float64` is how far eager's own error of that window is
    from a float64 run's, relative to max(1, error).
    """

    relative: float
    output: str
    case: str
    window: int
    n_steps: int | None
    expected: float
    seen: float
    eager_float64: float

    @property
    def where(self) -> str:
        """Output, case and window in a few words."""
        return f"{self.output}: {self.case}, window {self.window}"


@dataclass(kw_only=True)
class Difference:
    """|Δ| of one output from eager float32 so far, in its own units and in those that the bound limits."""

    max_absolute: float = 0.0
    max_relative: float = 0.0
    sum_absolute: float = 0.0
    sum_relative: float = 0.0
    n: int = 0

    def add(self, delta: Floats, relative: Floats) -> None:
        """Takes in the differences of one case, element by element."""
        self.max_absolute = max(self.max_absolute, float(delta.max()))
        self.max_relative = max(self.max_relative, float(relative.max()))
        self.sum_absolute += float(delta.sum())
        self.sum_relative += float(relative.sum())
        self.n += delta.size

    def to_manifest(self) -> OutputParity:
        """The figures that travel with the folder."""
        return OutputParity(
            max_absolute=self.max_absolute,
            max_relative=self.max_relative,
            mean_absolute=self.sum_absolute / max(1, self.n),
            mean_relative=self.sum_relative / max(1, self.n),
        )


@dataclass(kw_only=True)
class ParityReport:
    """One format against eager float32 over all cases, and both against float64 (sums of squares over windows).

    `differences` holds those of each output. `decision_flips` counts decisions that differ, `forbidden_flips` those where the
    error is not near the threshold. `row_spread` is how far a row's error moved with its batch, relative to max(1, error);
    None until a mixed batch was measured.
    """

    format: str
    n_cases: int = 0
    n_windows: int = 0
    batch_sizes: set[int] = field(default_factory=set)
    lengths: set[int] = field(default_factory=set)
    decision_flips: int = 0
    forbidden_flips: int = 0
    worst: Worst | None = None
    differences: dict[str, Difference] = field(default_factory=dict)
    row_spread: float | None = None
    float64_squares: float = 0.0
    eager_float64_squares: float = 0.0

    @property
    def outputs(self) -> dict[str, OutputParity]:
        """The largest and the mean differences of each output."""
        return {name: each.to_manifest() for name, each in self.differences.items()}

    def add_windows(self, window: FloatArray) -> None:
        """Counts one case: windows [batch, time, feature], or rows [batch, feature]."""
        self.n_cases += 1
        self.n_windows += len(window)
        self.batch_sizes.add(len(window))
        if window.ndim == 3:
            self.lengths.add(window.shape[1])

    def add_row_spread(self, spread: float) -> None:
        """Takes in how far rows of one batch moved."""
        self.row_spread = max(spread, self.row_spread or 0.0)

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
            worst_case="no difference" if self.worst is None else self.worst.where,
            outputs=self.outputs,
            batch_sizes=tuple(sorted(self.batch_sizes)),
            lengths=tuple(sorted(self.lengths)),
            row_spread=self.row_spread,
        )

    def check(self) -> None:
        """Raises ParityError, naming format, output, case and window, where a bound or the float64 rule is missed.

        It is an UndeterminedError where eager itself is beyond the bound of float64 there.
        """
        if self.worst is not None and not self.worst.relative <= PARITY_BOUND:
            worst = self.worst
            message = (
                f"{self.format} misses the parity bound: {worst.output} of window {worst.window} in the case '{worst.case}' is {worst.seen:.9g}; "
                f"eager gives {worst.expected:.9g}: {worst.relative:.3g} relative, expected at most {PARITY_BOUND:g}; "
                f"eager's own error of that window is {worst.eager_float64:.3g} relative away from a float64 run"
            )
            if worst.eager_float64 > PARITY_BOUND:
                raise UndeterminedError(message, worst.n_steps)
            raise ParityError(message)
        if self.forbidden_flips:
            raise ParityError(f"{self.format} decides {self.forbidden_flips} of {self.n_windows} windows unlike eager")
        if self.row_spread is not None and not self.row_spread <= ROW_BOUND:
            raise ParityError(
                f"{self.format} moves a row's error by {self.row_spread:.3g} relative with its batch; expected at most {ROW_BOUND:g}"
            )
        allowed = max(FLOAT64_FACTOR * self.eager_float64_error, FLOAT64_FLOOR)
        if not self.float64_error <= allowed:
            raise ParityError(
                f"{self.format} is {self.float64_error:.3g} relative away from a float64 run, eager {self.eager_float64_error:.3g}; "
                f"expected at most {allowed:.3g}"
            )
