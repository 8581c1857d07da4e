"""A comparison as Markdown, fit for a pull request."""

from __future__ import annotations

from collections.abc import Sequence

from offbeat.bench.comparison import Compared, Comparison
from offbeat.telling import in_one_line

_HEAD = "| benchmark | change | at least | at most | allowed | surely |\n|---|---:|---:|---:|---:|---:|\n"


def markdown(comparison: Comparison) -> str:
    """What got slower in the open; the rest folded away."""
    slower = comparison.slower
    others = [each for each in comparison.compared if each.verdict != "slower"]
    parts = [f"### {headline(comparison)}", f"From `{comparison.a}` to `{comparison.b}`. {_method(comparison)}"]
    parts += [f"> **Warning:** {warning}." for warning in comparison.warnings]
    if slower:
        parts.append(_table(slower))
    if others:
        parts.append(
            f"<details><summary>{len(others)} others</summary>\n\n{_table(others, with_verdict=True)}\n</details>"
        )
    for words, names in (("Gone", comparison.only_a), ("New", comparison.only_b)):
        if names:
            parts.append(f"{words}: {', '.join(_code(name) for name in names)}")
    return "\n\n".join(parts) + "\n"


def headline(comparison: Comparison) -> str:
    """One line."""
    counts = dict.fromkeys(("slower", "faster", "same", "unsure"), 0)
    for each in comparison.compared:
        counts[each.verdict] += 1
    told = [f"{counts['slower']} of {len(comparison.compared)} benchmarks slower"]
    told += [f"{counts[word]} {word}" for word in ("faster", "unsure") if counts[word]]
    return ", ".join(told)


def percent(share: float) -> str:
    """With its sign: +20.3 %."""
    return f"{share:+.1%}".replace("%", " %")


def _method(comparison: Comparison) -> str:
    return (
        "Changes of the median ratio to a reference measured in the same run, or of the median time where there is none; limits "
        f"by a bootstrap of processes and blocks of rounds, at {comparison.confidence:.0%} for all verdicts together."
    )


def _table(rows: Sequence[Compared], *, with_verdict: bool = False) -> str:
    lines = []
    for each in rows:
        verdict = f" ({each.verdict})" if with_verdict else ""
        name = _code(each.name).replace("|", "\\|")
        change = each.change
        lines.append(
            f"| {name}{verdict} | {percent(change.change)} | {percent(change.low)} | {percent(change.high)} | "
            f"{percent(each.threshold)} | {change.surely:.1%} |"
        )
    return _HEAD + "\n".join(lines) + "\n"


def _code(name: str) -> str:
    """A name in Markdown's code, whatever is in it."""
    return f"`` {in_one_line(name)} ``" if "`" in name else f"`{in_one_line(name)}`"
