"""The figures of all contenders, as text: the very tables that the terminal shows."""

from __future__ import annotations

import msgspec
from rich.table import Table


class QualityTable(msgspec.Struct, frozen=True, kw_only=True):
    """`rows` under `headings`, the model's first; the first column holds names."""

    title: str
    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    @classmethod
    def of(cls, table: Table) -> QualityTable:
        """The words of a table made for the terminal."""
        columns = [[str(cell) for cell in column.cells] for column in table.columns]
        return cls(
            title=str(table.title or ""),
            caption=str(table.caption or ""),
            headings=tuple(str(column.header) for column in table.columns),
            rows=tuple(zip(*columns, strict=True)),
        )
