"""The parts of docs/performance.md: what each kind of result shows, how it was measured, and what it does not say."""

from __future__ import annotations

from benchmarks.cuda_table import cuda_tables
from benchmarks.precision.table import markdown as precision_table
from benchmarks.report.detection import alternatives_table, detection_table, newest_detection
from benchmarks.report.edge import edge_table
from benchmarks.report.endurance import endurance_table
from benchmarks.report.engines import engines_tables
from benchmarks.report.exports import exports_table, graphs_table, loading_table
from benchmarks.report.installed import installed_table
from benchmarks.report.native import native_table
from benchmarks.report.others import bulk_table, peers_table
from benchmarks.report.ray import ray_tables
from benchmarks.report.refusals import refusals_tables
from benchmarks.report.results import Results
from benchmarks.report.section import TO_ROOT, Section, plain_section
from benchmarks.report.server_peers import serving_peers_table
from benchmarks.report.serving import serving_bars, serving_table, shares_table
from benchmarks.report.start import server_memory_table, sizes_table, start_tables
from benchmarks.report.streams import streams_table
from benchmarks.report.trials import KERNEL, trials_tables
from benchmarks.report.watching import watching_table


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
            "round's ratios. Files that tell of `processes` have the median over that many fresh ones of each one's "
            "medians, since where a model's weights lie in the caches is another in each. Times of a millisecond "
            "and more are the thread's processor time. [What limits what](native.md#what-limits-what) "
            "is told there."
        ),
        body=lambda results: native_table(results, TO_ROOT),
        plot="limit",
    ),
    Section(
        title="Peers of the core",
        kind="peers",
        command="OMP_NUM_THREADS=1 taskset -c 1 python -m benchmarks.peers --rtneural ../RTNeural --output RESULT",
        method=(
            "The core beside other engines, in turns in one process on one thread. Engines that do not compute "
            "what eager does in float32 are refused; those in lower precision are timed all the same. "
            "[Where they are from, and how each is run](benchmarks.md#peers)."
        ),
        tables=(peers_table,),
    ),
    Section(
        title="Trials of the core",
        kind=KERNEL,
        command=(
            "taskset -c 1 build/cmake/runtime/cpp/benchmarks/engine_bench MODEL/model.safetensors --batch 1 --time 60\n"
            "taskset -c 1 perf stat -e cycles,instructions,L1-dcache-load-misses "
            "build/cmake/runtime/cpp/benchmarks/engine_bench MODEL/model.safetensors --batch 1 --time 60"
        ),
        method=(
            "What was tried while the core was made, kept or left out: notes taken by hand from what these commands printed before and "
            "after a change, in turns, on a shared machine, which is why cycles were preferred to times. Left-out code is in no commit, so that "
            "the commands measure what was kept alone."
        ),
        tables=(trials_tables,),
    ),
    Section(
        title="Engines",
        kind="engines",
        command="pytest benchmarks/test_engines.py --benchmark-json RESULT",
        method=(
            "Median microseconds of one call, scores out, and how many times as fast as eager. PyTorch, ONNX "
            "Runtime and the core have processes of their own on the same cores and take turns. Absolute "
            "differences grow with a model's sums; relative to the error they are within the parity bound. Presets are at their default sizes, with "
            "four features and windows of 50 steps."
        ),
        tables=(engines_tables,),
        plot="latency",
    ),
    Section(
        title="On a GPU",
        kind="cuda",
        command="python -m benchmarks.cuda --repository models --seconds 1 --max-seconds 480 --output RESULT",
        method=(
            "M1 to M5 on ONNX Runtime's CUDA provider beside eager PyTorch on the same GPU, in turns, host arrays in and out: latency, windows a "
            "second of several callers, and the differences of every output in units of the parity bound. "
            "[What of it is tested without a GPU](backends.md#on-a-gpu)."
        ),
        tables=(cuda_tables,),
    ),
    Section(
        title="Serving",
        kind="serving",
        command="python -m benchmarks.serving --json RESULT",
        method=(
            "The real server and a bare grpcio echo of the same bytes, each in a process of its own on one core, "
            "the load on another, in turns within each round; medians over rounds. In a closed loop each answer "
            "is followed by the next request; Poisson arrivals come at a share of the server's own closed-loop "
            "rate, and their latencies count from when they were due. *offbeat (all cores)* may use both cores, so that a worker scores beside the "
            "event loop: it is for large requests, and pays for moving between cores with small ones. The load generator is Python's, and has one "
            "core: beyond some rate it is what is measured."
        ),
        tables=(serving_bars, serving_table, shares_table),
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
        tables=(serving_peers_table,),
    ),
    Section(
        title="Triton",
        kind="triton",
        command="python -m benchmarks.serving.peers --triton FOLDER --concurrency 1 16 --json RESULT",
        method=(
            "The server beside a tritonserver with the same engine in its Python backend, as docs/triton.md starts it, pinned to the server's core and "
            "free to use both; the best of the rounds, some of which stalled: that page tells of it."
        ),
        tables=(serving_peers_table,),
    ),
    Section(
        title="Ray",
        kind="ray",
        command="python -m benchmarks.ray_cluster --n-rows 12000 --seconds 2 --out RESULT",
        method=(
            "A folder of Parquet files scored by one worker and by two, of Ray and of a plain pool of processes in turns; then calls through "
            "Ray Serve's proxy beside calls of `offbeat serve`. Medians over the rounds. The cluster lives on the same cores as its workers. "
            "[What follows from it](ray.md#scaling-measured-and-planned)."
        ),
        tables=(ray_tables,),
    ),
    Section(
        title="Near capacity and far above it",
        kind="endurance",
        command=(
            "python -m benchmarks.endurance --model M2 --windows 128 --deadline-ms 1000 --all-cores --seconds 600 --overload-seconds 300 --json RESULT"
        ),
        method=(
            "The capacity is what closed loops get answered; then requests arrive as Poisson processes, *steady* at 90 % and as *overload* at 300 % "
            "of it, each with a deadline and an id, each answer held against the right one to the byte. Refused requests are answered too, with a status. "
            "Drift of memory is the last quarter's median over that of the second quarter, less 1: in the first caches fill."
        ),
        tables=(endurance_table,),
    ),
    Section(
        title="Refusing",
        kind="refusals",
        command="python -m benchmarks.serving.refusals --json RESULT",
        method=(
            "Processor time of the server by call, at saturation: of bare grpcio servers that refuse everything, each in its own way, and of "
            "`offbeat serve` at its capacity and at 300 % of it. Goodput is what is answered in time, of the capacity. The calls come as HTTP/2 frames "
            "made before, since Python's client needs more time for one than the server. [What follows from it](serving.md#overload)."
        ),
        tables=(refusals_tables,),
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
        tables=(streams_table,),
    ),
    Section(
        title="Being watched",
        kind="watching",
        command="pytest benchmarks/test_watching.py --benchmark-json RESULT",
        method="What metrics, traces and tokens cost a request, each by itself in one thread; the fastest round. Spans are kept, and not sent anywhere.",
        tables=(watching_table,),
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
        tables=(start_tables,),
    ),
    Section(
        title="The server's heaps",
        kind="server-memory",
        command=(
            "MALLOC_ARENA_MAX=16 python -m benchmarks.start --backends onnxruntime --json RESULT\n"
            "python -m benchmarks.start --backends onnxruntime --json RESULT"
        ),
        method=(
            "Resident memory over as many requests as under *Start and memory*, with a heap of the C library for each thread, as by the first "
            "command, and with one for all, as the server sets it. The file holds `server_memory` of both runs."
        ),
        tables=(server_memory_table,),
    ),
    Section(
        title="The program for a small box",
        kind="edge",
        command="taskset -c 1 python -m benchmarks.start.edge --edge build/cmake/runtime/cpp/edge/offbeat-edge --json RESULT",
        method=(
            "`offbeat-edge score` with one window, each start a process of its own, from a folder (digests and golden windows checked) and from "
            "a `model.safetensors` alone, in turns; medians, and the fastest. A window by itself is the median of `offbeat-edge bench`."
        ),
        tables=(edge_table,),
    ),
    Section(
        title="Sizes",
        kind="sizes",
        command="python -m benchmarks.sizes --build build/cmake --static build/static --aarch64 build/aarch64 --json RESULT",
        method=(
            "What `cmake` builds, stripped; *static* is linked with nothing shared, beside a program that does nothing, linked so. "
            "`python -m benchmarks.sizes --help` has the commands that build them."
        ),
        tables=(sizes_table,),
    ),
    Section(
        title="What is installed",
        kind="installed",
        command="pip wheel --no-deps --wheel-dir dist . && python -m benchmarks.installed dist/offbeat-*.whl --json RESULT",
        method="Files and compiled Python files of every distribution in a fresh environment, with the versions of `constraints.txt`.",
        tables=(installed_table,),
    ),
    Section(
        title="Bulk scoring",
        kind="bulk",
        command="python -m benchmarks.bulk --out RESULT",
        method=(
            "`offbeat score` from a file into a file of the same kind, with a model whose arithmetic is next to "
            "nothing: reading, cutting windows and writing are what is timed."
        ),
        tables=(bulk_table,),
    ),
    Section(
        title="Detection quality",
        kind="detection",
        command="python -m benchmarks.detection --json RESULT",
        method=(
            "Means ± standard deviations over the seeds; the protocol of each set, and how the recipe came about,"
            " are [told with the suite](benchmarks.md#detection-quality). *Accepted from* is the least that was asked, *aim* what was hoped for. "
            "PCA, an isolation forest and random scores see the same data. Seconds are of one seed, on whatever else the machine did."
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
        tables=(alternatives_table,),
    ),
    Section(
        title="Lower precision",
        kind="precisions",
        command="python -m benchmarks.precision --json RESULT",
        method=(
            "Latencies are ratios to float32 on the same backend, with the median of one call; float32's quality "
            "in parentheses. [What follows from it](precision.md)."
        ),
        tables=(lambda result: precision_table(result.content["results"]),),
    ),
    Section(
        title="Exports",
        kind="exports",
        command="python -m benchmarks.exports --json RESULT",
        method=(
            "Every preset in three sizes and odd shapes, random weights: exported, and verified on every backend. Differences are the largest of "
            "|Δerror| / max(1, error) from eager over random, real and extreme windows, several batches and lengths; the bound is 1e-5. "
            "[What is promised](export.md#what-is-promised)."
        ),
        tables=(exports_table,),
    ),
    Section(
        title="Rewrites of the exported graph",
        kind="graphs",
        command="taskset -c 1 python -m benchmarks.graphs --json RESULT",
        method=(
            "What a rewrite saves of ONNX Runtime's time, one thread, the graphs in turns; columns are models and batches. What a rewrite saves in "
            "a model that it does not touch is how exact these figures are. Graphs that are *not done* give wrong scores, and tell what more could "
            "be had."
        ),
        tables=(graphs_table, loading_table),
    ),
)


def sections(results: Results) -> list[Section]:
    """Those whose results are there, then kinds that nothing is written about yet, as they are."""
    known = {each.kind for each in SECTIONS}
    new = (kind for kind in results.kinds if kind not in known and not kind.startswith("native-"))
    written = [each for each in SECTIONS if each.kind in results.kinds]
    return [*written, *(plain_section(kind, results) for kind in new)]
