"""Bytes of what `cmake` builds for a small box, stripped.

python -m benchmarks.sizes --build build/cmake --json benchmarks/results/<date>-sizes.json
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.environment import environment

_PROGRAM = "runtime/cpp/edge/offbeat-edge"
_STRIP = shutil.which("strip") or "strip"
_LIBRARIES = "runtime/cpp/liboffbeat.so*"


def main() -> None:
    """Prints the sizes, and writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path("build/cmake"), help="a build folder; default: %(default)s")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    program = arguments.build / _PROGRAM
    if not program.is_file():
        sys.exit(f"benchmarks.sizes: no {program}; build it with `make cpp`, or name another folder with --build")
    libraries = [file for file in arguments.build.glob(_LIBRARIES) if not file.is_symlink()]
    stripped = {file.name.partition(".so.")[0]: stripped_bytes(file) for file in (program, *libraries)}
    print(json.dumps(stripped, indent=1))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"environment": environment(), "stripped": stripped}, indent=1) + "\n")


def stripped_bytes(file: Path) -> int:
    """Of the file without its symbols; the file stays as it is."""
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run([_STRIP, "-o", copy.name, str(file)], check=True)
        return Path(copy.name).stat().st_size


if __name__ == "__main__":
    main()
