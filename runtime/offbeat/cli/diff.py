"""`offbeat diff`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from offbeat.bundle import open_version
from offbeat.cli.diff_scores import ScoreDifference, diff_scores
from offbeat.cli.diff_versions import FieldDifference, VersionDifference, diff_versions
from offbeat.cli.diff_weights import WeightDifference
from offbeat.cli.explanation import explain
from offbeat.cli.options import (
    BackendOption,
    DeviceOption,
    JsonOption,
    KeyOption,
    LayoutOption,
    MissingOption,
    ModelArgument,
    StrideOption,
)
from offbeat.cli.table_console import table_console
from offbeat.config import BackendConfig
from offbeat.data import ColumnSelection
from offbeat.errors import OffbeatError

_MAX_VALUE = 60
# Digests and measurements differ wherever anything does: JSON has them, a table would drown in them.
_UNTOLD = ("files", "parity", "graph")


def diff(
    a: ModelArgument,
    b: ModelArgument,
    data: Annotated[
        Path | None,
        typer.Option(envvar="OFFBEAT_DATA", help="csv, JSON Lines, Parquet, Arrow or npz file to score by both."),
    ] = None,
    stride: StrideOption = 1,
    key: KeyOption = None,
    layout: LayoutOption = "rows",
    missing: MissingOption = "reject",
    backend: BackendOption = "auto",
    device: DeviceOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Tell what changed between two versions: architecture, normalisation, weights, threshold, metrics; with --data, scores.

    Where a version comes from is shown and does not count.

    Example: `offbeat diff models/server-metrics/1 models/server-metrics/2 --data last-week.csv`
    """
    try:
        first, second = open_version(a), open_version(b)
        scores = None
        if data is not None:
            columns = ColumnSelection(key=key, layout=layout, missing=missing)
            config = BackendConfig(backend=backend, device=device)
            scores = diff_scores(first, second, data, columns, stride, config)
        found = diff_versions(first, second, scores)
    except OffbeatError as error:
        # 1 says that they differ.
        explain(error)
        raise typer.Exit(2) from error
    if as_json:
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n")
    else:
        _print(found)
    raise typer.Exit(0 if found.is_equal else 1)


def _print(found: VersionDifference) -> None:
    console = table_console()
    console.print(f"A {found.a}\nB {found.b}", markup=False, highlight=False)
    told = tuple(each for each in found.provenance if each.field.split(".")[0] not in _UNTOLD)
    for title, fields in (("differs", found.fields), ("changes no score", told)):
        if fields:
            console.print(_fields(title, fields))
    _print_weights(console, found.weights)
    if found.scores is not None:
        _print_scores(console, found.scores)
    words = "equal" if found.is_equal else "different"
    console.print(words, style="green" if found.is_equal else "yellow", highlight=False)


def _fields(title: str, fields: Sequence[FieldDifference]) -> Table:
    table = Table(title, "A", "B")
    table.columns[0].overflow = "fold"
    for each in fields:
        table.add_row(Text(each.field), Text(_short(each.a)), Text(_short(each.b)))
    return table


def _short(value: Any) -> str:
    words = "-" if value is None else f"{value:.9g}" if isinstance(value, float) else str(value)
    return words if len(words) <= _MAX_VALUE else f"{words[:_MAX_VALUE]}…"


def _print_weights(console: Console, weights: WeightDifference) -> None:
    if weights.reason:
        console.print(weights.reason, markup=False, highlight=False, soft_wrap=True)
        return
    changed = [tensor for tensor in weights.tensors if tensor.change != "equal"]
    n_equal = len(weights.tensors) - len(changed)
    console.print(f"weights: {n_equal} of {len(weights.tensors)} tensors are equal, bit for bit", highlight=False)
    if not weights.is_plan_equal:
        console.print("the layer plans differ", highlight=False)
    if changed:
        table = Table("tensor", "shape", "", "max |Δ|", "numbers that differ")
        for each in changed:
            largest = "" if each.max_absolute is None else f"{each.max_absolute:.3g}"
            count = "" if each.n_changed is None else f"{each.n_changed:,}"
            table.add_row(Text(each.name), Text(str(list(each.shape))), each.change, largest, count)
        console.print(table)


def _print_scores(console: Console, scores: ScoreDifference) -> None:
    table = Table(f"scores of {scores.n_windows:,} windows", "", show_header=True)
    table.add_row("max |Δerror|", f"{scores.max_error:.3g}")
    table.add_row("max |Δerror| / max(1, error)", f"{scores.max_relative_error:.3g}")
    table.add_row("max |Δscore|", f"{scores.max_score:.3g}")
    table.add_row("mean |Δscore|", f"{scores.mean_score:.3g}")
    table.add_row("decisions that differ", f"{scores.n_decisions:,} ({scores.n_decisions / scores.n_windows:.2%})")
    console.print(table)
    for each in scores.decisions[:5]:
        now = "anomalous in B alone" if each.is_anomaly_b else "anomalous in A alone"
        console.print(f"window {each.window}: {now}, error {each.error_a:.6g} and {each.error_b:.6g}", highlight=False)
