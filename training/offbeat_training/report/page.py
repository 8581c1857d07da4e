"""One HTML file with everything in it."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files
from pathlib import Path

from plotly.offline import get_plotlyjs

from offbeat.targets import write_target
from offbeat_training.report.chart import Chart
from offbeat_training.report.drawing.plotly_chart import figure_json
from offbeat_training.report.report import LeftOut, Report
from offbeat_training.report.table import QualityTable


def write_html(report: Report, path: Path) -> None:
    """Writes the page, readable in any browser without a network; whole, or not at all. Raises DataError where it cannot be written."""
    page = html_page(report).encode()
    write_target(path, "wb", lambda file: file.write(page))


def html_page(report: Report) -> str:
    """The page. A browser runs the two scripts in it and no other, and fetches nothing: its own policy says so."""
    room = files("offbeat_training.report")
    style, own = (room.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    scripts = [get_plotlyjs(), own]
    return "\n".join(
        [
            '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{escape(report.title)}</title>\n<style>\n{style}</style>\n</head>\n<body>",
            f"<header><h1>{escape(report.title)}</h1>{_facts(report.facts)}</header>\n<main>",
            _tables(report.tables),
            *(_pane(chart) for chart in report.charts),
            "</main>",
            _left_out(report.left_out),
            *(f"<script>{script}</script>" for script in scripts),
            "</body>\n</html>\n",
        ]
    )


def _policy(scripts: list[str]) -> str:
    """Scripts by their digest, so that one that came in with the data would not run; styles and pictures made here."""
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    allowed = " ".join(f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"


def _facts(facts: tuple[tuple[str, str], ...]) -> str:
    return "<dl>" + "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts) + "</dl>"


def _pane(chart: Chart) -> str:
    kind, note = ' class="wide"' if chart.is_wide else "", f"<p>{escape(chart.note)}</p>" if chart.note else ""
    name = escape(chart.name)
    return (
        f"<section{kind}><h2>{escape(chart.title)}</h2>{note}"
        f'<div class="figure" id="{name}" style="min-height: 200px"></div>'
        f'<script type="application/json" id="{name}-data">{figure_json(chart)}</script></section>'
    )


def _tables(tables: tuple[QualityTable, ...]) -> str:
    shown = "".join(_table(table) for table in tables)
    return f'<section class="wide"><h2>Quality</h2><div class="tables">{shown}</div></section>'


def _table(table: QualityTable) -> str:
    head = "".join(f'<th scope="col">{escape(heading)}</th>' for heading in table.headings)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    kind = "contenders" if len(table.headings) > 1 and table.headings[0] == "scores" else "other"
    return (
        f'<div class="scroll"><table class="{kind}"><caption>{escape(table.title)}</caption><thead><tr>{head}</tr></thead>'
        f'<tbody>{rows}</tbody></table><p class="under">{escape(table.caption)}</p></div>'
    )


def _left_out(left_out: tuple[LeftOut, ...]) -> str:
    if not left_out:
        return ""
    lines = "".join(f"<li>{escape(each.pane)}: {escape(each.why)}</li>" for each in left_out)
    return f"<footer>Left out:<ul>{lines}</ul></footer>"
