"""`offbeat inspect`."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from offbeat.bundle import ModelRepository, open_version
from offbeat.bundle.listing import is_folder
from offbeat.cli.inspect_facts import Facts, file_facts, repository_facts, version_facts
from offbeat.cli.inspect_tables import tables
from offbeat.cli.options import JsonOption
from offbeat.cli.table_console import table_console
from offbeat.telling import in_one_line


def inspect(
    target: Annotated[
        Path,
        typer.Argument(help="A version, a model (its newest version), a repository, an ONNX file or a checkpoint."),
    ],
    as_json: JsonOption = False,
) -> None:
    """Show what a model is: tensors, architecture, multiply-adds, threshold, provenance, metrics, parity, files.

    Of a folder, every file's digest is checked and the golden windows are read; nothing is executed. An ONNX file and a
    checkpoint need the extra `export`.

    Examples:

    - `offbeat inspect models/server-metrics`
    - a table of all models: `offbeat inspect models`
    - `offbeat inspect model.ckpt --json`
    """
    facts = _facts(target)
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")
    else:
        console = table_console()
        for table in tables(_shown(facts)):
            for column in table.columns:
                # A name without its end may be another's.
                column.overflow = "fold"
            console.print(table)
    if any(model["problem"] is not None for model in facts.get("models", ())):
        raise typer.Exit(1)


def _facts(target: Path) -> Facts:
    if not is_folder(target):
        return file_facts(target)
    repository = ModelRepository(target)
    return repository_facts(repository) if len(repository.names()) > 1 else version_facts(open_version(target))


def _shown(facts: Any) -> Any:
    """The facts with all their words as they may stand in a terminal: who wrote the folder is not known."""
    if isinstance(facts, dict):
        return {_shown(name): _shown(fact) for name, fact in facts.items()}
    if isinstance(facts, list | tuple):
        return [_shown(fact) for fact in facts]
    return in_one_line(facts) if isinstance(facts, str) else facts
