"""Figures inside of sentences that people write: what stands between two comments, which no reader sees, is replaced.

    answered in <!--figure: serving.alone-->98.9 µs<!--end-->

`FIGURES` says what each name stands for. A name that is not there is that of a note which somebody took by hand, as in `kernel-trials.m1_step`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from benchmarks.report import edge, exports, installed, native, precisions, ray, refusals, server_peers, start, watching
from benchmarks.report.results import Results
from benchmarks.report.trials import counted

_INLINE = re.compile(r"(<!--figure: ([\w.-]+)-->).*?(<!--end-->)")

FIGURES: Mapping[str, Callable[[Results], str]] = {
    f"{module.__name__.rpartition('.')[2]}.{name}": make
    for module in (edge, exports, installed, native, precisions, ray, refusals, server_peers, start, watching)
    for name, make in module.FIGURES.items()
}


def with_figures(page: str, results: Results) -> str:
    """The page with its figures written anew. Raises KeyError for one that nobody writes, or whose results are not there."""
    return _INLINE.sub(lambda found: f"{found[1]}{figure(found[2], results)}{found[3]}", page)


def figure(name: str, results: Results) -> str:
    """What stands under this name."""
    return FIGURES[name](results) if name in FIGURES else counted(name, results)
