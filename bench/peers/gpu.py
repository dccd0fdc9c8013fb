"""cuVS on a GPU: CAGRA, and CAGRA turned into an HNSW graph that the CPU searches; and Concord on the GPU.

Taken where an NVIDIA GPU and the packages (cuvs-cu12 or cuvs-cu13 26.10, cupy) are; otherwise a line says what
is missing. The calls of the two cuVS adapters were checked against the signatures of 26.10; they have not been
run on a GPU: no machine so far had both.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import pathlib
import shutil
import subprocess
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .libraries import ConcordGpu, Floats, Library


def missing() -> str | None:
    """Why nothing here can run."""
    if (
        shutil.which("nvidia-smi") is None
        or subprocess.run(["nvidia-smi", "-L"], capture_output=True).returncode
    ):
        return "no NVIDIA GPU"
    return None


def installed(names: tuple[str, ...]) -> str:
    """The first of the packages that is here, or else the first."""
    here = {distribution.name for distribution in importlib.metadata.distributions()}
    return next((name for name in names if name in here), names[0])


class Cagra(Library):
    """CAGRA, built and searched on the GPU; cosine is the inner product of normalised vectors."""

    name, module = "cuvs CAGRA", "cuvs.neighbors.cagra"
    package = installed(("cuvs-cu12", "cuvs-cu13"))
    mapping = "graph_degree = 2 M, intermediate_graph_degree = 4 M, itopk_size"
    knob = "itopk_size"
    efforts: ClassVar[tuple[int, ...]] = (16, 32, 64, 96, 128, 192, 256, 384, 512)

    def _metric(self) -> str:
        return {"l2sq": "sqeuclidean", "cosine": "inner_product"}[self.p.metric]

    def _to_device(self, vectors: Floats) -> Any:
        cupy: Any = importlib.import_module("cupy")
        return cupy.asarray(self._input(vectors))

    def _build(self, vectors: Floats) -> Any:
        parameters = self.lib.IndexParams(
            metric=self._metric(),
            graph_degree=2 * self.p.M,
            intermediate_graph_degree=4 * self.p.M,
        )
        self.rows = self._to_device(vectors)  # an index may refer to them
        return self.lib.build(parameters, self.rows)

    def build(self, vectors: Floats) -> None:
        self.index = self._build(vectors)

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        parameters = self.lib.SearchParams(itopk_size=effort)
        labels = self.lib.search(parameters, self.index, self._to_device(queries), k)[1]
        return labels.copy_to_host()

    def save(self, path: pathlib.Path) -> None:
        self.lib.save(str(path), self.index)

    def load(self, path: pathlib.Path) -> None:
        self.index, self.rows = self.lib.Index(), self.lib.Dataset()
        self.lib.load(self.index, str(path), out_dataset=self.rows)


class CagraHnsw(Cagra):
    """CAGRA's graph as the bottom layer of an HNSW index in host memory."""

    name = "cuvs CAGRA to HNSW"
    mapping = "graph_degree = 2 M, intermediate_graph_degree = 4 M, hierarchy on the CPU, ef"
    knob, efforts = Library.knob, Library.efforts

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.hnsw: Any = importlib.import_module("cuvs.neighbors.hnsw")

    def _conversion(self) -> Any:
        return self.hnsw.IndexParams(
            hierarchy="cpu",
            ef_construction=self.p.ef_construction,
            num_threads=self.p.threads,
            metric=self._metric(),
        )

    def build(self, vectors: Floats) -> None:
        self.index = self.hnsw.from_cagra(self._conversion(), self._build(vectors))

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        parameters = self.hnsw.SearchParams(ef=effort, num_threads=self.p.threads)
        return np.asarray(self.hnsw.search(parameters, self.index, self._input(queries), k)[1])

    def save(self, path: pathlib.Path) -> None:
        self.hnsw.save(str(path), self.index)

    def load(self, path: pathlib.Path) -> None:
        self.index = self.hnsw.load(
            self._conversion(), str(path), self.p.dim, np.float32, self._metric()
        )


LIBRARIES: tuple[type[Library], ...] = (ConcordGpu, Cagra, CagraHnsw)
