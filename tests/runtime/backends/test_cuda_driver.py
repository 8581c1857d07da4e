from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from offbeat.backends.cuda_driver import _SIGNATURES, CudaDriver, CudaStream
from offbeat.errors import BackendError, MissingExtraError


class FakeLibrary:
    """libcuda, as far as it is used: memory of this process, and copies at once. Counts what was not given back."""

    def __init__(self, n_devices: int = 1, init: int = 0, refuses: str = "") -> None:
        self._n_devices, self._init, self._refuses = n_devices, init, refuses
        self.buffers: dict[int, Any] = {}
        self.streams: set[int] = set()
        self.calls: list[str] = []
        for name, arguments in _SIGNATURES.items():
            setattr(self, name, self._function(name, ctypes.CFUNCTYPE(ctypes.c_int, *arguments)))

    def _function(self, name: str, prototype: Any) -> Any:
        """A C function, so that ctypes converts the arguments as it does for the driver."""

        def call(*arguments: Any) -> int:
            self.calls.append(name)
            if name == self._refuses:
                return 2
            implementation: Callable[..., int] = getattr(self, f"_{name}", lambda *_: 0)
            return implementation(*arguments)

        return prototype(call)

    def _cuInit(self, flags: int) -> int:  # noqa: N802
        return self._init

    def _cuDriverGetVersion(self, version: Any) -> int:  # noqa: N802
        version[0] = 12_040
        return 0

    def _cuDeviceGetCount(self, count: Any) -> int:  # noqa: N802
        count[0] = self._n_devices
        return 0

    def _cuGetErrorString(self, code: int, text: Any) -> int:  # noqa: N802
        text[0] = {2: b"out of memory", 100: b"no CUDA-capable device is detected"}[code]
        return 0

    def _cuStreamCreate(self, stream: Any, flags: int) -> int:  # noqa: N802
        assert flags == 1
        stream[0] = 77
        self.streams.add(77)
        return 0

    def _cuStreamDestroy_v2(self, stream: int) -> int:  # noqa: N802
        self.streams.remove(stream)
        return 0

    def _allocate(self, pointer: Any, n_bytes: int) -> int:
        buffer = (ctypes.c_char * n_bytes)()
        pointer[0] = ctypes.addressof(buffer)
        self.buffers[ctypes.addressof(buffer)] = buffer
        return 0

    def _cuMemAlloc_v2(self, pointer: Any, n_bytes: int) -> int:  # noqa: N802
        return self._allocate(pointer, n_bytes)

    def _cuMemHostAlloc(self, pointer: Any, n_bytes: int, flags: int) -> int:  # noqa: N802
        return self._allocate(pointer, n_bytes)

    def _free(self, address: int) -> int:
        del self.buffers[address]
        return 0

    _cuMemFree_v2 = _cuMemFreeHost = _free  # noqa: N815

    def _copy(self, to: int, source: int, n_bytes: int, stream: int) -> int:
        assert stream == 77
        ctypes.memmove(to, source, n_bytes)
        return 0

    _cuMemcpyHtoDAsync_v2 = _cuMemcpyDtoHAsync_v2 = _copy  # noqa: N815


def test_arrays_go_to_the_device_and_back_and_everything_is_given_back() -> None:
    library = FakeLibrary()
    stream = CudaStream(CudaDriver(library))
    assert stream.handle == 77
    sent, got = stream.pinned((3, 2), np.float32), stream.pinned((3, 2), np.float32)
    flags = stream.pinned((5,), np.bool_)
    assert flags.dtype == np.bool_
    sent[:] = np.arange(6).reshape(3, 2)
    address = stream.device(sent.nbytes)
    stream.send(address, sent)
    stream.fetch(got[:2], address)
    stream.wait()
    np.testing.assert_array_equal(got[:2], sent[:2])
    assert not got[2].any()
    assert library.calls[-1] == "cuStreamSynchronize"
    del sent, got, flags
    stream.close()
    stream.close()
    assert not library.buffers
    assert not library.streams


def test_a_driver_without_a_gpu_says_so_in_its_own_words() -> None:
    with pytest.raises(MissingExtraError, match="no usable GPU: CUDA error 100: no CUDA-capable device is detected"):
        CudaDriver(FakeLibrary(init=100))
    with pytest.raises(MissingExtraError, match="no usable GPU"):
        CudaDriver(FakeLibrary(n_devices=0))


@pytest.mark.parametrize("function", ["cuStreamCreate", "cuMemAlloc_v2", "cuMemHostAlloc", "cuMemcpyHtoDAsync_v2"])
def test_whatever_the_driver_refuses_is_a_backend_error_that_names_the_call(function: str) -> None:
    driver = CudaDriver(FakeLibrary(refuses=function))
    with pytest.raises(BackendError, match=f"{function}: CUDA error 2: out of memory"):
        use(CudaStream(driver))


def use(stream: CudaStream) -> None:
    array = stream.pinned((1,), np.float32)
    stream.send(stream.device(4), array)


def test_a_driver_tells_the_newest_cuda_that_it_is_for() -> None:
    assert CudaDriver(FakeLibrary()).cuda_version == (12, 4)


def test_a_gpu_that_refuses_to_free_something_is_given_back_the_rest() -> None:
    library = FakeLibrary(refuses="cuMemFree_v2")
    stream = CudaStream(CudaDriver(library))
    use(stream)
    with pytest.raises(BackendError, match="cuMemFree_v2: CUDA error 2"):
        stream.close()
    assert "cuMemFreeHost" in library.calls
    assert not library.streams
    stream.close()


def test_a_machine_without_a_driver_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offbeat.backends.cuda_driver._LIBRARY", "libcuda-of-nowhere.so.1")
    with pytest.raises(MissingExtraError, match=r"NVIDIA's driver is not here \(libcuda-of-nowhere"):
        CudaDriver()


def test_a_driver_without_a_function_says_which() -> None:
    library = FakeLibrary()
    del library.cuMemHostAlloc  # type: ignore[attr-defined]
    with pytest.raises(MissingExtraError, match=r"another one than expected: .*cuMemHostAlloc"):
        CudaDriver(library)
