"""Figures inside of pages that people write: what stands between two comments is replaced.

<!-- figures: native -->
…
<!-- end of figures -->
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from benchmarks.report.bars import SHARE_OF_BACKEND, SHARE_OF_ECHO
from benchmarks.report.detection import alternatives_table, detection_summary, newest_detection
from benchmarks.report.edge import edge_table
from benchmarks.report.endurance import endurance_summary
from benchmarks.report.exports import graphs_table, loading_table, nodes_table
from benchmarks.report.figures import with_figures
from benchmarks.report.installed import installed_table
from benchmarks.report.native import native_summary, native_table
from benchmarks.report.others import bulk_table
from benchmarks.report.ray import ray_tables
from benchmarks.report.refusals import refusals_tables
from benchmarks.report.results import Result, Results
from benchmarks.report.server_peers import serving_peers_table
from benchmarks.report.serving import OURS
from benchmarks.report.start import edge_summary
from benchmarks.report.streams import streams_summary
from benchmarks.report.text import against, percent, us
from benchmarks.report.trials import KERNEL, trials_table
from benchmarks.serving.shares import ECHO

_BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(\n<!-- end of figures -->)", re.DOTALL)
_MARK = re.compile(r"^ *<!-- (figures|end of figures)\b", re.MULTILINE)


def filled(page: str, results: Results, to_root: str) -> str:
    """The page with its blocks, and the figures in its sentences, written anew.

    Raises KeyError for what nobody writes, ValueError for marks that do not enclose a block each: they would be left as they are.
    """
    marks, n_blocks = _MARK.findall(page), len(_BLOCK.findall(page))
    if marks != ["figures", "end of figures"] * n_blocks:
        raise ValueError(
            f"{len(marks)} marks of figures around {n_blocks} blocks; expected two around each, `<!-- figures: … -->` alone in a line, "
            "and `<!-- end of figures -->` after a blank line"
        )
    blocks = _BLOCK.sub(lambda found: f"{found[1]}\n{BLOCKS[found[2]](results, to_root)}\n{found[3]}", page)
    return with_figures(blocks, results)


# Requests of 32 windows are scored by a worker beside the loop, which is worth a second core where it was given one.
_LARGE = (
    (" and the server on both cores", ("score", 32, 64, None, f"{OURS} (all cores)")),
    ("", ("score", 32, 64, None, OURS)),
)


def _serving(result: Result, to_root: str) -> str:
    lines = {(*line["case"].values(), line["server"]): line for line in result.content["lines"]}
    alone, echo_alone = (lines["score", 1, 1, None, name] for name in (OURS, ECHO))
    many, echo_many = (lines["score", 1, 64, None, name] for name in (OURS, ECHO))
    place, large = next((place, lines[key]) for place, key in _LARGE if key in lines)
    share = many["per_second"] / echo_many["per_second"]
    rate = against(share, SHARE_OF_ECHO, f"{percent(share)} of the echo's", percent(SHARE_OF_ECHO))
    of_backend = large["per_second"] * result.content["backend_us"]["32"] / 1e6
    windows = against(
        of_backend,
        SHARE_OF_BACKEND,
        f"{percent(of_backend)} of what the core scores in process",
        percent(SHARE_OF_BACKEND),
    )
    told = (
        f"one request in flight is answered in {us(alone['p50'])} µs where the echo takes {us(echo_alone['p50'])}",
        f"with 64 in flight {many['per_second']:,.0f} requests a second, {rate}",
        f"with 32 windows in each{place}, {32 * large['per_second']:,.0f} windows a second, {windows}",
    )
    return (
        f"**Score over gRPC**, {result.content['model']}, server and load on a core each, beside a bare grpcio echo of the same bytes: "
        f"{'; '.join(told)} ({result.link(to_root)})."
    )


def _numbers(results: Results, to_root: str) -> str:
    """What the README shows: what is missing among the results is left out."""
    points = []
    if serving := results.newest("serving"):
        points.append(_serving(serving, to_root))
    if endurance := results.newest("endurance"):
        points.append(endurance_summary(endurance, to_root))
    if streams := results.newest("streams"):
        points.append(streams_summary(streams, to_root))
    points.append(edge_summary(results, to_root))
    parts = [native_summary(results, to_root), "\n".join(f"- {point}" for point in points if point)]
    if detection := newest_detection(results.all_of("detection"), is_fixed=False):
        parts += [
            detection_summary(detection),
            f"From {detection.link(to_root)}, means over {len(detection.content['lines'][0]['seeds'])} seeds.",
        ]
    return "\n\n".join(parts)


def _table_of(kind: str, make: Callable[[Result], str]) -> Callable[[Results, str], str]:
    def block(results: Results, to_root: str) -> str:
        result = results.newest(kind)
        return f"{make(result)}\n\n{result.origin(to_root)}" if result else ""

    return block


def _streams(results: Results, to_root: str) -> str:
    result = results.newest("streams")
    return streams_summary(result, to_root) if result else ""


BLOCKS: Mapping[str, Callable[[Results, str], str]] = {
    "numbers": _numbers,
    "native": native_table,
    "streams": _streams,
    "bulk": _table_of("bulk", bulk_table),
    "alternatives": _table_of("alternatives", alternatives_table),
    "edge": _table_of("edge", edge_table),
    "installed": _table_of("installed", installed_table),
    "kernel_times": _table_of(KERNEL, lambda result: trials_table(result, "m2_times")),
    "kernel_cycles": _table_of(KERNEL, lambda result: trials_table(result, "m2_cycles")),
    "kernel_wide": _table_of(KERNEL, lambda result: trials_table(result, "wide_cycles")),
    "kernel_far": _table_of(KERNEL, lambda result: trials_table(result, "m4_cycles")),
    "kernel_dense": _table_of(KERNEL, lambda result: trials_table(result, "m5_cycles")),
    "kernel_batches": _table_of(KERNEL, lambda result: trials_table(result, "m5_batches")),
    "export_nodes": _table_of("exports", nodes_table),
    "export_graphs": _table_of("graphs", lambda result: f"{graphs_table(result)}\n\n{loading_table(result)}"),
    "ray": _table_of("ray", ray_tables),
    "refusals": _table_of("refusals", refusals_tables),
    "triton": _table_of("triton", serving_peers_table),
}
