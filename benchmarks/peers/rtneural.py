"""RTNeural on M1, M2 and M3: compiles `rtneural.cpp` against a checkout of it, and calls that without copies.

Windows are taken as they are, since those of the benchmarks have mean 0 and scale 1: a step that it is spared.
"""

from __future__ import annotations

import ctypes
import subprocess
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from benchmarks.peers.contender import Contender
from benchmarks.peers.plan import read_plan
from offbeat.result import FloatArray

_SOURCE = Path(__file__).with_suffix(".cpp")
_COMPILE = ["g++", "-std=c++17", "-O3", "-fPIC", "-shared", "-fno-access-control", "-DRTNEURAL_NAMESPACE=RTNeural"]
# Vectors of 16, of 8, and Eigen's: which is the fastest differs between models.
_KINDS = {
    "xsimd": ["-march=native", "-DRTNEURAL_USE_XSIMD=1", "-DRTNEURAL_DEFAULT_ALIGNMENT=64"],
    "xsimd avx2": ["-march=haswell", "-DRTNEURAL_USE_XSIMD=1", "-DRTNEURAL_DEFAULT_ALIGNMENT=32"],
    "eigen": ["-march=native", "-DRTNEURAL_USE_EIGEN=1", "-DRTNEURAL_DEFAULT_ALIGNMENT=32"],
}
_FLOATS = ctypes.POINTER(ctypes.c_float)
_TENSORS = {
    "lstm": ("weight_input", "weight_hidden", "bias_input", "bias_hidden"),
    "linear": ("weight", "bias"),
}
MODELS = ("M1", "M2", "M3")


def compile_kinds(checkout: Path, folder: Path) -> dict[str, ctypes.CDLL]:
    """Libraries by kind. `checkout` is RTNeural's folder with its modules; raises CalledProcessError where g++ fails."""
    roots = ("", "RTNeural", "modules/xsimd/include", "modules/Eigen", "modules/json")
    includes = [f"-I{checkout / root}" for root in roots]
    libraries = {}
    for kind, flags in _KINDS.items():
        target = folder / f"rtneural {kind}.so"
        subprocess.run([*_COMPILE, *flags, *includes, _SOURCE, "-o", target], check=True)
        libraries[kind] = _declared(ctypes.CDLL(str(target)))
    return libraries


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    library.scorer_create.restype = ctypes.c_void_p
    library.scorer_create.argtypes = [ctypes.c_int, ctypes.POINTER(_FLOATS)]
    library.scorer_score.restype = None
    library.scorer_score.argtypes = [ctypes.c_void_p, _FLOATS, ctypes.c_int, _FLOATS]
    library.scorer_destroy.restype = None
    library.scorer_destroy.argtypes = [ctypes.c_void_p]
    return library


def rtneural_contenders(
    libraries: Mapping[str, ctypes.CDLL], model: str, folder: Path, windows: FloatArray
) -> Iterator[Contender]:
    """Those kinds that can run the model: M2 not with Eigen."""
    tensors = _plan_tensors(folder)
    pointers = (_FLOATS * len(tensors))(*(each.ctypes.data_as(_FLOATS) for each in tensors))
    for kind, library in libraries.items():
        scorer = library.scorer_create(int(model[1:]), pointers)
        if scorer:
            yield _contender(library, ctypes.c_void_p(scorer), windows, f"rtneural {kind}")


def _contender(library: ctypes.CDLL, scorer: ctypes.c_void_p, windows: FloatArray, name: str) -> Contender:
    errors = np.empty(len(windows), np.float32)
    score = library.scorer_score
    arguments = scorer, windows.ctypes.data_as(_FLOATS), ctypes.c_int(len(windows)), errors.ctypes.data_as(_FLOATS)
    contender = Contender(name=name, call=lambda: score(*arguments), errors=errors.copy)
    weakref.finalize(contender, library.scorer_destroy, scorer)
    return contender


def _plan_tensors(folder: Path) -> list[FloatArray]:
    layers, tensors = read_plan(folder)
    return [
        np.ascontiguousarray(tensors[layer[key]], np.float32)
        for layer in layers
        for key in _TENSORS.get(layer["kind"], ())
    ]
