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
    """Median microseconds of one call by model, batch and backend, and how many times faster than eager each is."""
    medians_us: dict[tuple[str, int], dict[str, float]] = {}
    for benchmark in result["benchmarks"]:
        info = benchmark["extra_info"]
        medians_us.setdefault((info["model"], info["batch"]), {})[info["backend"]] = benchmark["stats"]["median"] * 1e6
    backends = list(dict.fromkeys(name for row in medians_us.values() for name in row))
    lines = [f"| model | batch | {' | '.join(backends)} |", "|---|---|" + "---|" * len(backends)]
    for (model, batch), row in sorted(medians_us.items()):
        cells = [f"{row[name]:,.1f} ({row['eager'] / row[name]:.2f} ×)" for name in backends]
        lines.append(f"| {model} | {batch} | {' | '.join(cells)} |")
    worst = max(benchmark["extra_info"]["parity_max_abs"] for benchmark in result["benchmarks"])
    cpu = result["machine_info"]["cpu"].get("brand_raw", result["machine_info"]["processor"])
    return "\n".join([*lines, "", f"One thread of {cpu}; largest |Δerror| from eager {worst:.1e}."])


if __name__ == "__main__":
    main()
