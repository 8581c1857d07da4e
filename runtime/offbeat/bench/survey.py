"""Every contender at every batch size, in several processes each, within a budget of time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from offbeat.bench.contender import Contender, Order, time_in_process
from offbeat.bench.samples import as_benchmark
from offbeat.bench.turns import Turns
from offbeat.errors import BackendError

REFERENCE = "numpy products and tangents"
Progress = Callable[[str, int, int], None]


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One contender at one batch size: what each process found."""

    contender: Contender
    batch: int
    runs: tuple[Turns, ...]


class Survey(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured, and by contender why others were not."""

    measured: tuple[Measured, ...]
    left_out: dict[str, str]


def take_survey(
    contenders: Sequence[Contender],
    batches: Sequence[int],
    *,
    seconds: float,
    n_processes: int,
    asked: Sequence[str] = (),
    progress: Progress = lambda words, done, total: None,
) -> Survey:
    """Gives each contender, batch size and process an equal share of `seconds`; starting and loading come on top.

    All contenders have a turn before any has a second one, so that each is measured early and late. `progress` is told the
    next one's name and how many turns of how many are done. Raises BackendError where a backend of `asked` is absent, where an
    engine refuses a model, and where nothing at all could be measured.
    """
    contenders, batches = list(dict.fromkeys(contenders)), sorted(set(batches))
    share = seconds / (n_processes * len(contenders) * len(batches))
    runs: dict[Contender, list[tuple[Turns, ...]]] = {contender: [] for contender in contenders}
    left_out: dict[str, str] = {}
    for number in range(n_processes):
        for place, contender in enumerate(contenders):
            progress(contender.name, number * len(contenders) + place, n_processes * len(contenders))
            if contender.name in left_out:
                continue
            timed = time_in_process(Order(contender=contender, batches=tuple(batches), seconds=share))
            if timed.problem is None:
                runs[contender].append(timed.turns)
                continue
            if contender.backend in asked or not timed.is_absent:
                raise BackendError(f"{contender.name}: {timed.problem}")
            left_out[contender.name] = timed.problem
    if len(left_out) == len(contenders):
        raise BackendError(f"no backend could be measured: {'; '.join(f'{k}: {v}' for k, v in left_out.items())}")
    measured = [
        Measured(contender=contender, batch=batch, runs=tuple(turns[index] for turns in found))
        for contender, found in runs.items()
        if found
        for index, batch in enumerate(batches)
    ]
    return Survey(measured=tuple(measured), left_out=left_out)


def benchmarks(survey: Survey) -> list[dict[str, Any]]:
    """The survey as benchmarks of a result file, one group for each model and batch size."""
    return [_benchmark(each) for each in survey.measured]


def _benchmark(measured: Measured) -> dict[str, Any]:
    contender, batch = measured.contender, measured.batch
    info = {
        "model": contender.model,
        "version": contender.version,
        "batch": batch,
        "backend": contender.backend,
        "precision": contender.precision,
        "threads": contender.n_threads,
    }
    name = f"{contender.model}[{contender.backend}-batch{batch}-threads{contender.n_threads}]"
    runs = [(turns.times, turns.references) for turns in measured.runs]
    made = as_benchmark(name, f"{contender.model} batch {batch}", runs, REFERENCE, info)
    made["extra_info"]["windows_per_s"] = round(batch / made["stats"]["median"], 1)
    return made
