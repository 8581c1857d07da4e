"""Names from data, made harmless and short enough to be drawn."""

from __future__ import annotations

import html

MAX_LENGTH = 60
# Beside an axis.
MAX_TICK_LENGTH = 32


def shortened(name: str, n_most: int = MAX_LENGTH) -> str:
    """At most `n_most` characters, on one line."""
    name = " ".join(name.split())
    return name if len(name) <= n_most else name[: n_most - 1] + "…"


def for_plotly(name: str) -> str:
    """Plotly reads its texts as a kind of HTML, and as a formula between two dollar signs: names must stay what they are.

    A line break is the one thing kept.
    """
    return "<br>".join(html.escape(shortened(line), quote=False).replace("$", "&#36;") for line in name.split("\n"))


def for_matplotlib(name: str) -> str:
    """Between two dollar signs matplotlib reads formulas."""
    return "\n".join(shortened(line) for line in name.split("\n")).replace("$", r"\$")


def distinct(names: tuple[str, ...]) -> list[str]:
    """For plotly's axes, each another, since it takes equal names for one place on an axis."""
    shown = [for_plotly(shortened(name, MAX_TICK_LENGTH)) for name in names]
    return [name if shown.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(shown, start=1)]
