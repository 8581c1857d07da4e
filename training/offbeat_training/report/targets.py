"""Where a report goes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import msgspec

from offbeat.errors import require
from offbeat.targets import check_writable
from offbeat_training.report.page import write_html
from offbeat_training.report.pictures import write_pngs
from offbeat_training.report.report import Report


class ReportTargets(msgspec.Struct, frozen=True, kw_only=True):
    """A page and a folder of pictures, either or both."""

    report: Path | None
    png: Path | None

    def check(self, sources: Iterable[Path | None]) -> None:
        """Before the work, not after. Raises ConfigurationError where a file read would be lost, or nothing can be written."""
        if self.report is not None:
            is_file = self.report.parent.is_dir() and not self.report.is_dir()
            require(is_file, "report", str(self.report), "a file in a folder that exists")
            for source in sources:
                is_other = source is None or not _is_same(self.report, source)
                require(is_other, "report", str(self.report), "another file than those that are read")
            check_writable("report", self.report)
        if self.png is not None:
            require(not self.png.exists() or self.png.is_dir(), "png", str(self.png), "a folder, or nothing yet")
            there = next(folder for folder in (self.png, *self.png.absolute().parents) if folder.exists())
            check_writable("png", there / "picture.png")

    def write(self, report: Report) -> str:
        """Writes what is wanted and says where. Raises DataError."""
        if self.report is not None:
            write_html(report, self.report)
        if self.png is not None:
            write_pngs(report, self.png)
        return "report: " + ", ".join(str(path) for path in (self.report, self.png) if path is not None)


def _is_same(first: Path, second: Path) -> bool:
    """The same file, or one in a folder that is read, such as a model's."""
    if second.is_dir() and second.resolve() in first.resolve().parents:
        return True
    return first.exists() and second.exists() and first.samefile(second)
