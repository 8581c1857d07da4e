"""The files that the results give, beside those that are there."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from benchmarks.report.blocks import filled
from benchmarks.report.front import front
from benchmarks.report.plots import PLOTS, draw, is_drawn_from
from benchmarks.report.results import Results
from benchmarks.report.section import TO_ROOT
from benchmarks.report.sections import sections


class Report:
    """What is to be in a repository's pages, by the results in it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._results = Results(root / "benchmarks" / "results")
        self._plots = {
            root / "docs" / "performance" / f"{name}.svg": make(self._results) for name, (make, _) in PLOTS.items()
        }

    def stale(self) -> list[Path]:
        """Files that are missing or are not what the results give."""
        texts = [path for path, text in self._texts().items() if not path.is_file() or path.read_text() != text]
        return texts + [path for path, panels in self._plots.items() if panels and not is_drawn_from(path, panels)]

    def write(self, stale: Iterable[Path]) -> None:
        """Writes these files."""
        texts = self._texts()
        for path in stale:
            path.parent.mkdir(exist_ok=True)
            if path in texts:
                path.write_text(texts[path])
            else:
                draw(self._plots[path], path)

    def _texts(self) -> dict[Path, str]:
        page = self._root / "docs" / "performance.md"
        parts = [(each.title, each.kind, each.markdown(self._results)) for each in sections(self._results)]
        texts = {page: "\n\n".join([front(self._results, parts), *(text for _, _, text in parts)]) + "\n"}
        for path in (self._root / "README.md", *sorted((self._root / "docs").glob("*.md"))):
            if path != page:
                texts[path] = self._filled(path)
        return texts

    def _filled(self, path: Path) -> str:
        try:
            return filled(path.read_text(), self._results, "" if path.parent == self._root else TO_ROOT)
        except ValueError as error:
            raise ValueError(f"{path.relative_to(self._root)}: {error}") from error
