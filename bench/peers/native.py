"""Libraries that filter in C++ alone: each is compiled here with its own headers, and called through ctypes.

``bench/peers/headers.sh FOLDER`` brings the headers. ``CONCORD_PEER_HEADERS`` is that folder; its default is
build/peers/headers. What a library is compiled to stays in FOLDER/compiled.
"""

from __future__ import annotations

import ctypes
import importlib.metadata
import importlib.util
import os
import pathlib
import subprocess
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .libraries import EFS, Floats, Labels, Parameters

SOURCES = pathlib.Path(__file__).parent / "native"
HEADERS = pathlib.Path(
    os.environ.get(
        "CONCORD_PEER_HEADERS", pathlib.Path(__file__).parents[2] / "build/peers/headers"
    )
)
COMPILER = ("-std=c++20", "-O3", "-march=native", "-shared", "-fPIC")


class Form(ctypes.Structure):
    """PeerForm of native/peer.hpp."""

    _fields_ = (
        ("rows", ctypes.c_size_t),
        ("dimension", ctypes.c_size_t),
        ("is_l2", ctypes.c_bool),
        ("M", ctypes.c_size_t),
        ("ef_construction", ctypes.c_size_t),
    )


def pointer(array: npt.NDArray[Any]) -> ctypes.c_void_p:
    """Of an array's first element."""
    return array.ctypes.data_as(ctypes.c_void_p)


def compiled(source: pathlib.Path, flags: list[str]) -> pathlib.Path:
    """The shared library of a source, made anew where it is older. Raises CalledProcessError."""
    made = HEADERS / "compiled" / f"{source.stem}.so"
    newest = max(path.stat().st_mtime for path in (source, SOURCES / "peer.hpp"))
    if not made.exists() or made.stat().st_mtime < newest:
        made.parent.mkdir(exist_ok=True)
        command = [os.environ.get("CXX", "g++"), *COMPILER, str(source), "-o", str(made), *flags]
        subprocess.run(command, check=True, capture_output=True, text=True)
    return made


class Native:
    """An index of a library in C++."""

    name: ClassVar[str]
    package: ClassVar[str]
    source: ClassVar[str]
    mapping: ClassVar[str] = "M, ef_construction, ef; one call of C++ for all queries"
    codes: ClassVar[str] = "float32"
    knob: ClassVar[str] = "ef"
    efforts: ClassVar[tuple[int, ...]] = EFS

    def __init__(self, parameters: Parameters) -> None:
        self.p = parameters
        self.index = ctypes.c_void_p()
        self.lib = ctypes.CDLL(str(compiled(SOURCES / self.source, self.flags())))
        self.lib.peer_build.restype = ctypes.c_void_p
        self.lib.peer_error.restype = ctypes.c_char_p
        self.lib.peer_search.restype = ctypes.c_bool

    @classmethod
    def flags(cls) -> list[str]:
        """Of the compiler: where its headers are. Raises FileNotFoundError."""
        raise NotImplementedError

    @classmethod
    def problem(cls) -> str | None:
        """Why it cannot be used here; None where it can."""
        try:
            compiled(SOURCES / cls.source, cls.flags())
        except FileNotFoundError as error:
            return f"{error.strerror}: {error.filename}; bench/peers/headers.sh brings headers"
        except subprocess.CalledProcessError as error:
            return f"does not compile: {error.stderr.strip().splitlines()[0]}"
        except importlib.metadata.PackageNotFoundError as error:
            return f"no package {error}"
        return None

    @classmethod
    def facts(cls) -> dict[str, str]:
        """What a reader of the results must know of the library."""
        return {
            "package": cls.package,
            "version": cls.version(),
            "mapping": cls.mapping,
            "codes": cls.codes,
            "knob": cls.knob,
            "about": " ".join(str(cls.__doc__).split()),
        }

    @classmethod
    def version(cls) -> str:
        """Of its headers, whose folder bears it."""
        return folder(cls.package).name.removeprefix(f"{cls.package}-")

    def _input(self, vectors: Floats) -> Floats:
        """Rows of length 1 for cosine, where the nearest has the largest product."""
        if self.p.metric == "l2sq":
            return np.ascontiguousarray(vectors)
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.ascontiguousarray(vectors / np.maximum(norms, 1e-30))

    def build(self, vectors: Floats) -> None:
        """Index all vectors; labels are the numbers of the rows. Raises RuntimeError."""
        p = self.p
        rows = self._input(vectors)
        form = Form(len(rows), p.dim, p.metric == "l2sq", p.M, p.ef_construction)
        self.index.value = self.lib.peer_build(pointer(rows), ctypes.byref(form))
        self.rows = rows  # a library may read them where they stand
        if not self.index.value:
            raise RuntimeError(self.lib.peer_error().decode())

    def make_filter(self, mask: npt.NDArray[np.bool_]) -> Any:
        """The bytes that its C++ looks into, and the share of rows that match."""
        return np.ascontiguousarray(mask, np.uint8), float(mask.mean())

    def among(self, queries: Floats, k: int, effort: int, chosen: Any) -> Labels:
        """Labels [q, k] of one call; -1 where there is none. Raises RuntimeError."""
        mask, share = chosen
        queries = self._input(queries)
        labels = np.full((len(queries), k), -1, np.int64)
        size = ctypes.c_size_t
        searched = self.lib.peer_search(
            self.index,
            pointer(queries),
            size(len(queries)),
            size(self.p.dim),
            size(k),
            size(effort),
            pointer(mask),
            ctypes.c_double(share),
            pointer(labels),
        )
        if not searched:
            raise RuntimeError(self.lib.peer_error().decode())
        return labels

    def __del__(self) -> None:
        if self.index:
            self.lib.peer_free(self.index)


def folder(package: str) -> pathlib.Path:
    """Of a package's headers. Raises FileNotFoundError."""
    found = sorted(HEADERS.glob(f"{package}-*"))
    if not found:
        raise FileNotFoundError(2, "no headers", str(HEADERS / f"{package}-*"))
    return found[-1]


def library_of(package: str, pattern: str) -> pathlib.Path:
    """A shared library that an installed package brings. Raises FileNotFoundError, PackageNotFoundError."""
    for file in importlib.metadata.files(package) or []:
        if file.match(pattern):
            return pathlib.Path(str(file.locate())).resolve()
    raise FileNotFoundError(2, f"no {pattern} in the package", package)


def linked(library: pathlib.Path) -> list[str]:
    """Flags that link a shared library where it is."""
    return [str(library), f"-Wl,-rpath,{library.parent}"]


class NativeHnswlib(Native):
    """hnswlib in C++, with its BaseFilterFunctor."""

    name, package, source = "hnswlib (C++)", "hnswlib", "hnswlib_peer.cpp"

    @classmethod
    def flags(cls) -> list[str]:
        return ["-isystem", str(folder("hnswlib"))]


class NativeUsearch(Native):
    """USearch in C++, with the predicate of filtered_search; distances by the package numkong."""

    name, package, source = "usearch (C++)", "usearch", "usearch_peer.cpp"
    mapping = "connectivity, expansion_add, expansion_search; one call of C++ for all queries"

    @classmethod
    def flags(cls) -> list[str]:
        headers = folder("usearch")
        kernels = library_of("numkong", "_numkong*.so")
        switches = ["USE_NUMKONG=1", "DYNAMIC_DISPATCH=1", "NATIVE_BF16=0", "NATIVE_F16=0"]
        return [
            "-DUSEARCH_" + switches[0],
            *("-DNK_" + switch for switch in switches[1:]),
            *("-isystem", str(headers / "include")),
            *("-isystem", str(headers / "numkong/include")),
            *linked(kernels),
        ]


class NativeVsag(Native):
    """VSAG's HGraph in C++, with a vsag::Filter that tells its share; the library of the package pyvsag."""

    name, package, source = "vsag HGraph (C++)", "vsag", "vsag_peer.cpp"
    mapping = (
        "max_degree = 2 M, ef_construction, ef_search; one call of VSAG a query, one of C++ for all"
    )

    @classmethod
    def flags(cls) -> list[str]:
        headers = ["-isystem", str(folder("vsag") / "include")]
        return ["-D_GLIBCXX_USE_CXX11_ABI=0", *headers, *linked(library_of("pyvsag", "libvsag*"))]


NATIVE: tuple[type[Native], ...] = (NativeHnswlib, NativeUsearch, NativeVsag)
