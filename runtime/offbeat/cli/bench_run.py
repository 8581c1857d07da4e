"""`offbeat bench run`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from offbeat.bench.contender import contenders
from offbeat.bench.machine import this_machine
from offbeat.bench.samples import result_content
from offbeat.bench.survey import benchmarks, take_survey
from offbeat.bundle import find_versions
from offbeat.cli.bench_options import (
    BatchesOption,
    BenchBackendOption,
    BenchSecondsOption,
    BenchThreadsOption,
    ProcessesOption,
    ResultsOption,
    progress_on,
    result_path,
    usable_threads,
)
from offbeat.cli.options import DeviceOption
from offbeat.errors import DataError
from offbeat.targets import check_targets, write_target


def run(
    target: Annotated[
        Path, typer.Argument(help="A repository (the newest version of each model), a model or a version.")
    ],
    save: Annotated[str, typer.Option(help="Name of the result, in --results, or a path that ends with .json.")],
    results: ResultsOption = Path("bench-results"),
    backend: BenchBackendOption = ["native", "onnxruntime"],  # noqa: B006 - typer copies it
    batch: BatchesOption = [1, 64],  # noqa: B006
    threads: BenchThreadsOption = [1],  # noqa: B006
    device: DeviceOption = "cpu",
    seconds: BenchSecondsOption = 60.0,
    processes: ProcessesOption = 5,
) -> None:
    """Time the models of a repository, each in turns with a fixed reference, and save every round for a comparison.

    Each model and engine is timed in several processes of its own, early and late in the run. The result is JSON as
    pytest-benchmark writes it.

    Example: `offbeat bench run models --save before`, later `offbeat bench run models --save after`, and
    `offbeat bench compare before after`
    """
    path, threads = result_path(save, results), usable_threads(threads)
    # Before the measuring, not after.
    if path.parent == results:
        _make_folder(results)
    check_targets({"save": path}, [target])
    found = contenders(newest(target), backend, threads, device)
    console = Console(stderr=True)
    with progress_on(console) as progress:
        survey = take_survey(found, batch, seconds=seconds, n_processes=processes, progress=progress)
    for why in dict.fromkeys(survey.left_out.values()):
        console.print(f"left out: {why}", markup=False, highlight=False, soft_wrap=True)
    content = result_content(benchmarks(survey), this_machine())
    write_target(path, "wb", lambda file: file.write(content))
    Console(soft_wrap=True).print(f"saved {len(survey.measured)} benchmarks to {path}", markup=False, highlight=False)


def _make_folder(results: Path) -> None:
    try:
        results.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{results}: cannot be made: {error.strerror}") from error


def newest(target: Path) -> list[Path]:
    """The newest version folder of each model there."""
    newest_of: dict[Path, Path] = {}
    for folder in find_versions(target):
        # Oldest first, so that the newest stays.
        newest_of[folder.absolute().parent] = folder
    return list(newest_of.values())
