"""Builds a stand-in for CUDA's libraries, with which onnxruntime-gpu runs where there is no GPU: all but the arithmetic."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from .environment import run

_SOURCES = Path(__file__).with_name("fake_cuda")
# By the name that is looked for, where the functions are; what is named like the library is a version of its symbols.
_LIBRARIES = {
    "libcuda.so.1": "driver.cc",
    "libcudart.so.13": "runtime.cc",
    "libcublas.so.13": "blas.cc",
    "libcublasLt.so.13": "blas.cc",
    "libcudnn.so.9": "dnn.cc",
    "libcurand.so.10": "",
    "libcufft.so.12": "",
}
_COMPILE = ("g++", "-std=c++20", "-O1", "-fPIC", "-shared", "-fpermissive", "-w")
_NOT_MODELLED = 'extern "C" int {0}() {{ fake_cuda::note("!! {0}"); return 1; }}\n'


def build_stand_in(folder: Path, headers: Path, provider: Path) -> None:
    """Writes the libraries into the folder: what is not modelled, of what `provider` asks for, is noted when it is called."""
    run(*_COMPILE, _SOURCES / "device.cc", "-o", folder / "libfake_device.so")
    wanted = _wanted(provider)
    for name, source in _LIBRARIES.items():
        text = (_SOURCES / source).read_text() if source else ""
        have = set(re.findall(r"^API [\w* ]+?[* ](\w+)\(", text, re.MULTILINE))
        rest = folder / f"{name}.rest.cc"
        missing = sorted(wanted[name] - have)
        rest.write_text('#include "device.h"\n' + "".join(_NOT_MODELLED.format(each) for each in missing))
        versions = folder / f"{name}.map"
        versions.write_text(f"{name if wanted[name] and name != 'libcuda.so.1' else ''} {{ global: *; }};\n")
        sources = [_SOURCES / source, rest] if source else [rest]
        include = (f"-I{_SOURCES}", f"-I{headers}")
        link = (
            f"-Wl,-soname,{name}",
            f"-Wl,--version-script={versions}",
            "-Wl,-rpath,$ORIGIN",
            f"-L{folder}",
            "-lfake_device",
        )
        run(*_COMPILE, *include, *sources, *link, "-o", folder / name)


def _wanted(provider: Path) -> dict[str, set[str]]:
    """Functions by library, of those that a library does not have itself."""
    wanted = defaultdict(set)
    for line in run("nm", "--dynamic", "--undefined-only", provider).splitlines():
        symbol, _, library = line.split()[-1].partition("@")
        if library in _LIBRARIES:
            wanted[library].add(symbol)
        elif re.match(r"cu[A-Z]", symbol):
            wanted["libcuda.so.1"].add(symbol)
    return wanted
