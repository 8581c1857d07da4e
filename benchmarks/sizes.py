"""Bytes of what `cmake` builds for a small box, stripped, beside a program that does nothing.

cmake -S . -B build/static -DCMAKE_BUILD_TYPE=Release -DOFFBEAT_EDGE_STATIC=ON && cmake --build build/static --target offbeat-edge
make arm
python -m benchmarks.sizes --build build/cmake --static build/static --aarch64 build/aarch64 --json benchmarks/results/<date>-sizes.json
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
_COMPILER = shutil.which("c++") or "c++"
_STRIP = shutil.which("strip") or "strip"
_LIBRARIES = "runtime/cpp/liboffbeat.so*"


def main() -> None:
    """Prints the sizes, and writes them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=Path, default=Path("build/cmake"), help="a build folder; default: %(default)s")
    parser.add_argument("--static", type=Path, metavar="FOLDER", help="a build folder of a program with nothing shared")
    parser.add_argument("--aarch64", type=Path, metavar="FOLDER", help="the same for 64-bit Arm")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    program = _program(arguments.build)
    libraries = [file for file in arguments.build.glob(_LIBRARIES) if not file.is_symlink()]
    stripped = {file.name.partition(".so.")[0]: stripped_bytes(file) for file in (program, *libraries)}
    if arguments.static is not None:
        stripped["offbeat-edge, static"] = stripped_bytes(_program(arguments.static))
        stripped["an empty program, static"] = empty_bytes()
    if arguments.aarch64 is not None:
        # Linked without symbols; this machine's `strip` reads no Arm.
        stripped["offbeat-edge, static, aarch64"] = _program(arguments.aarch64).stat().st_size
    print(json.dumps(stripped, indent=1))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps({"environment": environment(), "stripped": stripped}, indent=1) + "\n")


def _program(build: Path) -> Path:
    program = build / _PROGRAM
    if not program.is_file():
        sys.exit(f"benchmarks.sizes: no {program}; build it with `make cpp`, or name another folder")
    return program


def empty_bytes() -> int:
    """Of a program that does nothing, linked with nothing shared: what the C library's part is at least."""
    with tempfile.TemporaryDirectory() as folder:
        program = Path(folder) / "empty"
        compiler = [_COMPILER, "-Os", "-static", "-s", "-x", "c++", "-", "-o", str(program)]
        subprocess.run(compiler, input=b"int main() {}", check=True)
        return program.stat().st_size


def stripped_bytes(file: Path) -> int:
    """Of the file without its symbols; the file stays as it is."""
    with tempfile.NamedTemporaryFile() as copy:
        subprocess.run([_STRIP, "-o", copy.name, str(file)], check=True)
        return Path(copy.name).stat().st_size


if __name__ == "__main__":
    main()
