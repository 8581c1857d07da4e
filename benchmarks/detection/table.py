"""The lines as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.detection.summary import Line


def markdown(lines: Sequence[Line]) -> str:
    """One row a line: mean ± standard deviation over the seeds, what is accepted and whether it is met, seconds a seed."""
    seconds = (f"s, {name}" for name in lines[0].seconds)
    heads = ("set", "part", "metric", "seeds", *lines[0].means, "accept", "aim", *seconds)
    rows = ["| " + " | ".join(cells) + " |" for cells in (heads, *map(_cells, lines))]
    return "\n".join([rows[0], "|" + "---|" * len(heads), *rows[1:]])


def _cells(line: Line) -> tuple[str, ...]:
    figures = (_figure(mean, line.spreads[name]) for name, mean in line.means.items())
    mark = {None: "", True: " met", False: " **missed**"}[line.is_accepted]
    accept = "" if line.accept is None else f"{line.accept:.3f}{mark}"
    aim = "" if line.aim is None else f"{line.aim:.3f}"
    seconds = (f"{value:.0f}" for value in line.seconds.values())
    return (line.set, line.part, line.metric, str(len(line.seeds)), *figures, accept, aim, *seconds)


def _figure(mean: float, spread: float | None) -> str:
    return f"{mean:.3f}" if spread is None else f"{mean:.3f} ± {spread:.3f}"
