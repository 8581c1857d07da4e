"""offbeat's client against the deployment of deploy/ray, on a Ray cluster, held to the scorer in this process."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
import yaml

import offbeat
from benchmarks.ports import free_ports
from offbeat.errors import (
    BundleError,
    ConfigurationError,
    DeadlineExceededError,
    InvalidWindowError,
    OffbeatError,
    UnavailableError,
    UnknownModelError,
)
from offbeat.inference import open_inference_pb2 as pb
from offbeat.inference.open_inference_pb2_grpc import GRPCInferenceServiceStub
from offbeat.reply_timing import ReplyTiming
from offbeat.v1.scoring_pb2 import DATA_TYPE_FLOAT32, ScoreRequest, Tensor
from offbeat.v1.scoring_pb2_grpc import AnomalyScoringStub

from ..runtime.folders import random_windows, write_version

pytest.importorskip("ray", reason="needs ray: make extras")
pytestmark = pytest.mark.filterwarnings("ignore")
_CONFIG = Path(__file__).parents[2] / "deploy" / "ray" / "serve.yaml"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two models, one of them in two versions."""
    root = tmp_path_factory.mktemp("models")
    write_version(root)
    write_version(root, version=2)
    write_version(root, name="other")
    return root


@pytest.fixture(scope="module")
def target(cluster: Any, repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """`serve run` of the configuration as it is, but for the ports and the repository."""
    config = yaml.safe_load(_CONFIG.read_text())
    port, http_port = free_ports(2)
    config["grpc_options"]["port"] = port
    # The nodes of this cluster share one machine, and its ports.
    config["proxy_location"] = "HeadOnly"
    config["http_options"] = {"host": "127.0.0.1", "port": http_port}
    config["applications"][0]["args"] |= {"model_repository": str(repository), "version_policy": "latest:2"}
    path = tmp_path_factory.mktemp("config") / "serve.yaml"
    path.write_text(yaml.safe_dump(config))
    command = [Path(sys.executable).with_name("serve"), "run", "--address", cluster.address, path]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    address = f"127.0.0.1:{port}"
    try:
        with offbeat.Client(address, timeout_s=5) as client:
            end = time.monotonic() + 200
            while not client.is_ready():
                assert process.poll() is None, process.communicate()[0]
                assert time.monotonic() < end
                time.sleep(0.2)
        yield address
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=200)


@pytest.fixture
def client(target: str) -> Iterator[offbeat.Client]:
    with offbeat.Client(target) as client:
        yield client


def test_scores_behind_ray_are_those_of_the_scorer(client: offbeat.Client, repository: Path) -> None:
    windows, outputs = random_windows(50), ["reconstruction_error", "is_anomaly", "feature_error"]
    result = client.score(windows, model="level", outputs=outputs)
    expected = offbeat.load(repository / "level").score(windows, outputs)
    assert (result.model, result.version, result.backend) == ("level", 2, expected.backend)
    for name, array in expected.arrays().items():
        np.testing.assert_allclose(result.arrays()[name], array, rtol=1e-6, err_msg=name)


def test_all_models_and_versions_of_the_repository_are_served(client: offbeat.Client) -> None:
    assert [(each.name, each.version) for each in client.list_models()] == [("level", 1), ("level", 2), ("other", 1)]
    assert client.get_model("other").name == "other"
    windows = random_windows(2)
    assert client.score(windows, model="level", version=1).version == 1
    assert client.score(windows, model="other").model == "other"


def test_a_request_larger_than_a_batch_is_answered_whole_and_in_order(client: offbeat.Client, repository: Path) -> None:
    windows = random_windows(1_300)
    expected = offbeat.load(repository / "level").score(windows).reconstruction_error
    np.testing.assert_allclose(client.score(windows, model="level").reconstruction_error, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("windows", "request_of", "kind", "message"),
    [
        (random_windows(1), {"model": "absent"}, UnknownModelError, "absent"),
        (random_windows(1), {"model": "level", "version": 9}, UnknownModelError, "9"),
        (random_windows(1), {"model": "level", "outputs": ["loss"]}, InvalidWindowError, "loss"),
        (random_windows(1)[..., :1], {"model": "level"}, InvalidWindowError, "shape"),
        (np.full((1, 6, 2), np.nan, np.float32), {"model": "level"}, InvalidWindowError, "NaN"),
        (random_windows(1), {"model": "level", "timeout_s": 1e-5}, DeadlineExceededError, "(?i)deadline"),
    ],
)
def test_errors_are_those_of_the_server(
    client: offbeat.Client, windows: np.ndarray, request_of: dict[str, Any], kind: type[OffbeatError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        client.score(windows, **request_of)


def test_calls_at_the_same_time_share_batches_and_get_their_own_scores(target: str, repository: Path) -> None:
    windows = random_windows(400)
    expected = offbeat.load(repository / "level").score(windows).reconstruction_error
    with grpc.insecure_channel(target) as channel:
        stub = AnomalyScoringStub(channel)

        def score(index: int) -> tuple[float, ReplyTiming | None]:
            data = windows[index : index + 1]
            tensor = Tensor(name="window", data_type=DATA_TYPE_FLOAT32, shape=data.shape, data=data.tobytes())
            request = ScoreRequest(model="other" if index % 2 else "level", window=tensor)
            response, call = stub.Score.with_call(request, timeout=30)
            errors = {output.name: output.data for output in response.outputs}["reconstruction_error"]
            return float(np.frombuffer(errors, "<f4")[0]), ReplyTiming.of_metadata(call.trailing_metadata())

        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(score, range(len(windows))))
    np.testing.assert_allclose([error for error, _ in answers], expected, rtol=1e-6)
    sizes = [timing.size for _, timing in answers if timing is not None]
    assert len(sizes) == len(windows)
    assert max(sizes) > 1


def test_a_stream_is_answered_by_id_and_refuses_one_request_alone(client: offbeat.Client, repository: Path) -> None:
    windows = [random_windows(3, seed=seed) for seed in range(200)]
    scorer = offbeat.load(repository / "level")
    for result, batch in zip(client.score_stream(windows, model="level"), windows, strict=True):
        expected = scorer.score(batch).reconstruction_error
        np.testing.assert_allclose(result.reconstruction_error, expected, rtol=1e-6)
    with pytest.raises(InvalidWindowError, match="NaN"):
        list(client.score_stream([windows[0], windows[0] * np.nan], model="level"))


def test_the_open_inference_protocol_is_answered_as_the_server_answers_it(target: str, repository: Path) -> None:
    windows = random_windows(4)
    tensor = pb.ModelInferRequest.InferInputTensor(name="window", datatype="FP32", shape=windows.shape)
    request = pb.ModelInferRequest(model_name="level", id="a", inputs=[tensor], raw_input_contents=[windows.tobytes()])
    with grpc.insecure_channel(target) as channel:
        stub = GRPCInferenceServiceStub(channel)
        assert stub.ServerLive(pb.ServerLiveRequest()).live
        assert stub.ServerReady(pb.ServerReadyRequest()).ready
        assert not stub.ModelReady(pb.ModelReadyRequest(name="absent")).ready
        assert stub.ModelMetadata(pb.ModelMetadataRequest(name="level")).versions == ["1", "2"]
        assert stub.ModelConfig(pb.ModelConfigRequest(name="level")).config.max_batch_size == 512
        assert len(stub.RepositoryIndex(pb.RepositoryIndexRequest()).models) == 3
        response = stub.ModelInfer(request)
        streamed = [each.infer_response.id for each in stub.ModelStreamInfer(iter([request] * 20))]
        with pytest.raises(grpc.RpcError) as refused:
            stub.ModelInfer(pb.ModelInferRequest(model_name="absent", inputs=[tensor]))
        with pytest.raises(grpc.RpcError) as counted:
            stub.ModelStatistics(pb.ModelStatisticsRequest())
    assert response.id == "a"
    expected = offbeat.load(repository / "level").score(windows).reconstruction_error
    np.testing.assert_allclose(np.frombuffer(response.raw_output_contents[0], "<f4"), expected, rtol=1e-6)
    assert streamed == ["a"] * 20
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND
    assert counted.value.code() is grpc.StatusCode.UNIMPLEMENTED


_TRITON = """
import sys
import numpy as np
import tritonclient.grpc as triton
from tritonclient.utils import InferenceServerException
windows = np.full((3, 6, 2), 1, np.float32)
tensor = triton.InferInput("window", windows.shape, "FP32")
tensor.set_data_from_numpy(windows)
with triton.InferenceServerClient(sys.argv[1]) as client:
    print(client.infer("level", [tensor]).as_numpy("reconstruction_error").shape)
    try:
        client.infer("absent", [tensor])
    except InferenceServerException as error:
        print(error.status())
"""


@pytest.mark.skipif(find_spec("tritonclient") is None, reason="needs tritonclient")
def test_tritons_client_scores_behind_ray(target: str) -> None:
    # Its messages have the names of ours, and one process holds each name once.
    script = [sys.executable, "-W", "ignore", "-c", _TRITON, target]
    finished = subprocess.run(script, capture_output=True, text=True, timeout=60, check=True)
    assert finished.stdout.split("\n") == ["(3,)", "StatusCode.NOT_FOUND", ""]


def test_what_needs_memory_of_series_is_refused_with_the_reason(client: offbeat.Client) -> None:
    with pytest.raises(UnavailableError, match="not behind Ray Serve"):
        list(client.score_points([("a", random_windows(1)[0])], model="level"))
    with pytest.raises(UnavailableError, match="no memory of series"):
        client.reset_series(model="level")


@pytest.mark.parametrize(
    ("args", "message"),
    [({}, "model_repository"), ({"model_repository": "m", "port": 1}, "port"), ({"model_repository": 1}, "str")],
)
def test_wrong_arguments_are_told_before_anything_is_deployed(args: dict[str, Any], message: str) -> None:
    from offbeat.ray.application import application

    with pytest.raises(ConfigurationError, match=message):
        application(args)


async def _made(path: Path) -> None:
    from offbeat.config import ServerConfig
    from offbeat.ray.replica import ScoringReplica

    await ScoringReplica.__init__(ScoringReplica.__new__(ScoringReplica), ServerConfig(model_repository=path))  # type: ignore[misc]


def test_a_replica_without_models_does_not_start(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="no models"):
        asyncio.run(_made(tmp_path))
