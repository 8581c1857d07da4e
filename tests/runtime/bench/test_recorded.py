"""What was really measured, 20 times unchanged and 20 times with a planted slowdown of 20 %, on two cores with a load of eight."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from offbeat.bench.comparison import Comparison, Thresholds, compare
from offbeat.bench.samples import Result, Sample

# Made by `python -m benchmarks.planted` while eight others used the machine; nanoseconds [kind, run, contender, process, round].
RECORDED = Path(__file__).with_name("recorded.npz")
UNCHANGED, SLOWED = 0, 1
CONTENDERS = ("native", "onnxruntime")


@pytest.fixture(scope="module")
def results() -> list[list[Result]]:
    with np.load(RECORDED) as file:
        times, references = (file[name].astype(np.float64) for name in ("times", "references"))
    return [
        [result(times[kind, run], references[kind, run]) for run in range(times.shape[1])] for kind in range(len(times))
    ]


def result(times: np.ndarray, references: np.ndarray) -> Result:
    samples = {
        name: Sample(
            name=name, group="", times=tuple(times[index]), references=tuple(references[index]), reference="numpy"
        )
        for index, name in enumerate(CONTENDERS)
    }
    return Result(path=Path("recorded"), samples=samples, cpu=None)


def compared(a: list[Result], b: list[Result]) -> list[Comparison]:
    """Each with the next, the last with the first."""
    return [compare(one, other, Thresholds()) for one, other in zip(a, [*b[1:], b[0]], strict=True)]


def test_an_unchanged_tree_passes_19_times_of_20(results: list[list[Result]]) -> None:
    passes = [not each.slower for each in compared(results[UNCHANGED], results[UNCHANGED])]
    assert len(passes) == 20
    assert sum(passes) >= 19


def test_a_slowdown_of_a_fifth_is_caught_19_times_of_20_in_every_contender(results: list[list[Result]]) -> None:
    caught = [len(each.slower) == len(CONTENDERS) for each in compared(results[UNCHANGED], results[SLOWED])]
    assert len(caught) == 20
    assert sum(caught) >= 19


def test_the_reverse_is_faster_and_never_slower(results: list[list[Result]]) -> None:
    found = compared(results[SLOWED], results[UNCHANGED])
    assert not any(each.slower for each in found)
    assert sum(one.verdict == "faster" for each in found for one in each.compared) >= 38


def test_the_planted_change_is_told_about_right(results: list[list[Result]]) -> None:
    found = [one.change.change for each in compared(results[UNCHANGED], results[SLOWED]) for one in each.compared]
    assert 0.17 < np.median(found) < 0.23


def test_the_seconds_alone_would_not_do(results: list[list[Result]]) -> None:
    """On this machine, that is: the spread of absolute medians is wider than that of ratios."""

    def spread(*, is_relative: bool) -> float:
        medians = [
            float(np.median(np.concatenate(each.samples[name].logarithms(is_relative=is_relative))))
            for name in CONTENDERS
            for each in results[UNCHANGED]
        ]
        return float(np.mean(np.ptp(np.reshape(medians, (len(CONTENDERS), -1)), axis=1)))

    assert spread(is_relative=True) < spread(is_relative=False)
