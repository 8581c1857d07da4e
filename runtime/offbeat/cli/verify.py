"""`offbeat verify`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rich.text import Text

from offbeat.backends import names
from offbeat.bundle import find_versions
from offbeat.cli.options import DeviceOption, IsaOption, JsonOption
from offbeat.cli.table_console import table_console
from offbeat.cli.verification import BackendCheck, VersionCheck, verify_version
from offbeat.config import BackendConfig
from offbeat.errors import require

_STYLES = {"ok": "green", "refused": "red", "absent": "dim"}


def verify(
    target: Annotated[
        Path, typer.Argument(help="A version, a model (all its versions), or a repository (all its models).")
    ],
    backend: Annotated[
        list[str],
        typer.Option(
            "--backend",
            envvar="OFFBEAT_BACKEND",
            help="One to replay them on; repeatable. auto: every one that is installed.",
        ),
    ] = ["auto"],  # noqa: B006 - typer's way to say what is taken where none is given
    device: DeviceOption = "cpu",
    isa: IsaOption = "auto",
    as_json: JsonOption = False,
) -> None:
    """Check every digest, and replay the golden windows on every backend that is there.

    The worst difference from the eager model is told in units of the bound: at most 1 passes.

    Examples:

    - `offbeat verify models`
    - `offbeat verify models/server-metrics --backend onnxruntime --json`
    """
    asked = tuple(dict.fromkeys(name for name in backend if name != "auto"))
    for name in asked:
        require(name in names(), "backend", name, ", ".join(("auto", *names())))
    backends = tuple(dict.fromkeys((*asked, *(names(device) if "auto" in backend else ()))))
    config = BackendConfig(device=device, isa=isa)
    console = Console(stderr=True)
    folders = find_versions(target)
    is_placed = folders != (target,)
    checks = [
        verify_version(folder, backends, asked, config, is_placed=is_placed)
        for folder in track(folders, "verifying", console=console, transient=True, disable=not console.is_terminal)
    ]
    if as_json:
        facts = [msgspec.to_builtins(check) | {"is_good": check.is_good} for check in checks]
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(facts), indent=2).decode() + "\n")
    else:
        _print(checks)
    if not all(check.is_good for check in checks):
        raise typer.Exit(1)


def _print(checks: Sequence[VersionCheck]) -> None:
    console = table_console()
    table = Table("version", "backend", "", "of the bound", "worst in", "load")
    table.columns[1].no_wrap = table.columns[5].no_wrap = True
    for check in checks:
        version = Text(check.folder if check.name is None else f"{check.name}/{check.version}")
        if check.problem is not None:
            table.add_row(version, "", Text("refused", "red"), "", "", "")
        for each in check.backends:
            table.add_row(version, each.backend, Text(each.verdict, _STYLES[each.verdict]), *_figures(each))
            version = Text()
        table.add_section()
    console.print(table)
    for check in checks:
        _explain(console, check)
    n_good = sum(check.is_good for check in checks)
    style = "green" if n_good == len(checks) else "red"
    console.print(f"{n_good} of {len(checks)} versions are what they claim to be", style=style, highlight=False)


def _figures(check: BackendCheck) -> tuple[str, str, str]:
    if check.deviation is None:
        return "", "", ""
    return f"{check.deviation:.1%}", check.output or "", f"{check.load_ms:,.1f} ms"


def _explain(console: Console, check: VersionCheck) -> None:
    problems = [check.problem] if check.problem else []
    problems += [f"{check.folder}: {each.backend}: {each.message}" for each in check.backends if each.message]
    if check.problem is None and not any(each.verdict != "absent" for each in check.backends):
        problems.append(f"{check.folder}: no backend that could replay it is installed")
    for problem in problems:
        console.print(problem, markup=False, highlight=False, soft_wrap=True)
