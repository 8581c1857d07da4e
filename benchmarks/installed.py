"""Bytes of what `pip install` brings, by distribution, beside onnxruntime and what that needs itself.

    pip wheel --no-deps --wheel-dir dist . && python -m benchmarks.installed dist/offbeat-*.whl --json benchmarks/results/<date>-installed.json

Two fresh environments of the versions in constraints.txt, files and compiled Python files together. Needs a package index.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.environment import environment
from tests.packaging.environment import Environment


def main() -> None:
    """Prints the sizes, and writes them."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.installed", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        fresh = Environment(Path(folder) / "environment")
        sizes = {}
        for name, requirement in (
            ("onnxruntime", "onnxruntime"),
            ("cpu", f"{arguments.wheel}[cpu]"),
            ("cpu,server", f"{arguments.wheel}[cpu,server]"),
        ):
            fresh.install(requirement, "--compile")
            sizes[name] = fresh.sizes()
    content = {"wheel": arguments.wheel.stat().st_size, "installed": sizes}
    print(json.dumps(content, indent=1))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"environment": environment(), **content}, indent=1) + "\n")


if __name__ == "__main__":
    main()
