"""`offbeat bench FOLDER`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from offbeat.backends import names
from offbeat.bench.contender import contenders
from offbeat.bench.machine import this_machine
from offbeat.bench.recommendation import Recommendation, median_s, recommend, relative
from offbeat.bench.survey import Measured, Survey, take_survey
from offbeat.bundle import ModelVersion
from offbeat.cli.bench_options import (
    BatchesOption,
    BenchSecondsOption,
    BenchThreadsOption,
    ProcessesOption,
    progress_on,
    usable_threads,
)
from offbeat.cli.bench_run import newest
from offbeat.cli.options import DeviceOption, JsonOption
from offbeat.cli.table_console import table_console
from offbeat.errors import BundleError
from offbeat.targets import check_targets, write_target

# It is what parity is measured against, line by line: nobody serves with it.
_NOT_SERVED = "eager"
# More help few models, and the transport needs cores too.
_THREADS = (1, 2)


def tune(
    folder: Annotated[
        Path, typer.Argument(help="A model version folder, a model (its newest version), or a repository.")
    ],
    output: Annotated[
        Path, typer.Option("--output", envvar="OFFBEAT_BENCH_OUTPUT", help="Where the recommendation goes.")
    ] = Path("tuned.json"),
    backend: Annotated[
        list[str],
        typer.Option(
            envvar="OFFBEAT_BENCH_BACKEND", help="Engines to time, all that are installed by default; repeatable."
        ),
    ] = [],  # noqa: B006 - typer copies it
    batch: BatchesOption = [1, 8, 32, 128, 512],  # noqa: B006
    threads: BenchThreadsOption = [],  # noqa: B006
    device: DeviceOption = "auto",
    seconds: BenchSecondsOption = 20.0,
    processes: ProcessesOption = 2,
    as_json: JsonOption = False,
) -> None:
    """Time a model on every engine here, with one thread and with two, and write down what to serve it with on this machine.

    Variants of lower precision beside it are timed and shown too. Of several models the engine is chosen that is best for all
    together. The file is for `offbeat serve --tuned`.

    Example: `offbeat bench models/server-metrics`, then `offbeat serve models --tuned tuned.json`
    """
    found = newest(folder)
    check_targets({"output": output}, [folder])
    here = usable_threads(threads or [n for n in _THREADS if n <= this_machine().n_cores])
    engines = backend or [name for name in names() if name != _NOT_SERVED]
    console = Console(stderr=True)
    variants = _variants(found[0], console) if len(found) == 1 else []
    everything = contenders([*found, *variants], engines, here, device)
    with progress_on(console) as progress:
        survey = take_survey(
            everything, batch, seconds=seconds, n_processes=processes, asked=backend, progress=progress
        )
    folders = {str(each.resolve()) for each in found}
    made = recommend([each for each in survey.measured if each.contender.folder in folders])
    write_target(
        output, "wb", lambda file: file.write(msgspec.json.format(msgspec.json.encode(made), indent=1) + b"\n")
    )
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(_facts(survey, made)), indent=2).decode() + "\n")
    else:
        _print(survey, made, output)


def _variants(folder: Path, console: Console) -> list[Path]:
    """The newest versions of models beside this one that say that they are made of it; those that cannot be read are told."""
    name = ModelVersion.open(folder).manifest.name
    beside = folder.absolute().parent.parent
    found = []
    for path in sorted(beside.glob(f"{name}-*/")):
        try:
            version = newest(path)[0]
            precision = ModelVersion.open(version).manifest.precision
        except BundleError as error:
            console.print(f"left out: {error}", markup=False, highlight=False, soft_wrap=True)
            continue
        if precision is not None and precision.source.name == name:
            found.append(version)
    return found


def _facts(survey: Survey, made: Recommendation) -> dict[str, Any]:
    measured = [
        {
            "model": each.contender.model,
            "version": each.contender.version,
            "precision": each.contender.precision,
            "backend": each.contender.backend,
            "n_threads": each.contender.n_threads,
            "batch": each.batch,
            "median_us": round(median_s(each) * 1e6, 2),
            "windows_per_s": round(each.batch / median_s(each), 1),
            "ratio_to_reference": round(relative(each), 4),
        }
        for each in survey.measured
    ]
    return {"measured": measured, "left_out": survey.left_out, "recommendation": msgspec.to_builtins(made)}


def _print(survey: Survey, made: Recommendation, output: Path) -> None:
    console = Console(soft_wrap=True)
    models: dict[str, list[Measured]] = {}
    for each in survey.measured:
        models.setdefault(f"{each.contender.model}/{each.contender.version}", []).append(each)
    for model, measured in models.items():
        table_console().print(_table(model, measured, made))
    for why in dict.fromkeys(survey.left_out.values()):
        console.print(f"left out: {why}", markup=False, highlight=False)
    flags = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in made.settings().items())
    console.print(f"recommended: {flags}", markup=False, highlight=False)
    console.print(f"written to {output}: offbeat serve REPOSITORY --tuned {output}", markup=False, highlight=False)


def _table(model: str, measured: Sequence[Measured], made: Recommendation) -> Table:
    """Of one model, so that there is room for its batch sizes on a terminal of 80 columns."""
    batches = sorted({each.batch for each in measured})
    words = "µs of one call by its windows, and 1000 windows a second"
    table = Table(title=Text(f"{model}: {words}"), title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for head in ("engine", "threads", *(f"{batch:,}" for batch in batches), "1000/s"):
        table.add_column(head, justify="left" if head == "engine" else "right", overflow="fold", no_wrap=True)
    for rows in _by_contender(measured):
        contender = rows[0].contender
        times = {each.batch: median_s(each) for each in rows}
        is_chosen = (contender.backend, contender.n_threads) == (made.backend, made.n_threads)
        table.add_row(
            contender.backend,
            str(contender.n_threads),
            *(_us(times[batch]) for batch in batches),
            _thousands(max(batch / time for batch, time in times.items())),
            style="bold" if is_chosen else "",
        )
    return table


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:,.1f}" if seconds < 1e-3 else f"{seconds * 1e6:,.0f}"


def _thousands(n: float) -> str:
    return f"{n / 1000:,.1f}" if n < 100_000 else f"{n / 1000:,.0f}"


def _by_contender(measured: Sequence[Measured]) -> list[list[Measured]]:
    rows: dict[str, list[Measured]] = {}
    for each in measured:
        rows.setdefault(each.contender.name, []).append(each)
    return list(rows.values())
