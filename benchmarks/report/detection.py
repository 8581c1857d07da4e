"""Detection quality beside the baselines."""

from __future__ import annotations

from typing import Any

from benchmarks.report.results import Result
from benchmarks.report.text import precise, table

_NAMES = {"ecg5000": "ECG5000", "nab": "NAB", "smd": "SMD", "skab": "SKAB", "adbench": "ADBench"}
_MEAN = "mean"


def newest_detection(files: list[Result], *, is_fixed: bool) -> Result | None:
    """The newest that measured `auto`, or configurations that are fixed for each set; the files with the oldest first."""
    told = [each for each in files if bool(each.content["configurations"]) or not is_fixed]
    return told[-1] if told else None


def detection_table(result: Result) -> str:
    """A row for each part and metric: means ± standard deviations over the seeds, and the targets."""
    lines = result.content["lines"]
    names = list(lines[0]["means"])
    rows = [
        (
            line["set"],
            line["part"],
            line["metric"],
            len(line["seeds"]),
            *(_figure(line, name, line["aim"] if name == names[0] else None) for name in names),
            _target(line),
            "" if line["aim"] is None else f"{line['aim']:.3f}{'' if _reaches_aim(line, names[0]) else ' **missed**'}",
            *(f"{value:.0f}" for value in line.get("seconds", {}).values()),
        )
        for line in lines
    ]
    seconds = (f"s a seed, {name}" for name in lines[0].get("seconds", {}))
    return table(("set", "part", "metric", "seeds", *names, "accepted from", "aim", *seconds), rows)


def _figure(line: dict[str, Any], name: str, aim: float | None) -> str:
    mean, spread = precise(line["means"][name], aim, 3), line["spreads"][name]
    return mean if spread is None else f"{mean} ± {spread:.3f}"


def _target(line: dict[str, Any]) -> str:
    if line["accept"] is None:
        return ""
    return f"{line['accept']:.3f}{' met' if line['is_accepted'] else ' **missed**'}"


def _is_lower_better(line: dict[str, Any]) -> bool:
    return str(line["metric"]).startswith("false-alarm rate")


def _reaches_aim(line: dict[str, Any], name: str) -> bool:
    value, aim = line["means"][name], line["aim"]
    return bool(value <= aim if _is_lower_better(line) else value >= aim)


def detection_summary(result: Result) -> str:
    """`auto` beside PCA with its usual window, a row for each set and metric: means where a set has parts."""
    lines = [line for line in result.content["lines"] if line["part"] == _MEAN or line["aim"] or line["accept"]]
    rows = []
    for line in lines:
        part = "mean" if line["part"] == _MEAN else line["part"]
        aim = (
            ""
            if line["aim"] is None
            else f"{line['aim']:.3f}{', met' if _reaches_aim(line, 'auto') else ', **missed**'}"
        )
        name = f"{_NAMES.get(line['set'], line['set'])}, {part}"
        rows.append(
            (
                name,
                line["metric"],
                f"**{precise(line['means']['auto'], line['aim'], 3)}**",
                f"{line['means']['PCA']:.3f}",
                _target(line),
                aim,
            )
        )
    return table(("set", "metric", "`--preset auto`", "PCA", "accepted from", "aim"), rows)


def alternatives_table(result: Result) -> str:
    """Means over the seeds by set and metric, an architecture in each column."""
    trials = result.content["trials"]
    kinds = list(dict.fromkeys(trial["architecture"] for trial in trials))
    found: dict[tuple[str, str], dict[str, list[float]]] = {}
    for trial in trials:
        for metric, value in trial["figures"].items():
            found.setdefault((trial["set"], metric), {}).setdefault(trial["architecture"], []).append(value)
    rows = [
        (*key, len(next(iter(row.values()))), *(f"{sum(row[kind]) / len(row[kind]):.3f}" for kind in kinds))
        for key, row in found.items()
    ]
    return table(("set", "metric", "seeds", *kinds), rows)
