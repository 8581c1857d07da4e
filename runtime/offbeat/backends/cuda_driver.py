"""What the CUDA path needs of NVIDIA's driver: a stream, memory on the device, page-locked memory, and copies between them.

ONNX Runtime's Python interface allocates no page-locked memory and copies on the default stream, which every worker would share.
The driver's library comes with the driver, whatever CUDA version the rest was built for; its functions are documented in
NVIDIA's CUDA Driver API (stream, memory and context management).
"""

from __future__ import annotations

import ctypes
import math
from typing import Any, Protocol

import numpy as np
from numpy.typing import DTypeLike, NDArray

from offbeat.errors import BackendError, MissingExtraError

_LIBRARY = "libcuda.so.1"
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: does not wait for the default stream
_POINTER, _SIZE, _ADDRESS = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint64
# CUdeviceptr is an integer of 64 bits, the handles are pointers.
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "cuInit": (ctypes.c_uint,),
    "cuDriverGetVersion": (ctypes.POINTER(ctypes.c_int),),
    "cuDeviceGetCount": (ctypes.POINTER(ctypes.c_int),),
    "cuDeviceGet": (ctypes.POINTER(ctypes.c_int), ctypes.c_int),
    "cuDevicePrimaryCtxRetain": (ctypes.POINTER(_POINTER), ctypes.c_int),
    "cuCtxSetCurrent": (_POINTER,),
    "cuGetErrorString": (ctypes.c_int, ctypes.POINTER(ctypes.c_char_p)),
    "cuStreamCreate": (ctypes.POINTER(_POINTER), ctypes.c_uint),
    "cuStreamSynchronize": (_POINTER,),
    "cuStreamDestroy_v2": (_POINTER,),
    "cuMemAlloc_v2": (ctypes.POINTER(_ADDRESS), _SIZE),
    "cuMemFree_v2": (_ADDRESS,),
    "cuMemHostAlloc": (ctypes.POINTER(_POINTER), _SIZE, ctypes.c_uint),
    "cuMemFreeHost": (_POINTER,),
    "cuMemcpyHtoDAsync_v2": (_ADDRESS, _POINTER, _SIZE, _POINTER),
    "cuMemcpyDtoHAsync_v2": (_POINTER, _ADDRESS, _SIZE, _POINTER),
}


class Stream(Protocol):
    """A queue of work on a device, with memory on both sides. Belongs to the thread that made it."""

    @property
    def handle(self) -> int:
        """The cudaStream_t as a number."""
        ...

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array in memory of the host that the device reads and writes itself."""
        ...

    def device(self, n_bytes: int) -> int:
        """The address of new memory on the device."""
        ...

    def send(self, address: int, array: NDArray[Any]) -> None:
        """Queues a copy of a pinned, contiguous array to the device."""
        ...

    def fetch(self, array: NDArray[Any], address: int) -> None:
        """Queues a copy from the device into a pinned, contiguous array."""
        ...

    def wait(self) -> None:
        """Returns when everything queued is done."""
        ...

    def close(self) -> None:
        """Frees the stream and its memory, arrays of `pinned` included."""
        ...


class CudaDriver:
    """NVIDIA's driver. Raises MissingExtraError where there is none, or no GPU that it could use."""

    def __init__(self, library: Any = None) -> None:
        self._library = library or _load()
        try:
            for name, arguments in _SIGNATURES.items():
                getattr(self._library, name).argtypes = arguments
        except AttributeError as error:
            raise MissingExtraError(f"NVIDIA's driver is another one than expected: {error}") from error
        if why := self._error(self._library.cuInit(0)):
            raise MissingExtraError(f"NVIDIA's driver finds no usable GPU: {why}")
        count = ctypes.c_int()
        self.call("cuDeviceGetCount", ctypes.byref(count))
        if count.value == 0:
            raise MissingExtraError("NVIDIA's driver finds no usable GPU")

    @property
    def cuda_version(self) -> tuple[int, int]:
        """The newest CUDA that it is for, major and minor."""
        version = ctypes.c_int()
        self.call("cuDriverGetVersion", ctypes.byref(version))
        return version.value // 1000, version.value % 1000 // 10

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function of the driver. Raises BackendError with the driver's words."""
        if why := self._error(getattr(self._library, name)(*arguments)):
            raise BackendError(f"{name}: {why}")

    def _error(self, code: int) -> str:
        if code == 0:
            return ""
        text = ctypes.c_char_p()
        self._library.cuGetErrorString(code, ctypes.byref(text))
        return f"CUDA error {code}: {(text.value or b'unknown').decode(errors='replace')}"


class CudaStream:
    """A stream on the first visible GPU (CUDA_VISIBLE_DEVICES names another). Raises BackendError for whatever the driver refuses."""

    def __init__(self, driver: CudaDriver) -> None:
        self._driver = driver
        self._pinned: list[int] = []
        self._device: list[int] = []
        device, context, stream = ctypes.c_int(), _POINTER(), _POINTER()
        driver.call("cuDeviceGet", ctypes.byref(device), 0)
        # The context that ONNX Runtime uses too. It is never released: others may count on it until the process ends.
        driver.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        driver.call("cuCtxSetCurrent", context)
        driver.call("cuStreamCreate", ctypes.byref(stream), _NON_BLOCKING)
        self.handle: int = stream.value or 0

    def pinned(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """An array in page-locked memory, which is valid until `close`."""
        n_bytes = math.prod(shape) * np.dtype(dtype).itemsize
        pointer = _POINTER()
        self._driver.call("cuMemHostAlloc", ctypes.byref(pointer), n_bytes, 0)
        address = pointer.value or 0
        self._pinned.append(address)
        return np.frombuffer(memoryview((ctypes.c_char * n_bytes).from_address(address)), dtype).reshape(shape)

    def device(self, n_bytes: int) -> int:
        """The address of memory on the device, which is valid until `close`."""
        address = _ADDRESS()
        self._driver.call("cuMemAlloc_v2", ctypes.byref(address), n_bytes)
        self._device.append(address.value)
        return address.value

    def send(self, address: int, array: NDArray[Any]) -> None:
        """Queues a copy to the device."""
        self._driver.call("cuMemcpyHtoDAsync_v2", address, array.ctypes.data, array.nbytes, self.handle)

    def fetch(self, array: NDArray[Any], address: int) -> None:
        """Queues a copy from the device."""
        self._driver.call("cuMemcpyDtoHAsync_v2", array.ctypes.data, address, array.nbytes, self.handle)

    def wait(self) -> None:
        """Returns when everything queued is done."""
        self._driver.call("cuStreamSynchronize", self.handle)

    def close(self) -> None:
        """Frees the stream and its memory; a second call does nothing. Tries all of it before it raises BackendError."""
        calls = [("cuMemFree_v2", address) for address in self._device]
        calls += [("cuMemFreeHost", address) for address in self._pinned]
        calls += [("cuStreamDestroy_v2", self.handle)] if self.handle else []
        self._device, self._pinned, self.handle = [], [], 0
        refusals = []
        for name, argument in calls:
            try:
                self._driver.call(name, argument)
            except BackendError as error:
                refusals.append(error)
        if refusals:
            raise refusals[0]


def _load() -> Any:
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise MissingExtraError(f"NVIDIA's driver is not here ({error})") from error
