"""How much slower one sample is than another, and how surely: pure functions of arrays.

A sample is a list of runs, one for each process that measured, each an array [round] of logarithms: of the time over that of the
reference beside it, or of the time alone. Rounds that follow each other share the machine's mood, and all rounds of a process
share its memory layout. So processes are drawn first and blocks of rounds within them second (Kalibera and Jones, Rigorous
benchmarking in reasonable time, ISMM 2013; Künsch, The jackknife and the bootstrap for general stationary observations, 1989).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
# Resamples beyond the limit of an interval, so that the limit does not hang on one of them.
_N_IN_TAIL = 20
_MIN_RESAMPLES, _MAX_RESAMPLES = 2_000, 20_000
# A block never takes more of a run than this share: with one block there is nothing to draw from.
_MAX_BLOCK_SHARE = 0.125
# Rounds of a run that are drawn from; a benchmark of microseconds has hundreds of thousands, which neither time nor memory is for.
_MAX_ROUNDS = 1_000
# Numbers in memory at once while resamples are drawn.
_MAX_DRAWN = 2**21
# A process is thrown off as a whole where it is so far, as a logarithm and in deviations of the others, from the middle.
_THROWN_OFF, _THROWN_OFF_DEVIATIONS = 0.05, 6.0
_MAX_THROWN_OFF_SHARE = 0.25
_SEED = 7


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """How much longer the second takes: 0.2 is 20 % longer. `low` and `high` bound it, each with the confidence asked for.

    `surely` is the share of resamples in which it was more than the threshold. `n_left_out` processes did not count.
    """

    change: float
    low: float
    high: float
    surely: float
    n_left_out: int


def centre(runs: Sequence[Array]) -> float:
    """The median of the runs' medians: now and then a round is slowed by what else the machine does."""
    return float(np.median([np.median(run) for run in runs]))


def typical(runs: Sequence[Array]) -> list[Array]:
    """The runs without those, a quarter of them at most, that something threw off as a whole.

    Such a run's median is more than 5 %, and six deviations of the others, from the median of all. With fewer than four runs, or
    where more are so far off, all count: then it is how the runs are, and the interval must be wide.
    """
    medians = np.array([np.median(run) for run in runs])
    distances = np.abs(medians - np.median(medians))
    deviation = 1.4826 * float(np.median(distances))
    is_off = distances > max(_THROWN_OFF, _THROWN_OFF_DEVIATIONS * deviation)
    if is_off.sum() > len(runs) * _MAX_THROWN_OFF_SHARE:
        return list(runs)
    return [run for run, off in zip(runs, is_off, strict=True) if not off]


def estimate_change(a: Sequence[Array], b: Sequence[Array], *, threshold: float, confidence: float) -> Change:
    """From sample `a` to sample `b`; `confidence` is that of each limit alone, for example 0.999.

    Samples are lists of at least one array [round] of logarithms, none of them empty.
    """
    n_runs = len(a) + len(b)
    a, b = (typical([condensed(run) for run in runs]) for runs in (a, b))
    n_resamples = int(np.clip(_N_IN_TAIL / (1 - confidence), _MIN_RESAMPLES, _MAX_RESAMPLES))
    random = np.random.default_rng(_SEED)
    resampled = _resampled_centres(b, n_resamples, random) - _resampled_centres(a, n_resamples, random)
    low, high = np.quantile(resampled, (1 - confidence, confidence))
    return Change(
        change=math.expm1(centre(b) - centre(a)),
        low=math.expm1(low),
        high=math.expm1(high),
        surely=float(np.mean(resampled > math.log1p(threshold))),
        n_left_out=n_runs - len(a) - len(b),
    )


def condensed(run: Array) -> Array:
    """A run of at most 1,000 rounds as it is, a longer one as the medians of so many equal groups of rounds in a row.

    Groups are of an odd number of rounds, so that the median of their medians is an estimate of the same median; fewer rounds
    than a group has, at the end, are left out.
    """
    if len(run) <= _MAX_ROUNDS:
        return run
    size = math.ceil(len(run) / _MAX_ROUNDS) | 1
    groups: Array = np.median(run[: len(run) // size * size].reshape(-1, size), axis=1)
    return groups


def can_tell(runs: Sequence[Array], confidence: float) -> bool:
    """Whether a sample has the rounds that a limit of that confidence takes: five for 95 %.

    Of n rounds all lie above the true median, or all below it, with a probability of 2^-n each; then so does every resample, and
    of a single round a resample is always that round, as if it were known exactly.
    """
    return 0.5 ** sum(len(run) for run in runs) <= 1 - confidence


def block_length(run: Array) -> int:
    """How many rounds in a row must be drawn together: twice the autocorrelation time of being above the median.

    That is what a median depends on. Autocorrelations are summed in pairs until a sum is not positive (Geyer, Practical Markov
    chain Monte Carlo, 1992).
    """
    longest = max(1, int(len(run) * _MAX_BLOCK_SHARE))
    sign = np.sign(run - np.median(run))
    power = float(sign @ sign)
    if power == 0.0:
        return 1
    correlations = np.correlate(sign, sign, "full")[len(run) - 1 :] / power
    time = 1.0
    for lag in range(1, len(run) - 1, 2):
        pair = correlations[lag] + correlations[lag + 1]
        if pair <= 0:
            break
        time += 2 * float(pair)
    return min(longest, math.ceil(2 * time) if time > 1.0 else 1)


def _resampled_centres(runs: Sequence[Array], n_resamples: int, random: np.random.Generator) -> Array:
    """The centre of each resample [resample]: processes drawn with replacement, blocks of rounds drawn within them."""
    medians = np.stack([_resampled_medians(run, n_resamples, random) for run in runs], axis=1)
    n_runs = len(runs)
    if n_runs == 1:
        return medians[:, 0]
    drawn = random.integers(0, n_runs, (n_resamples, n_runs))
    centres = np.median(np.take_along_axis(medians, drawn, axis=1), axis=1)
    # Drawing n of n makes the spread too small by this factor, which matters where n is 3.
    middle = centre(runs)
    widened: Array = middle + (centres - middle) * math.sqrt(n_runs / (n_runs - 1))
    return widened


def _resampled_medians(run: Array, n_resamples: int, random: np.random.Generator) -> Array:
    """The median of each resample of one run [resample]; blocks go round from its end to its start."""
    n_rounds, length = len(run), block_length(run)
    n_blocks = math.ceil(n_rounds / length)
    medians = np.empty(n_resamples)
    n_at_once = max(1, _MAX_DRAWN // n_rounds)
    for first in range(0, n_resamples, n_at_once):
        part = medians[first : first + n_at_once]
        starts = random.integers(0, n_rounds, (part.size, n_blocks, 1))
        rows = ((starts + np.arange(length)) % n_rounds).reshape(part.size, -1)[:, :n_rounds]
        part[:] = np.median(run[rows], axis=1, overwrite_input=True)
    return medians
