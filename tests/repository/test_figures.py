"""No measured figure is written into the documentation by hand: each comes out of a file in benchmarks/results, by `python -m benchmarks.report`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# performance.md is written as a whole, and held to its files by test_report.py.
PAGES = [
    ROOT / "README.md",
    *(page for page in sorted((ROOT / "docs").glob("*.md")) if page.name != "performance.md"),
    *sorted((ROOT / "docs" / "tutorials").glob("*.md")),
]

_GENERATED = re.compile(
    r"<!-- figures: \w+ -->\n.*?\n<!-- end of figures -->|<!--figure: [\w.-]+-->.*?<!--end-->", re.DOTALL
)
# Commands, configuration, formulae, and what a command printed as an example.
_CODE = re.compile(r"```.*?```|^ {4}[^\n]*$|`[^`\n]*`", re.DOTALL | re.MULTILINE)
_NUMBER = r"(?<![\w.,−^-])\.?\d[\d.,]*(?<![.,])"
_UNIT = r"(?:ns|µs|ms|s|seconds?|minutes?|%|bytes?|[kKMG]i?B|×|times|cycles|\w+(?: \w+)? a second|\w+/s)(?!\w)"
# A number with a unit, the numbers before it in `2, 3 and 5 %`; a score as in `.994`; a difference as in `1.2e-7`.
_FIGURE = re.compile(
    rf"{_NUMBER}(?:(?: to | and | or |, | of ){_NUMBER})*\s?{_UNIT}|(?<![\w.])\.\d{{2,}}|(?<![\w.])\d[\d.]*e-\d+"
)

# What nobody measured: limits, defaults, bars, sizes that were chosen, and what others published.
NOT_MEASURED: Mapping[str, set[str]] = {
    "backends.md": {"100 µs", "5 ms", "2 GiB", "4 MiB"},
    "benchmarks.md": {
        *("4 ms", "20 minutes", "150 s", "2 ms", "5 seconds", "50 µs", "48 ×", "1.3 times", "20 times", "1e-4"),
        *("2 %", "5 %", "10 %", "90 %", "95 %", "99 %", "300 %", "20, 50 and 80 %"),
        *(".03", ".01", ".841", ".407", ".439", ".678"),
    },
    "commands.md": {"100 %", "1 MiB"},
    "data.md": {"1.5 times", "1 %", "1 MiB", "30 seconds", "1 GiB"},
    "evaluation.md": {"1 %", "5 %", "90 %", "1e-9"},
    "export.md": {"1e-6"},
    "format.md": {"0, 2.5 %", "100 %", "8 bytes", "4 MiB", "16 MiB"},
    "kubernetes.md": {"5 seconds", "5 minutes", "4 MiB", "128 MiB", "1 GiB"},
    "native.md": {
        "48 KiB",
        "1 MiB",
        "32 MiB",
        "2 MiB",
        "64 KiB",
        "96 KiB",
        "256 KiB",
        "16 KiB",
        "48 MB",
        "2 ×",
        "2e-7",
        "1e-6",
    },
    "precision.md": {"5 %", "1e-5"},
    "protocol.md": {"30 s"},
    "ray.md": {"2 GiB"},
    "serving.md": {
        *("64 MiB", "16 KiB", "256 KiB", "8 MiB", "4 bytes", "100,000, 1 GiB", "1,024 or 4 MiB"),
        *("1 MiB", "16 MiB", "1 GiB", "2 GiB", "4 GiB", "256 GiB"),
        *("50 µs", "250 ms", "2 s", "5 s", "30 s", "75 s", "21 times", "90 %", "300 %"),
    },
    "training.md": {"0.5 %", "1 %", "2 %", "5 %", "20 %", "32 %", "40 %", ".95", ".985"},
    "triton.md": {"1e-6"},
    "README.md": {"1e-5"},
}


def figures_by_hand(text: str) -> Iterator[tuple[int, str]]:
    """Line and figure, of a page's own words: what is generated, and code, left out."""
    for pattern in (_GENERATED, _CODE):
        text = pattern.sub(lambda found: "\n" * found[0].count("\n"), text)
    for found in _FIGURE.finditer(text):
        yield text.count("\n", 0, found.start()) + 1, " ".join(found[0].split())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_measured_figure_is_written_by_hand(page: Path) -> None:
    allowed = NOT_MEASURED.get(page.name, set())
    found = [f"line {line}: {figure}" for line, figure in figures_by_hand(page.read_text()) if figure not in allowed]
    assert not found, (
        f"{page.relative_to(ROOT)} has figures that no results file gives: {'; '.join(found)}. A measured one is written by "
        "`python -m benchmarks.report`: put `<!--figure: NAME-->…<!--end-->` around it, with NAME in FIGURES of a module of benchmarks/report, or a "
        "block `<!-- figures: NAME -->`. A note taken by hand goes under `notes` of a file `<date>-<kind>.json`, and is `<kind>.<note>` here. A limit, "
        "a default or a bar goes to NOT_MEASURED in this test."
    )


def test_the_list_of_what_nobody_measured_names_only_what_the_pages_have() -> None:
    found = {page.name: {figure for _, figure in figures_by_hand(page.read_text())} for page in PAGES}
    unused = {page: figures - found.get(page, set()) for page, figures in NOT_MEASURED.items()}
    assert {page: figures for page, figures in unused.items() if figures} == {}


@pytest.mark.parametrize(
    ("text", "figures"),
    [
        ("answers in 98.9 µs, 14,076 requests a second, 89 % of it", ["98.9 µs", "14,076 requests a second", "89 %"]),
        ("takes 1.2 to 1.7 ms and is 3.5 times as fast", ["1.2 to 1.7 ms", "3.5 times"]),
        ("reaches .994, 1.4e-7 off", [".994", "1.4e-7"]),
        ("`--grace-s 30 s`, 512 windows, M4, batch 64", []),
        ("<!--figure: a.b-->98.9 µs<!--end--> and\n\n    0.1 s  writing\n", []),
        ("<!-- figures: native -->\n\n| 5.6 µs |\n\n<!-- end of figures -->", []),
    ],
)
def test_figures_are_told_from_other_numbers(text: str, figures: list[str]) -> None:
    assert [figure for _, figure in figures_by_hand(text)] == figures
