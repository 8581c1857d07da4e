"""Scoring at full speed while models are loaded, replaced and unloaded; every reply is checked.

`python -m tests.runtime.server.swapping --seconds 60` runs it for a minute and prints what happened.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import grpc
import msgspec
import numpy as np

from offbeat.bundle import ModelVersion
from offbeat.inference import open_inference_pb2 as oip
from offbeat.inference.open_inference_pb2_grpc import GRPCInferenceServiceStub
from offbeat.result import FloatArray, Threshold
from tests.runtime.folders import expected_outputs, golden_bytes, onnx_bytes, random_windows, write_version

from .calls import infer_request

# Each version has a threshold of its own, so that its scores tell it from the others.
THRESHOLDS = {1: 1.0, 2: 2.0, 3: 3.0}
_N_CLIENTS = 6
_N_STREAMED = 16


def expected_scores(windows: FloatArray, version: int) -> FloatArray:
    """The anomaly scores that this version gives."""
    error = expected_outputs(windows)["reconstruction_error"]
    return np.clip(error / np.float32(2 * THRESHOLDS[version]), 0, 1).astype(np.float32)


def write_repository(folder: Path) -> None:
    """Two models of three versions that give different scores."""
    windows = random_windows(8)
    for name in ("steady", "coming"):
        for version, threshold in THRESHOLDS.items():
            outputs = expected_outputs(windows)
            outputs["anomaly_score"] = expected_scores(windows, version)
            outputs["is_anomaly"] = outputs["reconstruction_error"] > threshold
            path = write_version(folder, name, version, onnx=onnx_bytes(threshold), golden=golden_bytes(outputs))
            manifest = ModelVersion.open(path).manifest
            manifest = msgspec.structs.replace(manifest, threshold=Threshold(value=threshold, method="fixed"))
            (path / "manifest.json").write_bytes(manifest.to_json())


@contextlib.contextmanager
def server_process(repository: Path, *flags: str) -> Iterator[tuple[int, str]]:
    """A server in a process of its own; its number and its address."""
    command = [sys.executable, "-m", "offbeat", "serve", str(repository), "--port", "0", "--backend", "onnxruntime"]
    process = subprocess.Popen(
        [*command, "--model-control-mode", "explicit", *flags],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        ready = re.search(r"ready on (\S+)", process.stdout.readline())
        assert ready is not None, "the server did not start"
        yield process.pid, ready[1]
    finally:
        process.terminate()
        process.wait(40)
        process.stdout.close()


class Swapping:
    """Clients that score `steady`, whose versions change under them, and `coming`, which comes and goes.

    `answers` counts what became of the requests by model and version, or by status; `wrong` says what should not have been.
    """

    def __init__(self, target: str) -> None:
        self._channel = grpc.aio.insecure_channel(target)
        self._stub = GRPCInferenceServiceStub(self._channel)
        self._is_over = False
        self.answers: Counter[str] = Counter()
        self.n_sent = 0
        self.n_changes = 0
        self.wrong: list[str] = []

    async def run(self, seconds: float, until: Collection[str] = ()) -> None:
        """Loads and scores for so long, and until there are these `answers`, at most a minute longer; waits for the last."""
        await self._load("steady", 1)
        clients = [self._score(model, seed) for seed in range(_N_CLIENTS) for model in ("steady", "coming")]
        running = [asyncio.create_task(each) for each in (*clients, self._stream(), self._change())]
        await asyncio.sleep(seconds)
        end = time.monotonic() + 60
        while not self.answers.keys() >= set(until) and time.monotonic() < end:
            await asyncio.sleep(0.1)
        self._is_over = True
        await asyncio.gather(*running)
        await self._channel.close()

    async def _change(self) -> None:
        while not self._is_over:
            for version in THRESHOLDS:
                await self._load("steady", version)
                await self._load("coming", version)
                await self._stub.RepositoryModelUnload(oip.RepositoryModelUnloadRequest(model_name="coming"))
                self.n_changes += 3

    async def _load(self, name: str, version: int) -> None:
        request = oip.RepositoryModelLoadRequest(model_name=name)
        request.parameters["config"].string_param = f'{{"version_policy": {{"specific": {{"versions": [{version}]}}}}}}'
        await self._stub.RepositoryModelLoad(request)

    async def _score(self, model: str, seed: int) -> None:
        windows = random_windows(1 + seed, seed=seed)
        request = infer_request(windows, ["anomaly_score"], model_name=model)
        while not self._is_over:
            self.n_sent += 1
            try:
                self._check(model, windows, await self._stub.ModelInfer(request, timeout=60))
            except grpc.aio.AioRpcError as error:
                self._refused(model, error)

    async def _stream(self) -> None:
        """Requests with ids on one stream, of as many rows as their ids tell."""
        call = self._stub.ModelStreamInfer()
        n_open, number = 0, 0
        while n_open or not self._is_over:
            while n_open < _N_STREAMED and not self._is_over:
                windows = random_windows(1 + number % 7, seed=number % 7)
                await call.write(infer_request(windows, ["anomaly_score"], model_name="steady", id=str(number)))
                number, n_open, self.n_sent = number + 1, n_open + 1, self.n_sent + 1
            answer = await call.read()
            if answer.error_message:
                self.wrong.append(f"on the stream: {answer.error_message}")
                self.answers["refused on the stream"] += 1
            else:
                seed = int(answer.infer_response.id) % 7
                self._check("steady", random_windows(1 + seed, seed=seed), answer.infer_response)
            n_open -= 1
        await call.done_writing()

    def _check(self, model: str, windows: FloatArray, response: oip.ModelInferResponse) -> None:
        version = int(response.model_version)
        self.answers[f"{model} {version}"] += 1
        scores = np.frombuffer(response.raw_output_contents[0], np.float32)
        if response.model_name != model or not np.allclose(scores, expected_scores(windows, version), rtol=1e-5):
            self.wrong.append(f"{response.model_name} {version} gave {scores} for {model}")

    def _refused(self, model: str, error: grpc.aio.AioRpcError) -> None:
        code = error.code()
        self.answers[f"{model} {code.name}"] += 1
        # Between its visits `coming` is not there, or on its way.
        if model == "steady" or code not in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.UNAVAILABLE):
            self.wrong.append(f"{model}: {code.name}: {error.details()}")


def resident_kib(pid: int) -> int:
    """The resident memory of a process."""
    match = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert match is not None
    return int(match[1])


def main() -> None:
    """Runs for the seconds asked for, and ends with 1 where an answer was wrong or lost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder:
        write_repository(Path(folder))
        with server_process(Path(folder)) as (pid, target):
            before = resident_kib(pid)
            started = time.monotonic()

            async def run() -> Swapping:
                swapping = Swapping(target)
                await swapping.run(seconds)
                return swapping

            swapping = asyncio.run(run())
            elapsed, after = time.monotonic() - started, resident_kib(pid)
    n_answers = sum(swapping.answers.values())
    lines = (
        f"{swapping.n_sent} requests, {n_answers} answers in {elapsed:.1f} s, {swapping.n_changes} loads and unloads",
        str(dict(sorted(swapping.answers.items()))),
        f"resident memory {before / 1024:.0f} MiB before, {after / 1024:.0f} MiB after",
        f"wrong: {swapping.wrong[:5] or 'none'}",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(bool(swapping.wrong) or n_answers != swapping.n_sent)


if __name__ == "__main__":
    main()
