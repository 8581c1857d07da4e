"""What got slower from one result to the next, by how much and how surely."""

from __future__ import annotations

import fnmatch
from typing import Literal

import msgspec

from offbeat.bench.samples import Result, Sample
from offbeat.bench.statistics import Change, can_tell, estimate_change
from offbeat.errors import DataError, require

Verdict = Literal["slower", "faster", "same", "unsure"]
# Slower first: whoever reads a table should see it without reading on.
_ORDER: tuple[Verdict, ...] = ("slower", "unsure", "faster", "same")


class Thresholds(msgspec.Struct, frozen=True, kw_only=True):
    """How much slower a benchmark may be: `default`, or that of the first pattern in `by_group` its group's name fits.

    0.05 is 5 %. Patterns are those of a shell: `M1*`.
    """

    default: float = 0.05
    by_group: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        for name, value in (("threshold", self.default), *self.by_group):
            require(0 <= value <= 10, name, value, "0 to 10, where 0.05 is 5 %")

    def of(self, group: str) -> float:
        """The one of that group."""
        matching = (value for pattern, value in self.by_group if fnmatch.fnmatchcase(group, pattern))
        return next(matching, self.default)


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark in both results.

    `slower` where even the lower limit of the change is above the threshold, `faster` likewise, `same` where the whole interval is
    within it, and `unsure` where the rounds are too noisy to tell, or too few (`has_rounds` is False). `is_relative`: ratios to a
    reference were compared.
    """

    name: str
    group: str
    threshold: float
    verdict: Verdict
    is_relative: bool
    has_rounds: bool
    change: Change


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The benchmarks that both results have, those slower first, names that only one has, and what makes this doubtful.

    `confidence` is that of all verdicts together: with 0.95, one comparison of twenty of an unchanged tree says `slower` of
    anything at most, were the threshold 0.
    """

    a: str
    b: str
    confidence: float
    compared: tuple[Compared, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def slower(self) -> tuple[Compared, ...]:
        """What got worse."""
        return tuple(each for each in self.compared if each.verdict == "slower")


def compare(a: Result, b: Result, thresholds: Thresholds, *, confidence: float = 0.95) -> Comparison:
    """From `a`, the older, to `b`. Raises DataError where they have no benchmark in common."""
    require(0.5 <= confidence < 1, "confidence", confidence, "0.5 to less than 1")
    common = [name for name in b.samples if name in a.samples]
    if not common:
        raise DataError(f"{a.path} and {b.path} have no benchmark in common; expected results of the same benchmarks")
    # Shared out: with many benchmarks, one of them would often look slower by chance.
    each = 1 - (1 - confidence) / len(common)
    compared = [_compare(a.samples[name], b.samples[name], thresholds, confidence, each) for name in common]
    compared.sort(key=lambda found: (_ORDER.index(found.verdict), -found.change.change))
    return Comparison(
        a=str(a.path),
        b=str(b.path),
        confidence=confidence,
        compared=tuple(compared),
        only_a=tuple(name for name in a.samples if name not in b.samples),
        only_b=tuple(name for name in b.samples if name not in a.samples),
        warnings=tuple(_warnings(a, b, common) + _left_out(compared) + _too_few(compared)),
    )


def _compare(a: Sample, b: Sample, thresholds: Thresholds, of_all: float, of_each: float) -> Compared:
    threshold = thresholds.of(b.group)
    is_relative = _is_relative(a, b)
    has_rounds = can_tell(a.times, of_all) and can_tell(b.times, of_all)
    change = estimate_change(
        a.logarithms(is_relative=is_relative),
        b.logarithms(is_relative=is_relative),
        threshold=threshold,
        confidence=of_each,
    )
    return Compared(
        name=b.name,
        group=b.group,
        threshold=threshold,
        verdict=_verdict(change, threshold) if has_rounds else "unsure",
        is_relative=is_relative,
        has_rounds=has_rounds,
        change=change,
    )


def _is_relative(a: Sample, b: Sample) -> bool:
    return a.reference is not None and a.reference == b.reference


def _verdict(change: Change, threshold: float) -> Verdict:
    fastest = -threshold / (1 + threshold)
    if change.low > threshold:
        return "slower"
    if change.high < fastest:
        return "faster"
    return "same" if fastest <= change.low and change.high <= threshold else "unsure"


def _warnings(a: Result, b: Result, common: list[str]) -> list[str]:
    warnings = []
    absolute = [name for name in common if not _is_relative(a.samples[name], b.samples[name])]
    if absolute:
        warnings.append(
            f"{len(absolute)} of {len(common)} benchmarks have no reference of the same name in both results: their seconds are "
            "compared, so that a slow day looks like a slow change"
        )
    if not_in_turns := [name for name in common if name not in absolute and _is_constant(b.samples[name])]:
        warnings.append(
            f"{len(not_in_turns)} of {len(common)} references were not measured in turns with what they are a reference for: a "
            "change of the machine's speed between them looks like a change"
        )
    for what, one, other in (("processor", a.cpu, b.cpu), ("numpy, which the reference uses", a.numpy, b.numpy)):
        if one != other and one is not None and other is not None:
            warnings.append(f"another {what}: {one} and {other}")
    return warnings


def _left_out(compared: list[Compared]) -> list[str]:
    n_left_out = sum(each.change.n_left_out for each in compared)
    return [f"{n_left_out} processes were thrown off as a whole, and do not count"] if n_left_out else []


def _too_few(compared: list[Compared]) -> list[str]:
    n_too_few = sum(not each.has_rounds for each in compared)
    told = f"{n_too_few} of {len(compared)} benchmarks have too few rounds in one of the results to tell anything"
    return [told] if n_too_few else []


def _is_constant(sample: Sample) -> bool:
    references = sample.references
    return references is not None and all(bool((each == references[0][0]).all()) for each in references)
