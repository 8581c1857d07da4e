"""`offbeat bench compare`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from offbeat.bench.comparison import Compared, Comparison, Thresholds, compare
from offbeat.bench.markdown import headline, markdown, percent
from offbeat.bench.samples import read_result
from offbeat.cli.bench_options import ResultsOption, result_path
from offbeat.cli.explanation import explain
from offbeat.cli.options import JsonOption
from offbeat.cli.table_console import table_console
from offbeat.errors import ConfigurationError, OffbeatError
from offbeat.targets import check_targets, write_target

_BASELINE = "baseline"
_STYLES = {"slower": "red", "unsure": "yellow", "faster": "green", "same": ""}


def compare_results(
    a: Annotated[str, typer.Argument(help="The older result: a name in --results, or a path that ends with .json.")],
    b: Annotated[
        str | None, typer.Argument(help="The newer one. Without it the first is the newer, and `baseline` the older.")
    ] = None,
    results: ResultsOption = Path("bench-results"),
    threshold: Annotated[
        list[str],
        typer.Option(
            envvar="OFFBEAT_BENCH_THRESHOLD",
            help="How much slower is allowed: 0.05, or 'M1*=0.1' for groups of that name; repeatable.",
        ),
    ] = ["0.05"],  # noqa: B006 - typer copies it
    confidence: Annotated[
        float, typer.Option(envvar="OFFBEAT_BENCH_CONFIDENCE", min=0.5, max=0.9999, help="Of all verdicts together.")
    ] = 0.95,
    reference: Annotated[
        str | None,
        typer.Option(
            envvar="OFFBEAT_BENCH_REFERENCE",
            help="Of a pytest-benchmark file: the benchmark of a group with this word in its name is its reference.",
        ),
    ] = None,
    markdown_file: Annotated[
        Path | None, typer.Option("--markdown", metavar="FILE", help="Also write a summary for a pull request.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Tell what got slower from one result to another: by how much, and how surely.

    Compares ratios to the reference that was measured in the same run, so that a slow day is no regression and a slow change
    is. Exits with 0 where nothing got slower, 1 where something did, 2 where the two cannot be compared.

    Example: `offbeat bench compare before after --threshold 0.05 --threshold 'M4*=0.1' --markdown summary.md`
    """
    try:
        paths = (
            (result_path(a, results), result_path(b, results))
            if b
            else (result_path(_BASELINE, results), result_path(a, results))
        )
        check_targets({"markdown": markdown_file}, paths)
        first, second = (read_result(path, reference) for path in paths)
        comparison = compare(first, second, _thresholds(threshold), confidence=confidence)
        if markdown_file is not None:
            write_target(markdown_file, "w", lambda file: file.write(markdown(comparison)))
    except OffbeatError as error:
        # 1 says that something got slower.
        explain(error)
        raise typer.Exit(2) from error
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(comparison), indent=2).decode() + "\n")
    else:
        _print(comparison)
    raise typer.Exit(1 if comparison.slower else 0)


def _thresholds(given: list[str]) -> Thresholds:
    default, by_group = Thresholds().default, []
    for words in given:
        group, equals, value = words.rpartition("=")
        try:
            number = float(value)
        except ValueError:
            raise ConfigurationError(f"threshold is {words!r}; expected 0.05, or GROUP=0.05") from None
        if equals:
            by_group.append((group, number))
        else:
            default = number
    return Thresholds(default=default, by_group=tuple(by_group))


def _print(comparison: Comparison) -> None:
    console, problems = table_console(), Console(stderr=True, soft_wrap=True)
    for warning in comparison.warnings:
        problems.print(f"warning: {warning}", style="yellow", markup=False, highlight=False)
    table = Table(
        "benchmark", "", "change", "at least", "at most", "allowed", "surely", box=SIMPLE_HEAD, pad_edge=False
    )
    for column in table.columns:
        column.overflow = "fold"
        column.no_wrap = column.header != "benchmark"
    for each in comparison.compared:
        table.add_row(*_cells(each), style=_STYLES[each.verdict])
    console.print(table)
    for words, names in (("gone", comparison.only_a), ("new", comparison.only_b)):
        if names:
            console.print(f"{words}: {', '.join(names)}", markup=False, highlight=False, soft_wrap=True)
    console.print(headline(comparison), style="red" if comparison.slower else "green", highlight=False)


def _cells(each: Compared) -> list[Text]:
    change = each.change
    shares = (change.change, change.low, change.high, each.threshold)
    return [
        Text(each.name),
        Text(each.verdict),
        *(Text(percent(share)) for share in shares),
        Text(f"{change.surely:.1%}"),
    ]
