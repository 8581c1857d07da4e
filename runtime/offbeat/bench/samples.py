"""Result files: the JSON of pytest-benchmark, with more in `extra_info` where offbeat measured itself.

reference          what the contender took turns with; absent where a file has none
reference_data     seconds of the reference, one for each round in `stats.data`
rounds_by_process  how many rounds in a row each process gave; absent: one process gave all
"""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from offbeat.bench.machine import Machine
from offbeat.bench.statistics import Array
from offbeat.errors import DataError

_MAX_BYTES = 2**30


class _Stats(msgspec.Struct, frozen=True):
    data: tuple[float, ...] | None = None


class _Benchmark(msgspec.Struct, frozen=True):
    fullname: str
    stats: _Stats
    group: str | None = None
    extra_info: dict[str, Any] = {}


class _File(msgspec.Struct, frozen=True):
    benchmarks: tuple[_Benchmark, ...]
    machine_info: dict[str, Any] = {}


class Sample(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What was measured of one benchmark: seconds of each round, [round] for each process, and of the reference beside it."""

    name: str
    group: str
    times: tuple[Array, ...]
    references: tuple[Array, ...] | None
    reference: str | None

    def logarithms(self, *, is_relative: bool) -> tuple[Array, ...]:
        """Of the ratios to the reference, or of the seconds."""
        if is_relative and self.references is not None:
            return tuple(np.log(time / other) for time, other in zip(self.times, self.references, strict=True))
        return tuple(np.log(time) for time in self.times)


class Result(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The samples of one file by name, in its order, and the processor that they are of, as far as the file says."""

    path: Path
    samples: dict[str, Sample]
    cpu: str | None
    numpy: str | None = None


def read_result(path: Path, reference: str | None = None) -> Result:
    """Reads what `offbeat bench run` or `pytest --benchmark-json` wrote.

    With `reference`, a benchmark whose name holds that word is the reference of its group, unless a benchmark has its own.
    Raises DataError, with what was seen, for a file that is none or has no rounds.
    """
    file = _read(path)
    names = [benchmark.fullname for benchmark in file.benchmarks]
    if not names or len(set(names)) != len(names):
        raise DataError(f"{path}: holds {len(names)} benchmarks of {len(set(names))} names; expected some, each once")
    samples = {each.fullname: _sample(each, path) for each in file.benchmarks}
    if reference is not None:
        samples = _with_references(samples, reference, path)
    return Result(path=path, samples=samples, cpu=_cpu(file.machine_info), numpy=file.machine_info.get("numpy"))


def _read(path: Path) -> _File:
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path}: {path.stat().st_size:,} bytes; expected at most {_MAX_BYTES:,}")
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except OSError as error:
        raise DataError(
            f"{path}: {error.strerror}; expected a result of offbeat bench run or pytest-benchmark"
        ) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DataError(f"{path}: not the JSON of pytest-benchmark: {error}") from error


def _sample(benchmark: _Benchmark, path: Path) -> Sample:
    where = f"{path}: {benchmark.fullname}"
    if benchmark.stats.data is None:
        raise DataError(
            f"{where}: has no stats.data; expected the rounds, which --benchmark-json and --benchmark-save-data keep"
        )
    info = benchmark.extra_info
    times = _positive(benchmark.stats.data, f"{where}: stats.data")
    cuts = _cuts(info.get("rounds_by_process", [len(times)]), len(times), where)
    references = None
    if "reference_data" in info:
        given = _positive(info["reference_data"], f"{where}: reference_data")
        if len(given) != len(times):
            raise DataError(f"{where}: {len(given)} rounds of the reference; expected {len(times)}, one for each")
        references = tuple(np.split(given, cuts))
    return Sample(
        name=benchmark.fullname,
        group=benchmark.group or "",
        times=tuple(np.split(times, cuts)),
        references=references,
        reference=str(info.get("reference", "reference")) if references is not None else None,
    )


def _positive(values: Any, where: str) -> Array:
    try:
        array = np.asarray(values, np.float64)
    except (TypeError, ValueError):
        array = np.empty(0)
    if array.ndim != 1 or array.size == 0 or not np.isfinite(array).all() or not (array > 0).all():
        raise DataError(f"{where}: expected seconds, at least one, all finite and above 0")
    return array


def _cuts(counts: Any, n_rounds: int, where: str) -> list[int]:
    is_valid = isinstance(counts, list) and all(isinstance(count, int) and count > 0 for count in counts)
    if not is_valid or sum(counts) != n_rounds:
        raise DataError(f"{where}: rounds_by_process is {counts!r}; expected counts that sum to {n_rounds}")
    return list(np.cumsum(counts)[:-1])


def _with_references(samples: dict[str, Sample], word: str, path: Path) -> dict[str, Sample]:
    """Each group's reference is the median of that benchmark, since its rounds were not taken in turns with the others'."""
    found: dict[str, Sample] = {}
    for sample in samples.values():
        if word in sample.name and found.setdefault(sample.group, sample) is not sample:
            raise DataError(
                f"{path}: group {sample.group!r} has two benchmarks with {word!r} in their name: "
                f"{found[sample.group].name} and {sample.name}; expected one"
            )
    if not found:
        raise DataError(f"{path}: no benchmark has {word!r} in its name, which was given as the reference")
    return {
        name: _against(sample, found[sample.group])
        for name, sample in samples.items()
        if sample.references is not None or (sample.group in found and found[sample.group] is not sample)
    }


def _against(sample: Sample, other: Sample) -> Sample:
    if sample.references is not None:
        return sample
    middle = float(np.median(np.concatenate(other.times)))
    return msgspec.structs.replace(
        sample, references=tuple(np.full(len(run), middle) for run in sample.times), reference=other.name
    )


def _cpu(info: dict[str, Any]) -> str | None:
    cpu = info.get("cpu")
    name = cpu.get("brand_raw") if isinstance(cpu, dict) else cpu
    return name if isinstance(name, str) else None


def result_content(benchmarks: list[dict[str, Any]], machine: Machine) -> bytes:
    """What `read_result` and pytest-benchmark's own comparison read."""
    content = {
        "machine_info": {
            "cpu": {"brand_raw": machine.cpu, "count": machine.n_cores},
            "machine": machine.architecture,
            "numpy": np.__version__,
        },
        "commit_info": {},
        "benchmarks": benchmarks,
        "datetime": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": "5.0.0",
    }
    return msgspec.json.format(msgspec.json.encode(content), indent=1) + b"\n"


def as_benchmark(
    name: str, group: str, runs: list[tuple[list[float], list[float]]], reference: str, info: dict[str, Any]
) -> dict[str, Any]:
    """One benchmark of a file: seconds of each round and of the reference beside it, for each process."""
    data = [_short(value) for times, _ in runs for value in times]
    extra = {
        **info,
        "reference": reference,
        "reference_data": [_short(value) for _, references in runs for value in references],
        "rounds_by_process": [len(times) for times, _ in runs],
    }
    return {
        "group": group,
        "name": name,
        "fullname": name,
        "params": None,
        "param": None,
        "extra_info": extra,
        "options": {},
        "stats": _statistics(np.asarray(data)),
    }


def _short(seconds: float) -> float:
    """To a nanosecond, or a hundred thousandth: more is noise."""
    return round(seconds, max(9, 5 - math.floor(math.log10(seconds))))


def _statistics(data: Array) -> dict[str, Any]:
    q1, median, q3 = (float(value) for value in np.quantile(data, (0.25, 0.5, 0.75)))
    return {
        "min": float(data.min()),
        "max": float(data.max()),
        "mean": float(data.mean()),
        "stddev": float(data.std(ddof=1)) if data.size > 1 else 0.0,
        "rounds": data.size,
        "median": median,
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "ops": 1 / float(data.mean()),
        "total": float(data.sum()),
        "iterations": 1,
        "data": data.tolist(),
    }
