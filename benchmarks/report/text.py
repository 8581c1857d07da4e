"""Tables and numbers in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """One line a row; cells as they are."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *(f"| {' | '.join(map(str, row))} |" for row in rows)])


def us(value: float) -> str:
    """Microseconds to three digits or to a whole one."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def against(value: float, bar: float | None, text: str, bar_text: str, *, is_lower_better: bool = False) -> str:
    """The text, and the bar behind it where there is one; a bar that is missed is set in bold, as missed."""
    if bar is None:
        return text
    is_met = value <= bar if is_lower_better else value >= bar
    return f"{text} ({bar_text})" if is_met else f"**{text}** (missed: {bar_text})"


def percent(share: float) -> str:
    """Of one, to a whole percent."""
    return f"{100 * share:.0f} %"


def precise(value: float, bar: float | None, digits: int) -> str:
    """To so many digits, and as many more as it takes to tell the value from the bar."""
    while bar is not None and value != bar and f"{value:.{digits}f}" == f"{bar:.{digits}f}":
        digits += 1
    return f"{value:.{digits}f}"
