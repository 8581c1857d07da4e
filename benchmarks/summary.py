"""Turns a pytest-benchmark result into a Markdown table, engines side by side.

    python -m benchmarks.summary result.json
    python -m benchmarks.summary result.json --store benchmarks/results/<date>-engines.json

With --store the result is also kept in short: six digits, a line for each benchmark, without samples and what is counted from them twice.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

_LEFT_OUT = {
    *("data", "reference_data", "options", "params", "fullname", "ops", "total"),
    *("outliers", "iqr_outliers", "stddev_outliers", "ld15iqr", "hd15iqr"),
}


def main() -> None:
    """Prints the table of the file given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="JSON that pytest --benchmark-json wrote")
    parser.add_argument("--store", type=Path, metavar="FILE", help="also write the result in short")
    arguments = parser.parse_args()
    result = json.loads(arguments.result.read_text())
    print(engine_table(result))
    if arguments.store is not None:
        arguments.store.write_text(in_short(result))


def in_short(result: dict[str, Any]) -> str:
    """JSON of the result without samples, whose every benchmark is a line."""
    about = {key: value for key, value in result.items() if key != "benchmarks"}
    benchmarks = ",\n".join(json.dumps(_without_samples(benchmark)) for benchmark in result["benchmarks"])
    return f'{json.dumps(about, indent=1)[:-2]},\n "benchmarks": [\n{benchmarks}\n]\n}}\n'


def _without_samples(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_samples(each) for key, each in value.items() if key not in _LEFT_OUT}
    return float(f"{value:.6g}") if isinstance(value, float) else value


def engine_table(result: dict[str, Any]) -> str:
    """Median microseconds of one call by model, batch, threads and backend, and how many times faster than eager each is."""
    rows: dict[tuple[str, int, int], dict[str, tuple[float, float | None]]] = {}
    for benchmark in result["benchmarks"]:
        info, median_us = benchmark["extra_info"], benchmark["stats"]["median"] * 1e6
        row = rows.setdefault((info["model"], info["batch"], info["threads"]), {})
        row[info["backend"]] = (median_us, info.get("ratio_to_eager"))
    for row in rows.values():
        # Results of before 2026-11-22 have no ratios of rounds.
        if "eager" in row:
            row.update({name: (us, ratio or row["eager"][0] / us) for name, (us, ratio) in row.items()})
    backends = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = [f"| model | batch | threads | {' | '.join(backends)} |", "|---|---|---|" + "---|" * len(backends)]
    for key, row in sorted(rows.items()):
        lines.append(f"| {' | '.join(map(str, key))} | {' | '.join(_cell(row.get(name)) for name in backends)} |")
    worst = max(
        benchmark["extra_info"]["parity_max_abs"]
        for benchmark in result["benchmarks"]
        if benchmark["extra_info"].get("precision", "float32") == "float32"
    )
    cpu = result["machine_info"]["cpu"].get("brand_raw", result["machine_info"]["processor"])
    return "\n".join([*lines, "", f"{cpu}; largest |Δerror| from eager in float32 {worst:.1e}."])


def _cell(measured: tuple[float, float | None] | None) -> str:
    """Where eager was left out there is nothing to be compared with."""
    if measured is None:
        return ""
    us, ratio = measured
    return f"{us:,.1f}" if ratio is None else f"{us:,.1f} ({ratio:.2f} ×)"


if __name__ == "__main__":
    main()
