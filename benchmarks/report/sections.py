"""The parts of docs/performance.md: what each kind of result shows, how it was measured, and what it does not say."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from benchmarks.precision.table import markdown as precision_table
from benchmarks.report.detection import alternatives_table, detection_table, newest_detection
from benchmarks.report.endurance import endurance_table
from benchmarks.report.native import native_table
from benchmarks.report.others import bulk_table, peers_table, plain_tables, serving_peers_table
from benchmarks.report.plots import PLOTS
from benchmarks.report.results import Result, Results
from benchmarks.report.serving import serving_bars, serving_table
from benchmarks.report.start import sizes_table, start_tables
from benchmarks.report.streams import streams_table
from benchmarks.summary import engine_table

TO_ROOT = "../"
_NO_TABLES = ("exports", "graphs")


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of result. `body` makes the tables, and tells where they are from unless `is_told` says that it is to be added."""

    title: str
    kind: str
    command: str
    method: str
    body: Callable[[Results], str]
    plot: str = ""

    def markdown(self, results: Results) -> str:
        """Its heading, command, method, tables and plot."""
        parts = [f"## {self.title}", f"    {self.command}", self.method, self.body(results)]
        if self.plot and PLOTS[self.plot][0](results):
            parts.append(f"![{PLOTS[self.plot][1]}](performance/{self.plot}.svg)")
        return "\n\n".join(parts)


def _newest(kind: str, *tables: Callable[[Result], str]) -> Callable[[Results], str]:
    """A body that is made of the newest file of a kind, with the file's origin below it."""

    def body(results: Results) -> str:
        result = results.newest(kind)
        assert result is not None
        return "\n\n".join([*(each(result) for each in tables), result.origin(TO_ROOT)])

    return body


def _engines(result: Result) -> str:
    """The models of the design first, then presets at their default sizes."""
    benchmarks = result.content["benchmarks"]
    presets = [each for each in benchmarks if each["extra_info"]["model"].startswith("preset")]
    designed = [each for each in benchmarks if each not in presets]
    return "\n\n".join(engine_table({**result.content, "benchmarks": each}) for each in (designed, presets) if each)


def _detection(results: Results) -> str:
    files = results.all_of("detection")
    chosen = (newest_detection(files, is_fixed=False), newest_detection(files, is_fixed=True))
    titles = ("### One recipe for all sets", "### A configuration for each set")
    parts = [
        f"{title}\n\n{detection_table(each)}\n\n{each.origin(TO_ROOT)}"
        for title, each in zip(titles, chosen, strict=True)
        if each
    ]
    return "\n\n".join(parts)


SECTIONS = (
    Section(
        title="The native core",
        kind="native",
        command=(
            "OMP_NUM_THREADS=1 taskset -c 1 python -m benchmarks.native --limits "
            "build/cmake/runtime/cpp/benchmarks/limits --output RESULT"
        ),
        method=(
            "The core through its Python binding and ONNX Runtime's `run`, in turns in one process, on one "
            "thread; a turn of `limits` in each round. Figures are medians over rounds, ratios are medians of a "
            "round's ratios. Times of a millisecond and more are the thread's processor time. Models with large "
            "weights live in a cache that a neighbour may share. [What limits what](native.md#what-limits-what) "
            "is told there."
        ),
        body=lambda results: native_table(results, TO_ROOT),
        plot="limit",
    ),
    Section(
        title="Peers of the core",
        kind="peers",
        command="OMP_NUM_THREADS=1 taskset -c 1 python -m benchmarks.peers --output RESULT",
        method=(
            "The core beside other engines, in turns in one process on one thread. Engines that do not compute "
            "what eager does in float32 are refused; those in lower precision are timed all the same."
        ),
        body=_newest("peers", peers_table),
    ),
    Section(
        title="Engines",
        kind="engines",
        command="pytest benchmarks/test_engines.py --benchmark-json RESULT",
        method=(
            "Median microseconds of one call, scores out, and how many times as fast as eager. PyTorch, ONNX "
            "Runtime and the core have processes of their own on the same cores and take turns. Absolute "
            "differences grow with a model's sums; relative to the error they are within the parity bound."
        ),
        body=_newest("engines", _engines),
        plot="latency",
    ),
    Section(
        title="Serving",
        kind="serving",
        command="python -m benchmarks.serving --json RESULT",
        method=(
            "The real server and a bare grpcio echo of the same bytes, each in a process of its own on one core, "
            "the load on another, in turns within each round; medians over rounds. In a closed loop each answer "
            "is followed by the next request; Poisson arrivals come at a share of the server's own closed-loop "
            "rate, and their latencies count from when they were due. The load generator is Python's, and has one"
            " core: beyond some rate it is what is measured."
        ),
        body=_newest("serving", serving_bars, serving_table),
        plot="tail",
    ),
    Section(
        title="Peers of the server",
        kind="serving-peers",
        command="python -m benchmarks.serving.peers --fastapi VENV/bin/python --mlserver VENV/bin/python --json RESULT",
        method=(
            "The server beside a FastAPI endpoint of the usual kind and MLServer, with the same model and, by gRPC, the same bytes; each on one core, "
            "the load on another, in turns in another order each round; the best of the rounds."
        ),
        body=_newest("serving-peers", serving_peers_table),
    ),
    Section(
        title="Triton",
        kind="triton",
        command="python -m benchmarks.serving.peers --triton FOLDER --concurrency 1 16 --json RESULT",
        method=(
            "The server beside a tritonserver with the same engine in its Python backend, as docs/triton.md starts it, pinned to the server's core and "
            "free to use both; the best of the rounds, some of which stalled: that page tells of it."
        ),
        body=_newest("triton", serving_peers_table),
    ),
    Section(
        title="Near capacity and far above it",
        kind="endurance",
        command="python -m benchmarks.endurance --seconds 600 --overload-seconds 300 --json RESULT",
        method=(
            "The capacity is what closed loops get answered; then requests arrive as Poisson processes at 90 % and at 300 % of it, each with a deadline and an "
            "id, each answer held against the right one to the byte."
        ),
        body=_newest("endurance", endurance_table),
    ),
    Section(
        title="Rows of series",
        kind="streams",
        command="python -m benchmarks.streams --json RESULT",
        method=(
            "`ScorePoints`: rows of many series in, each a window scored (stride 1). Server and load have a core "
            "each; timestamps are checked and all series are written to the state directory every five seconds. "
            "Latencies count from when a message was due until its answer was there."
        ),
        body=_newest("streams", streams_table),
    ),
    Section(
        title="Start and memory",
        kind="start",
        command="python -m benchmarks.start --edge build/cmake/runtime/cpp/edge/offbeat-edge --json RESULT",
        method=(
            "Each start is in a fresh process, in turns with a Python that does nothing; memory is read from "
            "outside. Requests are of 1 to 32 windows of half to twice the trained length. Drift is the last "
            "quarter's median over that of the second quarter, less 1."
        ),
        body=_newest("start", start_tables),
    ),
    Section(
        title="Sizes",
        kind="sizes",
        command="python -m benchmarks.sizes --json RESULT",
        method="What `cmake` builds, stripped.",
        body=_newest("sizes", sizes_table),
    ),
    Section(
        title="Bulk scoring",
        kind="bulk",
        command="python -m benchmarks.bulk --out RESULT",
        method=(
            "`offbeat score` from a file into a file of the same kind, with a model whose arithmetic is next to "
            "nothing: reading, cutting windows and writing are what is timed."
        ),
        body=_newest("bulk", bulk_table),
    ),
    Section(
        title="Detection quality",
        kind="detection",
        command="python -m benchmarks.detection --json RESULT",
        method=(
            "Means ± standard deviations over the seeds; the protocol of each set, and how the recipe came about,"
            " are [told with the suite](benchmarks.md#detection-quality). Seconds are of one seed, on whatever "
            "else the machine did."
        ),
        body=_detection,
    ),
    Section(
        title="Other architectures",
        kind="alternatives",
        command="python -m benchmarks.detection.alternatives --json RESULT",
        method=(
            "An LSTM, a TCN and a Transformer on the same windows, with the same loop and early stopping, none "
            "tuned; means over the seeds."
        ),
        body=_newest("alternatives", alternatives_table),
    ),
    Section(
        title="Lower precision",
        kind="precisions",
        command="python -m benchmarks.precision --json RESULT",
        method=(
            "Latencies are ratios to float32 on the same backend, with the median of one call; float32's quality "
            "in parentheses. [What follows from it](precision.md)."
        ),
        body=_newest("precisions", lambda result: precision_table(result.content["results"])),
    ),
)


def sections(results: Results) -> Iterator[str]:
    """Those whose results are there, then kinds that nothing is written about yet, as they are."""
    kinds = results.kinds
    yield from (each.markdown(results) for each in SECTIONS if each.kind in kinds)
    known = (*(each.kind for each in SECTIONS), *_NO_TABLES)
    for kind in kinds:
        if kind not in known and not kind.startswith("native-"):
            yield f"## {kind.capitalize()}\n\n{_newest(kind, plain_tables)(results)}"
