"""Scores the Parquet files of a folder on a Ray cluster, file by file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import ray
from ray.exceptions import RayError

from offbeat.errors import DataError, require
from offbeat.files import PARTIAL_FILES
from offbeat.ray.file_scoring import FileOutcome, FolderRequest, score_file, series_of

# A task that ends with its node is given to another one, so often; a file that ends its worker must not do so for ever.
_MAX_RETRIES = 10
# Enough that no CPU of a cluster waits for the next file, and few enough for the memory of this process.
_MAX_SUBMITTED = 1024
Answer = TypeVar("Answer")


class FolderSummary(msgspec.Struct, frozen=True, kw_only=True):
    """What a run did: files scored and kept, files without rows, the rows of all, and the files that failed."""

    n_scored: int
    n_kept: int
    n_empty: int
    n_rows: int
    n_anomalies: int
    n_unscored: int
    failed: tuple[FileOutcome, ...]


def score_folder(request: FolderRequest, tell: Callable[[int, int], object]) -> FolderSummary:
    """Scores every `*.parquet` below the folder, hidden ones left out, that has no output made from the same yet.

    The unit of work is a file; where a node is lost, its files are scored by another one. Uses the cluster of RAY_ADDRESS, or of
    this machine, or starts one here. `tell` is called with the files done and all. A file that cannot be scored
    holds up no other one. Raises DataError for a folder without files, and for a series whose rows are in several files.
    """
    names = parquet_files(Path(request.data), Path(request.out))
    n_cpus = request.backend.n_threads
    outcomes: list[FileOutcome] = []
    with _cluster():
        if request.selection.series_column is not None:
            _check_series(request, names)
        for name, answer in _answers(score_file, request, names, n_cpus):
            outcomes.append(_lost(name, answer) if isinstance(answer, RayError) else answer)
            tell(len(outcomes), len(names))
    _forget_partial(Path(request.out), names)
    return _summary(outcomes)


def parquet_files(data: Path, out: Path) -> list[str]:
    """The files below the folder, as paths in it, sorted. Raises DataError, and ConfigurationError for an `out` among them."""
    if not data.is_dir():
        raise DataError(
            f"{data}: {'a file' if data.exists() else 'no such folder'}; expected a folder of Parquet files"
        )
    source, target = data.resolve(), out.resolve()
    is_apart = source != target and source not in target.parents and target not in source.parents
    require(is_apart, "out", str(out), f"a folder apart from the data, {data}")
    require(not out.exists() or out.is_dir(), "out", str(out), "a folder, there or not")
    found = sorted(path.relative_to(data) for path in data.rglob("*.parquet") if path.is_file())
    names = [path.as_posix() for path in found if not any(part.startswith((".", "_")) for part in path.parts)]
    if not names:
        raise DataError(f"{data}: no *.parquet below it; expected at least one")
    return names


def _check_series(request: FolderRequest, names: list[str]) -> None:
    """Windows are not carried from file to file, whose order nobody knows."""
    places: dict[str, str] = {}
    for name, answer in _answers(series_of, request, names, 1):
        if isinstance(answer, RayError):
            raise DataError(_lost(name, answer).error)
        if isinstance(answer, DataError):
            raise answer
        for series in answer:
            if (other := places.setdefault(series, name)) != name:
                raise DataError(
                    f"{request.data}: series {series!r} has rows in {min(name, other)} and in {max(name, other)}; expected all rows "
                    "of a series in one file: write the folder with a file for each series, or for some whole ones"
                )


def _answers(
    task: Callable[[FolderRequest, str], Answer], request: FolderRequest, names: list[str], n_cpus: int
) -> Iterator[tuple[str, Any]]:
    """The names with what the task returns for each, or with the error of Ray, as they come."""
    remote = ray.remote(num_cpus=n_cpus, max_retries=_MAX_RETRIES)(task)
    shared = ray.put(request)
    waiting: dict[Any, str] = {}
    remaining = iter(names)
    while True:
        while len(waiting) < _MAX_SUBMITTED and (name := next(remaining, None)) is not None:
            waiting[remote.remote(shared, name)] = name
        if not waiting:
            return
        (done, *_), _ = ray.wait(list(waiting), num_returns=1)
        yield waiting.pop(done), _taken(done)


def _taken(reference: Any) -> Any:
    try:
        return ray.get(reference)
    except RayError as error:
        return error


def _lost(name: str, error: RayError) -> FileOutcome:
    return FileOutcome(name=name, error=f"{name}: given up by Ray: {error}")


def _summary(outcomes: list[FileOutcome]) -> FolderSummary:
    good = [outcome for outcome in outcomes if outcome.error is None]
    n_kept, n_empty = sum(outcome.is_kept for outcome in good), sum(outcome.n_rows == 0 for outcome in good)
    return FolderSummary(
        n_scored=len(good) - n_kept - n_empty,
        n_kept=n_kept,
        n_empty=n_empty,
        n_rows=sum(outcome.n_rows for outcome in good),
        n_anomalies=sum(outcome.n_anomalies for outcome in good),
        n_unscored=sum(outcome.n_unscored for outcome in good),
        failed=tuple(outcome for outcome in outcomes if outcome.error is not None),
    )


def _forget_partial(out: Path, names: list[str]) -> None:
    """What workers left behind that were ended while they wrote."""
    wanted = {out / name for name in names}
    for path in out.rglob(PARTIAL_FILES):
        # .NAME.PROCESS.TOKEN.part
        if path.with_name(path.name[1:].rsplit(".", 3)[0]) in wanted:
            path.unlink(missing_ok=True)


@contextmanager
def _cluster() -> Iterator[None]:
    if ray.is_initialized():
        yield
        return
    ray.init(log_to_driver=False, logging_level="warning")
    try:
        yield
    finally:
        ray.shutdown()
