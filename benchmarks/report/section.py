"""One part of docs/performance.md."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from benchmarks.report.others import plain_tables
from benchmarks.report.plots import PLOTS
from benchmarks.report.results import Results, Told

TO_ROOT = "../"


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of result: the command that measures it again, how it is measured, and the tables with where they are from.

    The `tables` are those of its newest file, with that file's origin below them; a `body` tells of several files instead.
    """

    title: str
    kind: str
    command: str
    method: str
    tables: tuple[Told, ...] = ()
    body: Callable[[Results], str] | None = None
    plot: str = ""

    def markdown(self, results: Results) -> str:
        """Its heading, command, method, tables and plot."""
        command = "\n".join(f"    {line}" for line in self.command.splitlines())
        parts = [f"## {self.title}", command, self.method, (self.body or self._newest)(results)]
        if self.plot and PLOTS[self.plot][0](results):
            about = PLOTS[self.plot][1]
            parts += [f"![{about}](performance/{self.plot}.svg)", f"*{about}.*"]
        return "\n\n".join(part for part in parts if part)

    def _newest(self, results: Results) -> str:
        result = results.the_newest(self.kind)
        return "\n\n".join([*(table(result) for table in self.tables), result.origin(TO_ROOT)])


def plain_section(kind: str, results: Results) -> Section:
    """Of a kind that nothing is written about yet: its file as it is, and the command that the file has to name."""
    command = results.the_newest(kind).command
    return Section(title=kind.capitalize(), kind=kind, command=command, method="", tables=(plain_tables,))
