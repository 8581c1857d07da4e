"""One part of docs/performance.md."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from benchmarks.report.others import plain_tables
from benchmarks.report.plots import PLOTS
from benchmarks.report.results import Result, Results

TO_ROOT = "../"


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of result: the command that measures it again, how it is measured, and the tables with where they are from."""

    title: str
    kind: str
    command: str
    method: str
    body: Callable[[Results], str]
    plot: str = ""

    def markdown(self, results: Results) -> str:
        """Its heading, command, method, tables and plot."""
        command = "\n".join(f"    {line}" for line in self.command.splitlines())
        parts = [f"## {self.title}", command, self.method, self.body(results)]
        if self.plot and PLOTS[self.plot][0](results):
            about = PLOTS[self.plot][1]
            parts += [f"![{about}](performance/{self.plot}.svg)", f"*{about}.*"]
        return "\n\n".join(part for part in parts if part)


def newest(kind: str, *tables: Callable[[Result], str]) -> Callable[[Results], str]:
    """A body that is made of the newest file of a kind, with the file's origin below it."""

    def body(results: Results) -> str:
        result = results.the_newest(kind)
        return "\n\n".join([*(each(result) for each in tables), result.origin(TO_ROOT)])

    return body


def plain_section(kind: str, results: Results) -> Section:
    """Of a kind that nothing is written about yet: its file as it is, and the command that the file has to name."""
    command = results.the_newest(kind).command
    return Section(title=kind.capitalize(), kind=kind, command=command, method="", body=newest(kind, plain_tables))
