"""`offbeat score` on more rows than memory is given: rows a second, and the most memory it ever had.

    python -m benchmarks.bulk --out benchmarks/results/2026-11-22-bulk.json
    python -m benchmarks.bulk --model models/server-metrics --n-rows 1000000 --stride 10

Each run is a process of its own under a limit of address space; the kernel says how much of it was ever in memory. Values are
random, by the model's own mean and scale, so that a row costs what any row costs. Without a model it is one whose arithmetic is next to nothing
(windows of 6 rows of 2 features): what is timed then is reading, cutting windows and writing.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.parquet

from benchmarks.environment import environment
from benchmarks.progress import tell
from offbeat.bundle import Manifest, open_version
from tests.runtime import folders

_ROWS_AT_ONCE = 250_000


def batches(manifest: Manifest, n_rows: int) -> Iterator[pa.RecordBatch]:
    rng, scale = np.random.default_rng(0), np.array(manifest.normalisation.scale)
    for begin in range(0, n_rows, _ROWS_AT_ONCE):
        n = min(_ROWS_AT_ONCE, n_rows - begin)
        values = np.array(manifest.normalisation.mean) + scale * rng.standard_normal((n, len(scale)))
        times = np.datetime64("2026-01-01T00:00:00") + np.arange(begin, begin + n).astype("timedelta64[s]")
        columns = dict(zip(manifest.feature_names, values.T.astype(np.float32), strict=True))
        yield pa.RecordBatch.from_pydict({"timestamp": times, **columns})


def write(kind: str, path: Path, manifest: Manifest, n_rows: int) -> None:
    schema = next(batches(manifest, 1)).schema
    openers = {"csv": pa.csv.CSVWriter, "parquet": pa.parquet.ParquetWriter, "arrow": pa.ipc.new_file}
    with openers[kind](path, schema) as writer:
        for batch in batches(manifest, n_rows):
            writer.write_table(pa.Table.from_batches([batch]))


def run(command: list[str], limit_bytes: int) -> dict[str, object]:
    """Runs it under the limit; the peak is the largest resident size that the kernel saw of that process alone."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit_bytes, limit_bytes))
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)}: exit code {process.returncode}")
    return {
        "seconds": round(time.perf_counter() - begin, 2),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_memory_mib": round(usage.ru_maxrss / 1024, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model")
    parser.add_argument("--n-rows", type=int, default=10_000_000)
    parser.add_argument("--kinds", default="csv,parquet,arrow")
    parser.add_argument("--stride", type=int, default=1)
    parser.add_argument("--limit-mib", type=int, default=1024)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        if options.model is None:
            options.model = str(folders.write_version(Path(folder), safetensors=folders.safetensors_bytes()))
        manifest = open_version(options.model).manifest
        for kind in options.kinds.split(","):
            data, scores = Path(folder) / f"data.{kind}", Path(folder) / f"scores.{kind}"
            tell(f"{kind}: writing {options.n_rows:,} rows")
            write(kind, data, manifest, options.n_rows)
            for n_rows in (options.n_rows // 10, options.n_rows):
                if n_rows < options.n_rows:
                    write(kind, small := Path(folder) / f"small.{kind}", manifest, n_rows)
                command = [sys.executable, "-m", "offbeat", "score", str(data if n_rows == options.n_rows else small)]
                command += ["--model", options.model, "--out", str(scores)]
                if manifest.window is not None:
                    command += ["--stride", str(options.stride)]
                tell(f"{kind}: scoring {n_rows:,} rows")
                measured = run(command, options.limit_mib * 2**20)
                size = (data if n_rows == options.n_rows else small).stat().st_size
                measured |= {"kind": kind, "n_rows": n_rows, "data_mib": round(size / 2**20, 1)}
                measured |= {"scores_mib": round(scores.stat().st_size / 2**20, 1)}
                measured["rows_a_second"] = round(n_rows / float(str(measured["seconds"])))
                print(json.dumps(measured), flush=True)
                runs.append(measured)
            data.unlink()
    if options.out:
        about = {"model": manifest.name, "architecture": manifest.architecture.kind, "stride": options.stride}
        about |= {"address_space_limit_mib": options.limit_mib, "measured_at": datetime.now(UTC).isoformat()}
        options.out.write_text(json.dumps(about | {"environment": environment(), "runs": runs}, indent=2) + "\n")


if __name__ == "__main__":
    main()
