"""Writes docs/performance.md, its plots, and the figures in the README and other pages, from the newest benchmarks/results.

    python -m benchmarks.report
    python -m benchmarks.report --check

With --check nothing is written, and the exit status is 1 where a page does not show what the files give, or where
a block of figures in a page has not its two marks.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.report.pages import Report

ROOT = Path(__file__).parents[2]


def main() -> None:
    """Tells what was written, or what is not as the files give it."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.report", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument(
        "--root", type=Path, metavar="FOLDER", default=ROOT, help="of the repository; this one by default"
    )
    arguments = parser.parse_args()
    report = Report(arguments.root)
    try:
        stale = report.stale()
    except ValueError as error:
        sys.exit(f"error: {error}")
    for path in stale:
        print(f"{path.relative_to(arguments.root)}{': not what the results give' if arguments.check else ''}")
    if arguments.check:
        sys.exit("run `python -m benchmarks.report`" if stale else 0)
    report.write(stale)


if __name__ == "__main__":
    main()
