"""Options that the commands of `offbeat bench` share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from offbeat.bench.machine import this_machine
from offbeat.bench.survey import Progress as Report
from offbeat.errors import require

ResultsOption = Annotated[
    Path, typer.Option("--results", envvar="OFFBEAT_BENCH_RESULTS", help="Folder in which results have names.")
]
BenchBackendOption = Annotated[
    list[str], typer.Option("--backend", envvar="OFFBEAT_BENCH_BACKEND", help="Engines to time; repeatable.")
]
BatchesOption = Annotated[
    list[int],
    typer.Option("--batch", envvar="OFFBEAT_BENCH_BATCH", min=1, max=65_536, help="Windows in one call; repeatable."),
]
BenchThreadsOption = Annotated[
    list[int],
    typer.Option(
        "--threads",
        envvar="OFFBEAT_BENCH_THREADS",
        min=1,
        help="Threads of one call, the usable cores at most; repeatable.",
    ),
]
BenchSecondsOption = Annotated[
    float,
    typer.Option(
        "--seconds", envvar="OFFBEAT_BENCH_SECONDS", min=0.1, help="Time to measure altogether; loading comes on top."
    ),
]
ProcessesOption = Annotated[
    int,
    typer.Option(
        "--processes", envvar="OFFBEAT_BENCH_PROCESSES", min=1, max=100, help="Processes for each model and engine."
    ),
]


def result_path(name: str, results: Path) -> Path:
    """A path as it is, a plain name as a file of the folder of results."""
    return Path(name) if name.endswith(".json") else results / f"{name}.json"


def usable_threads(given: Sequence[int]) -> list[int]:
    """Those given. Raises ConfigurationError for more than there are cores: that would measure how threads get in each other's way."""
    n_cores = this_machine().n_cores
    for n_threads in given:
        require(n_threads <= n_cores, "threads", n_threads, f"1 to {n_cores}, the cores that this process may use")
    return sorted(set(given))


@contextmanager
def progress_on(console: Console) -> Iterator[Report]:
    """A bar where somebody looks, a line for each turn where not."""
    if not console.is_terminal:
        yield lambda words, done, total: console.print(f"{done + 1}/{total} {words}", markup=False, highlight=False)
        return
    columns = (BarColumn(), TextColumn("{task.completed}/{task.total} {task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("")
        yield lambda words, done, total: bar.update(task, description=words, completed=done, total=total)
