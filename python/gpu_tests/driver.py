"""CUDA memory and streams by the driver alone: what a program has that uses none of the known libraries."""

from __future__ import annotations

import ctypes
from typing import Any

import dlpack
import numpy as np
import numpy.typing as npt


class Driver:
    """Device 0, in the context that the CUDA runtime uses too."""

    def __init__(self) -> None:
        self.library = ctypes.CDLL("libcuda.so.1")
        device, context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuInit", 0)
        self.call("cuDeviceGet", ctypes.byref(device), 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self.call("cuCtxSetCurrent", context)
        self.busy = self.allocate(1 << 30)

    def call(self, name: str, *arguments: object) -> None:
        status = getattr(self.library, name)(*arguments)
        if status != 0:
            raise RuntimeError(f"{name}: CUDA error {status}")

    def allocate(self, size: int) -> int:
        address = ctypes.c_void_p()
        self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(size))
        assert address.value is not None
        return address.value

    def free(self, address: int) -> None:
        self.call("cuMemFree_v2", ctypes.c_void_p(address))

    def stream(self) -> int:
        """A stream that does not wait for the default one, nor that for it."""
        stream = ctypes.c_void_p()
        self.call("cuStreamCreate", ctypes.byref(stream), 1)
        assert stream.value is not None
        return stream.value

    def keep_busy(self, stream: int) -> None:
        """Gives the stream work for some tens of milliseconds."""
        for byte in range(100):
            self.call(
                "cuMemsetD8Async", ctypes.c_void_p(self.busy), ctypes.c_ubyte(byte), ctypes.c_size_t(1 << 30),
                ctypes.c_void_p(stream),
            )  # fmt: skip

    def copy_async(self, to: int, origin: int, size: int, stream: int) -> None:
        self.call(
            "cuMemcpyDtoDAsync_v2", ctypes.c_void_p(to), ctypes.c_void_p(origin), ctypes.c_size_t(size),
            ctypes.c_void_p(stream),
        )  # fmt: skip


class Rows:
    """A copy of ``array`` ([n, dim] or [dim]) in device memory, released by free()."""

    def __init__(self, driver: Driver, array: npt.NDArray[Any], stride: int | None = None) -> None:
        wide = np.zeros((*array.shape[:-1], stride or array.shape[-1]), array.dtype)
        wide[..., : array.shape[-1]] = array
        self.driver = driver
        self.array = wide[..., : array.shape[-1]]
        self.size = wide.nbytes
        self.address = driver.allocate(wide.nbytes)
        driver.call(
            "cuMemcpyHtoD_v2", ctypes.c_void_p(self.address), ctypes.c_void_p(wide.ctypes.data),
            ctypes.c_size_t(wide.nbytes),
        )  # fmt: skip

    def interface(self, **changes: object) -> Interface:
        return Interface(
            {
                "shape": self.array.shape,
                "typestr": self.array.dtype.str,
                "data": (self.address, False),
                "strides": self.array.strides,
                "version": 3,
                "stream": 1,
            }
            | changes
        )

    def tensor(self) -> dlpack.Tensor:
        return dlpack.Tensor(self.array, dlpack.FLOAT, dlpack.CUDA, self.address)

    def free(self) -> None:
        self.driver.free(self.address)


class Interface:
    """What numba and others show of their arrays."""

    def __init__(self, interface: dict[str, object]) -> None:
        self.__cuda_array_interface__ = interface
