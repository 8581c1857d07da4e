"""The files of benchmarks/results: which there are, which is the newest of a kind, and where its figures come from."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

_NAME = re.compile(r"(\d{4}-\d\d-\d\d)-([a-z0-9-]+)\.json")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """One file, `<date>-<kind>.json`; content as it was written."""

    path: Path
    date: str
    kind: str
    content: dict[str, Any]

    @property
    def about(self) -> dict[str, Any]:
        """The machine, the packages and the commit, as far as the file tells."""
        return _environment(self.content)

    @property
    def started_at(self) -> str:
        """ISO 8601; empty in files that do not tell."""
        return str(self.about.get("started_at", ""))

    @property
    def command(self) -> str:
        """What was run, with its flags; empty in files that do not tell."""
        return str(self.about.get("command", ""))

    def link(self, to_root: str) -> str:
        """A Markdown link from a page; `to_root` leads from the page's folder to the repository's."""
        return f"[{self.path.name}]({to_root}benchmarks/results/{self.path.name})"

    def origin(self, to_root: str) -> str:
        """A sentence: the file, when, on which machine, at which commit. What the file does not tell is said to be missing."""
        about = self.about
        machine = about.get("machine", {})
        where = about.get("gpu") or machine.get("cpu")
        cores = f", usable cores: {machine['usable_cores']}" if "usable_cores" in machine else ""
        commit = about.get("commit", "")[:7]
        dirty = " with uncommitted changes" if about.get("has_uncommitted_changes") else ""
        told = [
            f"measured on {self.date}",
            f"{where}{cores}" if where else "the machine is not in the file",
            f"commit {commit}{dirty}" if commit else "the commit is not in the file",
            *([f"run as `{self.command}`"] if self.command else []),
        ]
        return f"From {self.link(to_root)}: {'; '.join(told)}."


Told = Callable[[Result], str]


class Results:
    """All files of a folder, read when they are asked for."""

    def __init__(self, folder: Path) -> None:
        found = [(match, path) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
        self._files = sorted((match[1], match[2], path) for match, path in found)
        self._read: dict[Path, Result] = {}

    @property
    def kinds(self) -> Sequence[str]:
        """In alphabetical order."""
        return sorted({kind for _, kind, _ in self._files})

    def newest(self, kind: str) -> Result | None:
        """By the date in the name; None where there is none of that kind."""
        found = self.all_of(kind)
        return found[-1] if found else None

    def the_newest(self, kind: str) -> Result:
        """The same where something is to be told of it. Raises KeyError where there is none."""
        result = self.newest(kind)
        if result is None:
            raise KeyError(f"benchmarks/results has no file of the kind {kind!r}, which a page tells of")
        return result

    def all_of(self, kind: str) -> list[Result]:
        """The oldest first."""
        return [self._open(*file) for file in self._files if file[1] == kind]

    def with_parts(self, kind: str) -> list[Result]:
        """Those of a kind and those of parts of it, `<kind>-<part>`, the oldest first: by day, and by the time that they tell."""
        files = [self._open(*file) for file in self._files if file[1] == kind or file[1].startswith(f"{kind}-")]
        return sorted(files, key=lambda each: (each.date, each.started_at, each.kind))

    def _open(self, date: str, kind: str, path: Path) -> Result:
        if path not in self._read:
            self._read[path] = Result(path=path, date=date, kind=kind, content=msgspec.json.decode(path.read_bytes()))
        return self._read[path]


Figure = Callable[[Results], str]


def figures_of(kind: str, told: Mapping[str, Told]) -> Mapping[str, Figure]:
    """Figures by name, each told of the newest file of a kind."""
    return {name: partial(_of_newest, kind, each) for name, each in told.items()}


def _of_newest(kind: str, told: Told, results: Results) -> str:
    return told(results.the_newest(kind))


def _environment(content: dict[str, Any]) -> dict[str, Any]:
    """As `benchmarks.environment` writes it; of files of pytest-benchmark, what they have of it."""
    machine = content.get("machine_info", {})
    about = content.get("environment") or machine.get("environment")
    if about:
        return dict(about)
    if not machine:
        return {"machine": {"cpu": content["cpu"]}} if "cpu" in content else {}
    cpu, commit = machine["cpu"], content.get("commit_info", {})
    return {
        "started_at": content.get("datetime", ""),
        "machine": {"cpu": cpu.get("brand_raw", ""), "usable_cores": cpu.get("count")},
        "commit": commit.get("id", ""),
        "has_uncommitted_changes": commit.get("dirty", False),
    }
