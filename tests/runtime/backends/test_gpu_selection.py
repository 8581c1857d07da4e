from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest

from offbeat.backends import auto_backend, create_backend, gpu_opening, gpu_provider, names
from offbeat.backends.cuda_backend import CudaBackend
from offbeat.backends.gpu_provider import GpuProvider
from offbeat.bundle import ModelVersion
from offbeat.config import BackendConfig
from offbeat.errors import BackendError, ConfigurationError, MissingExtraError
from tests.runtime import folders
from tests.runtime.backends.fake_gpu import fake_lane

CUDA, TENSORRT, CPU = "CUDAExecutionProvider", "TensorrtExecutionProvider", "CPUExecutionProvider"
NO_DRIVER = "NVIDIA's driver is not here"


@pytest.fixture
def version(tmp_path: Path) -> ModelVersion:
    return ModelVersion.open(folders.write_version(tmp_path))


@pytest.fixture(autouse=True)
def _unwarned() -> Iterator[None]:
    auto_backend._warn_once.cache_clear()
    yield
    auto_backend._warn_once.cache_clear()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A machine with the GPU wheel, whose driver, libraries and libnvinfer are there; a test takes away what it likes."""

    class Machine:
        said = ""
        driver_error = ""
        driver_version = (13, 0)
        absent: frozenset[str] = frozenset()
        places: frozenset[str] = frozenset()
        severities: ClassVar[list[int]] = []
        opened: tuple[tuple[GpuProvider, bool], ...] = ()
        graphs_error = ""

    here = Machine()

    def driver() -> SimpleNamespace:
        if here.driver_error:
            raise MissingExtraError(here.driver_error)
        return SimpleNamespace(cuda_version=here.driver_version)

    def load(name: str, **_: object) -> None:
        # Where the tests run NVIDIA's packages may really be.
        if Path(name).name in here.absent and name not in here.places:
            raise OSError(f"{name}: no such file")

    def open_lanes(kind: GpuProvider, version: ModelVersion, config: BackendConfig, *, has_graphs: bool) -> CudaBackend:
        here.opened = (*here.opened, (kind, has_graphs))
        return CudaBackend(kind.value, "fake", lambda: fake_lane(version, has_graphs=has_graphs), config.n_streams)

    ort = SimpleNamespace(
        __version__="1.31.1",
        cuda_version="13.0",
        get_available_providers=lambda: [TENSORRT, CUDA, CPU],
        preload_dlls=lambda: print(here.said, end=""),  # noqa: T201 - as the wheel does
        set_default_logger_severity=here.severities.append,
    )
    monkeypatch.setattr(gpu_provider, "import_onnxruntime", lambda: ort)
    monkeypatch.setattr(gpu_provider, "CudaDriver", driver)
    monkeypatch.setattr(gpu_provider, "ctypes", SimpleNamespace(CDLL=load, RTLD_GLOBAL=256))
    monkeypatch.setattr(gpu_opening, "open_lanes", open_lanes)
    monkeypatch.setattr(gpu_opening, "why_no_graphs", lambda version, config: here.graphs_error)
    # What is set during a test is taken back after it.
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "?")
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    return here


@pytest.mark.parametrize(
    ("config", "kind"),
    [
        (BackendConfig(), "cuda"),
        (BackendConfig(device="cuda"), "cuda"),
        (BackendConfig(backend="onnxruntime"), "cuda"),
        (BackendConfig(backend="onnxruntime", device="cuda"), "cuda"),
        (BackendConfig(backend="cuda"), "cuda"),
        (BackendConfig(backend="tensorrt"), "tensorrt"),
        (BackendConfig(backend="onnxruntime", device="cpu"), "onnxruntime"),
    ],
)
def test_a_usable_gpu_is_taken_unless_the_cpu_was_named_and_tensorrt_only_on_request(
    version: ModelVersion, machine: Any, config: BackendConfig, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    backend = create_backend(version, config)
    assert backend.name == kind
    assert set(machine.severities) == (set() if kind == "onnxruntime" else {4})
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    backend.close()


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ({"driver_error": NO_DRIVER}, NO_DRIVER),
        ({"driver_version": (12, 8)}, "NVIDIA's driver is for CUDA 12.8; expected one for CUDA 13.0, or newer"),
        (
            {"said": "Failed to load libcublas.so.13: x\nPlease follow\n", "absent": {"libcublas.so.13"}},
            "CUDA 13.0 is not here: libcublas.so.13: no such file; pip",
        ),
        # ONNX Runtime says nothing about this one.
        ({"absent": {"libcudnn.so.9"}}, "CUDA 13.0 is not here: libcudnn.so.9: no such file; pip"),
    ],
)
def test_without_a_gpu_several_models_fall_back_with_one_warning_that_says_why(
    version: ModelVersion,
    machine: Any,
    missing: dict[str, Any],
    reason: str,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for name, value in missing.items():
        setattr(machine, name, value)
    backends = [create_backend(version, BackendConfig(backend=name)) for name in ("auto", "auto", "onnxruntime")]
    assert {backend.description for backend in backends} == {"onnxruntime (CPUExecutionProvider)"}
    warnings = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert warnings[0].startswith("CUDA is not used, scores are computed on the CPU (device 'cpu' asks for that): ")
    assert reason in warnings[0]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "config", [BackendConfig(backend="cuda"), BackendConfig(device="cuda"), BackendConfig(backend="tensorrt")]
)
def test_a_gpu_that_was_asked_for_and_is_not_there_is_refused(
    version: ModelVersion, machine: Any, config: BackendConfig
) -> None:
    machine.driver_error = NO_DRIVER
    with pytest.raises(MissingExtraError, match=f"onnxruntime 1.31.1 offers {TENSORRT}, {CUDA}, {CPU}; {NO_DRIVER}"):
        create_backend(version, config)


@pytest.mark.parametrize("kind", ["cuda", "tensorrt"])
def test_an_onnxruntime_without_the_provider_says_what_it_offers_and_what_to_install(
    version: ModelVersion, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ort = SimpleNamespace(__version__="1.31.1", get_available_providers=lambda: [CPU])
    monkeypatch.setattr(gpu_provider, "import_onnxruntime", lambda: ort)
    with pytest.raises(
        MissingExtraError, match=rf"this onnxruntime 1\.31\.1 offers {CPU}; pip install 'offbeat\[cuda\]' \(CUDA 13"
    ):
        create_backend(version, BackendConfig(backend=kind))


def test_device_cuda_is_named_in_its_refusal(version: ModelVersion, monkeypatch: pytest.MonkeyPatch) -> None:
    ort = SimpleNamespace(__version__="1.31.1", get_available_providers=lambda: [CPU])
    monkeypatch.setattr(gpu_provider, "import_onnxruntime", lambda: ort)
    for backend in ("auto", "onnxruntime"):
        with pytest.raises(ConfigurationError, match="device is 'cuda', but backend 'cuda' needs"):
            create_backend(version, BackendConfig(backend=backend, device="cuda"))


@pytest.mark.parametrize("kind", ["cuda", "tensorrt"])
def test_a_gpu_backend_on_the_cpu_is_a_contradiction(version: ModelVersion, machine: Any, kind: str) -> None:
    with pytest.raises(ConfigurationError, match=f"device is 'cpu', but backend '{kind}' computes on a GPU"):
        create_backend(version, BackendConfig(backend=kind, device="cpu"))


@pytest.mark.parametrize("name", ["libnvinfer.so.10", "libnvonnxparser.so.10"])
def test_tensorrt_without_its_libraries_is_refused(version: ModelVersion, machine: Any, name: str) -> None:
    machine.absent = {name}
    with pytest.raises(MissingExtraError, match=rf"TensorRT is not here \({name}: no such file\); expected its {name}"):
        create_backend(version, BackendConfig(backend="tensorrt"))


def test_libraries_in_packages_elsewhere_on_pythons_path_are_found(
    version: ModelVersion, machine: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cublas = tmp_path / "torch" / "nvidia" / "cu13" / "lib" / "libcublas.so.13"
    cudnn = tmp_path / "torch" / "nvidia" / "cudnn" / "lib" / "libcudnn.so.9"
    for path in (cublas, cudnn, tmp_path / "other" / "nvidia" / "cu12" / "lib" / "libother.so"):
        path.parent.mkdir(parents=True)
        path.touch()
    monkeypatch.syspath_prepend(tmp_path / "torch")
    monkeypatch.syspath_prepend(tmp_path / "other")
    machine.said = "Failed to load libcublas.so.13: no such file\nPlease follow\n"
    machine.absent = {"libcublas.so.13", "libcudnn.so.9"}
    machine.places = {str(cublas), str(cudnn)}
    backend = create_backend(version)
    assert backend.name == "cuda"
    backend.close()
    machine.places = {str(cublas)}
    with pytest.raises(MissingExtraError, match=r"CUDA 13\.0 is not here: libcudnn\.so\.9: no such file; pip"):
        create_backend(version, BackendConfig(backend="cuda"))


def test_graphs_are_captured_where_their_rehearsal_ended_well_and_told_where_not(
    version: ModelVersion, machine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    create_backend(version).close()
    create_backend(version, BackendConfig(cuda_graphs=False)).close()
    create_backend(version, BackendConfig(backend="tensorrt")).close()
    assert "without CUDA graphs" not in caplog.text
    machine.graphs_error = "the model has control flow nodes"
    create_backend(version).close()
    cuda = GpuProvider.CUDA
    assert machine.opened == ((cuda, True), (cuda, False), (GpuProvider.TENSORRT, False), (cuda, False))
    lines = [record for record in caplog.records if "without CUDA graphs" in record.getMessage()]
    assert [line.levelno for line in lines] == [logging.INFO]
    assert lines[0].getMessage() == "level version 1 runs without CUDA graphs: the model has control flow nodes"


def test_a_session_that_came_to_be_without_the_provider_is_refused() -> None:
    GpuProvider.CUDA.check_providers([CUDA, CPU])
    with pytest.raises(BackendError, match=f"{CUDA} did not start, the session has {CPU} alone"):
        GpuProvider.CUDA.check_providers([CPU])
    with pytest.raises(BackendError, match=f"{TENSORRT} did not start, the session has {CUDA}, {CPU} alone"):
        GpuProvider.TENSORRT.check_providers([CUDA, CPU])


def test_sessions_compute_in_full_precision_on_the_lanes_stream(version: ModelVersion) -> None:
    (name, options), cpu = GpuProvider.CUDA.providers(version.manifest, 64, 4096, has_graphs=True)
    assert (name, cpu) == (CUDA, CPU)
    assert isinstance(options, dict)
    assert (options["use_tf32"], options["user_compute_stream"], options["enable_cuda_graph"]) == ("0", "4096", "1")
    tensorrt, plain, _ = GpuProvider.TENSORRT.providers(version.manifest, 64, 4096, has_graphs=False)
    assert plain[1]["enable_cuda_graph"] == "0"  # type: ignore[index]
    assert tensorrt[0] == TENSORRT
    assert tensorrt[1]["trt_fp16_enable"] == "False"  # type: ignore[index]
    assert tensorrt[1]["user_compute_stream"] == "4096"  # type: ignore[index]
    assert tensorrt[1]["trt_profile_min_shapes"] == "window:1x6x2"  # type: ignore[index]
    assert tensorrt[1]["trt_profile_max_shapes"] == "window:64x6x2"  # type: ignore[index]


def test_libraries_round_no_products_unless_the_environment_says_so(
    version: ModelVersion, machine: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_backend(version).close()
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "0"
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    create_backend(version).close()
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "1"


def test_the_backends_of_a_device_are_those_that_compute_on_it() -> None:
    assert set(names("auto")) >= {"native", "onnxruntime", "cuda", "tensorrt"}
    assert set(names("auto")) - set(names("cpu")) == {"cuda", "tensorrt"}
    assert set(names("auto")) - set(names("cuda")) == {"native"}
