"""Ray against one process: bulk scoring by one worker and by two, and requests a second through Ray Serve beside offbeat's own server.

    python -m benchmarks.ray_cluster --out benchmarks/results/2026-11-22-ray.json --beside 'nothing else'

The cluster is local: a node with one CPU, and for two workers a second such node. Beside them one process and two score the same files without
Ray: what the machine gives to two at that moment. All take turns in each round, and so do the servers. A folder is scored anew each
time; starting Ray, and each worker's first file, are not timed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import ray
from ray import serve
from ray.cluster_utils import Cluster

from benchmarks.bulk import write
from benchmarks.environment import environment
from benchmarks.models import export_model
from benchmarks.ports import free_ports
from benchmarks.serving.load import Load
from benchmarks.serving.payloads import METHODS, payload
from benchmarks.serving.servers import measure, offbeat_server, running
from offbeat.bulk import BulkOptions
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.data import ColumnSelection
from offbeat.ray.application import SERVICER_FUNCTIONS, application
from offbeat.ray.file_scoring import FolderRequest, score_file
from offbeat.ray.folder_scoring import score_folder

_MODEL = "M2"
_NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20}
_CONCURRENCY = (1, 32)


def timed(request: FolderRequest, score: Callable[[], int]) -> dict[str, Any]:
    """Scores the folder from nothing; rows a second, and how busy the machine was before."""
    shutil.rmtree(request.out, ignore_errors=True)
    load, begin = os.getloadavg()[0], time.perf_counter()
    n_rows = score()
    seconds = time.perf_counter() - begin
    return {"seconds": seconds, "rows_a_second": n_rows / seconds, "load_average_before": load}


def by_ray(request: FolderRequest) -> int:
    """Scores the folder on the cluster; gives the rows."""
    summary = score_folder(request, lambda n_done, n: None)
    if summary.failed or summary.n_kept:
        raise SystemExit(f"{summary}; expected every file to be scored")
    return summary.n_rows


def by_pool(pool: Executor, request: FolderRequest) -> int:
    """The same without Ray."""
    names = [path.name for path in sorted(Path(request.data).iterdir())]
    outcomes = list(pool.map(partial(score_file, request), names))
    if any(outcome.error or outcome.is_kept for outcome in outcomes):
        raise SystemExit(f"{outcomes}; expected every file to be scored")
    return sum(outcome.n_rows for outcome in outcomes)


def bulk_runs(
    cluster: Cluster, version: ModelVersion, folder: Path, options: argparse.Namespace
) -> list[dict[str, Any]]:
    """One worker and two, with and without Ray, in turns."""
    requests = {}
    for name, n_files, n_rows in (("warm", options.n_files, 500), ("data", options.n_files, options.n_rows)):
        (folder / name).mkdir()
        for index in range(n_files):
            write("parquet", folder / name / f"{index:03}.parquet", version.manifest, n_rows)
        requests[name] = FolderRequest(
            data=str(folder / name),
            out=str(folder / f"scores of {name}"),
            model=str(version.path),
            selection=ColumnSelection(features=version.manifest.feature_names),
            options=BulkOptions(),
            backend=BackendConfig(),
        )
    runs = []
    for number, n_workers in product(range(options.rounds), (1, 2)):
        second = cluster.add_node(**_NODE) if n_workers == 2 else None
        cluster.wait_for_nodes()
        with ProcessPoolExecutor(n_workers, get_context("spawn")) as pool:
            ways: dict[str, Callable[[FolderRequest], int]] = {"Ray": by_ray, "processes": partial(by_pool, pool)}
            for way, score in ways.items():
                for _ in range(2):
                    timed(requests["warm"], partial(score, requests["warm"]))
                measured = timed(requests["data"], partial(score, requests["data"]))
                runs.append({"round": number, "way": way, "n_workers": n_workers, **measured})
                print(json.dumps(runs[-1]), flush=True)
        if second is not None:
            cluster.remove_node(second)
    return runs


def serving_runs(repository: Path, options: argparse.Namespace) -> list[dict[str, Any]]:
    """offbeat's server and one replica of Ray Serve in turns, both with one thread for the model."""
    (port,) = free_ports(1)
    serve.start(
        http_options={"port": 0}, grpc_options={"port": port, "grpc_servicer_functions": list(SERVICER_FUNCTIONS)}
    )
    serve.run(application({"model_repository": str(repository)}), name="offbeat")
    runs = []
    with running(offbeat_server(repository, []), None) as target:
        for number in range(-1, options.rounds):
            for concurrency in _CONCURRENCY:
                for name, address in (("offbeat serve", target), ("Ray Serve", f"127.0.0.1:{port}")):
                    load = Load(
                        target=address,
                        method=METHODS["score"],
                        payload=payload(_MODEL, "score", 1),
                        seconds=options.seconds,
                        concurrency=concurrency,
                    )
                    measured = measure(load)
                    if number < 0:
                        continue
                    told = {"per_second": measured.per_second, "p50_us": measured.p50, "p99_us": measured.p99}
                    runs.append({"round": number, "server": name, "concurrency": concurrency, **told})
                    runs[-1] |= {"n_errors": measured.n_errors, "load_average_after": os.getloadavg()[0]}
                    print(json.dumps(runs[-1]), flush=True)
    serve.shutdown()
    return runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n-files", type=int, default=16)
    parser.add_argument("--n-rows", type=int, default=4_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--beside", default="", help="What else ran on the machine.")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    # Ray's workers are nicer than others by default, which on a busy machine would be what is measured.
    os.environ |= {"RAY_worker_niceness": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    cluster = Cluster(initialize_head=True, head_node_args={**_NODE, "include_dashboard": False})
    try:
        ray.init(address=cluster.address, log_to_driver=False)
        with tempfile.TemporaryDirectory() as folder:
            version = export_model(_MODEL, Path(folder) / "models")
            bulk = bulk_runs(cluster, version, Path(folder), options)
            serving = serving_runs(Path(folder) / "models", options)
    finally:
        ray.shutdown()
        cluster.shutdown()
    speed_up = {way: _speed_up([run for run in bulk if run["way"] == way]) for way in ("Ray", "processes")}
    print(f"two workers score so many times the rows a second of one: {speed_up}")
    if options.out:
        about = {"model": _MODEL, "n_files": options.n_files, "n_rows_a_file": options.n_rows, "beside": options.beside}
        about |= {"ray": ray.__version__, "speed_up": speed_up, "environment": environment()}
        options.out.write_text(json.dumps(about | {"bulk": bulk, "serving": serving}, indent=1) + "\n")


def _speed_up(runs: list[dict[str, Any]]) -> dict[str, float]:
    """Of medians, and of the best runs, which others disturbed least."""
    rates = [[run["rows_a_second"] for run in runs if run["n_workers"] == n] for n in (1, 2)]
    return {"median": statistics.median(rates[1]) / statistics.median(rates[0]), "best": max(rates[1]) / max(rates[0])}


if __name__ == "__main__":
    main()
