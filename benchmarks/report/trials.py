"""What somebody counted by hand while trying something: tables and notes, with the command that counts the same."""

from __future__ import annotations

from benchmarks.report.results import Result, Results
from benchmarks.report.text import table

KERNEL = "kernel-trials"


def trials_table(result: Result, name: str) -> str:
    """One table of the file."""
    told = result.content["tables"][name]
    return table(told["columns"], told["rows"])


def trials_tables(result: Result) -> str:
    """Every table with its title, and every note."""
    tables = [f"{told['title']}:\n\n{trials_table(result, name)}" for name, told in result.content["tables"].items()]
    notes = [(note["what"], note["figure"]) for note in result.content["notes"].values()]
    return "\n\n".join([*tables, f"Notes:\n\n{table(('', ''), notes)}"])


def counted(name: str, results: Results) -> str:
    """The figure of a note, `<kind>.<note>`."""
    kind, _, note = name.partition(".")
    return str(results.the_newest(kind).content["notes"][note]["figure"])
