"""Turns a pytest-benchmark result into a Markdown table, engines side by side.

python -m benchmarks.summary benchmarks/results/2026-11-21-engines.json
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any


def main() -> None:
    """Prints the table of the file given."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("result", type=Path, help="JSON that pytest --benchmark-json wrote")
    print(engine_table(json.loads(parser.parse_args().result.read_text())))


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
