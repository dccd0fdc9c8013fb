"""DLPack tensors made by hand, for element types and devices that numpy does not have."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import numpy.typing as npt

FLOAT, BFLOAT, COMPLEX = 2, 4, 5
CPU, CUDA, ROCM = 1, 2, 10


class _Tensor(ctypes.Structure):
    _fields_ = (
        ("data", ctypes.c_void_p),
        ("device_type", ctypes.c_int32),
        ("device_id", ctypes.c_int32),
        ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8),
        ("bits", ctypes.c_uint8),
        ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
        # of DLManagedTensor
        ("manager_ctx", ctypes.c_void_p),
        ("deleter", ctypes.c_void_p),
    )


class Tensor:
    """The memory of ``array`` ([n, dim]), said to be of a type, on a device and elsewhere; keeps it alive."""

    def __init__(
        self,
        array: npt.NDArray[Any],
        code: int,
        device: int = CPU,
        address: int | None = None,
    ) -> None:
        self.array = array
        self.device = device
        self.streams: list[object] = []
        self.shape = (ctypes.c_int64 * 2)(*array.shape)
        self.strides = (ctypes.c_int64 * 2)(*(s // array.itemsize for s in array.strides))
        self.tensor = _Tensor(
            array.ctypes.data if address is None else address,
            device,
            0,
            2,
            code,
            array.itemsize * 8,
            1,
            self.shape,
            self.strides,
            0,
        )

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device, 0

    def __dlpack__(self, *, stream: object = None, **_: object) -> object:
        self.streams.append(stream)
        new = ctypes.pythonapi.PyCapsule_New
        new.restype = ctypes.py_object
        new.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
        return new(ctypes.addressof(self.tensor), b"dltensor", None)


class Refusing:
    """A tensor that will not be exported, as torch's that require grad."""

    def __dlpack_device__(self) -> tuple[int, int]:
        return CPU, 0

    def __dlpack__(self, **_: object) -> object:
        raise BufferError("call detach() first")


def to_bfloat16(array: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """The upper half of each float32."""
    return (array.view(np.uint32) >> 16).astype(np.uint16)
