"""Libraries that walk by codes of their own: Glass, SymphonyQG, NGT, kANNolo, ScaNN and Zvec."""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import tempfile
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from .libraries import Floats, Library, Parameters

EPSILONS = (300, 500, 700, 800, 900, 950, 980, 1000, 1020, 1040, 1070, 1100, 1150, 1200, 1300)
"""Of NGT, in thousandths and with 1 added, so that none is negative."""
LEAVES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512)


class Glass(Library):
    """HNSW built and searched by 8-bit codes of one range; opening it tunes its prefetching (optimize).

    Cosine is L2 of normalised vectors: its wheel computes the inner product of codes 1.6 times as slowly.
    """

    name, module, package = "glass SQ8U", "glass", "pyglass-portable"
    mapping = "R = 2 M, L = ef_construction, ef; graph SQ8U, refined by FP32"
    codes = "8-bit codes of one range; float32 decides at the end"
    kind = "SQ8U"
    """Of the codes that a search walks by."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.folder = tempfile.TemporaryDirectory()
        self.path = pathlib.Path(self.folder.name, "graph")
        self.lib.set_num_threads(parameters.threads)

    def _open(self, graph: Any, vectors: Floats) -> None:
        """A searcher takes the graph away, so that it must have been saved before."""
        self.vectors = vectors
        self.index = self.lib.Searcher(graph, vectors, "L2", self.kind, "FP32")

    def build(self, vectors: Floats) -> None:
        p = self.p
        vectors = self._input(vectors)
        builder = self.lib.Index("HNSW", "L2", "SQ8U", R=2 * p.M, L=p.ef_construction)
        graph = builder.build(vectors)
        graph.save(str(self.path))
        self._open(graph, vectors)

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        self.index.set_ef(effort)
        found = self.index.batch_search(self._input(queries), k, self.p.threads)[0]
        return np.asarray(found).reshape(len(queries), k)

    def save(self, path: pathlib.Path) -> None:
        path.mkdir()
        shutil.copy(self.path, path / "graph")
        np.save(path / "vectors.npy", self.vectors)

    def load(self, path: pathlib.Path) -> None:
        self.path = path / "graph"
        self._open(self.lib.Graph(str(self.path)), np.load(path / "vectors.npy"))
        self.index.set_ef(32)
        self.index.optimize(self.p.threads)


class GlassSq4(Glass):
    """HNSW built by 8-bit and searched by 4-bit codes of one range; opening it tunes its prefetching."""

    name, kind = "glass SQ4U", "SQ4U"
    codes = "4-bit codes of one range; float32 decides at the end"


class SymphonyQg(Library):
    """SymphonyQG of the RaBitQ library: codes of 1 bit in the lists of neighbors, PiPNN as its first graph."""

    name, module, package = "symphonyqg", "rabitqlib", "rabitqlib"
    mapping = (
        "max_degree = 2 M up to a multiple of 32, ef_construction, ef; raw vectors, init pipnn"
    )
    codes = "codes of 1 bit for neighbors, float32 for what is visited"

    def build(self, vectors: Floats) -> None:
        p = self.p
        metric = {"l2sq": "l2", "cosine": "ip"}[p.metric]
        self.index = self.lib.SymqgIndex(p.dim, -(-p.M // 16) * 32, metric=metric)
        self.index.build(self._input(vectors), p.ef_construction, num_threads=p.threads)

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        return self.index.search_batch(self._input(queries), k, effort, self.p.threads)[0]

    def save(self, path: pathlib.Path) -> None:
        self.index.save(str(path))

    def load(self, path: pathlib.Path) -> None:
        self.index = self.lib.SymqgIndex.load(str(path))


class NgtOnng(Library):
    """ONNG over float32; its index is a folder, also while it is built. One call of Python a query."""

    name, module, package = "ngt ONNG", "ngtpy", "ngt"
    mapping = "100 edges at creation, then 10 outgoing and 120 incoming; 1 + epsilon in thousandths"
    knob, efforts, lists = "1 + epsilon in thousandths", EPSILONS, False

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.folder = tempfile.TemporaryDirectory()

    def build(self, vectors: Floats) -> None:
        first, last = (str(pathlib.Path(self.folder.name, part)) for part in ("anng", "onng"))
        metric = {"l2sq": "L2", "cosine": "Normalized L2"}[self.p.metric]
        self.lib.create(first, self.p.dim, 100, 0, distance_type=metric)
        index = self.lib.Index(first, log_disabled=True)
        index.batch_insert(self._input(vectors), num_threads=self.p.threads)
        index.save()
        index.close()
        optimizer = self.lib.Optimizer(10, 120, log_disabled=True)
        optimizer.set_processing_modes(search_parameter_optimization=False)
        optimizer.execute(first, last)
        self._open(pathlib.Path(last))

    def _open(self, path: pathlib.Path) -> None:
        self.path = path
        self.index = self.lib.Index(str(path), read_only=True, log_disabled=True)

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        self.index.set(epsilon=effort / 1000 - 1, edge_size=-2)
        found = np.full((len(queries), k), -1, np.int64)
        for row, query in zip(found, self._input(queries), strict=True):
            labels = self.index.search(query, k, with_distance=False)
            row[: len(labels)] = labels
        return found

    def save(self, path: pathlib.Path) -> None:
        shutil.copytree(self.path, path)

    def load(self, path: pathlib.Path) -> None:
        self._open(path)


class Kannolo(Library):
    """HNSW over plain vectors."""

    name, module, package = "kannolo", "kannolo", "kannolo"
    mapping = "m = M, ef_construction, ef_search"
    kind = "DensePlainHNSW"

    def _metric(self) -> str:
        return {"l2sq": "euclidean", "cosine": "dotproduct"}[self.p.metric]

    def build(self, vectors: Floats) -> None:
        p = self.p
        self.index = getattr(self.lib, self.kind).build_from_array(
            self._input(vectors).ravel(), p.dim, p.M, p.ef_construction, self._metric()
        )

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        found = self.index.batch_search(
            self._input(queries).ravel(), k, ef_search=effort, num_threads=self.p.threads
        )[1]
        return np.asarray(found).reshape(len(queries), k)

    def save(self, path: pathlib.Path) -> None:
        self.index.save(str(path))

    def load(self, path: pathlib.Path) -> None:
        self.index = getattr(self.lib, self.kind).load(str(path), metric=self._metric())


class Scann(Library):
    """A tree over anisotropic codes, rescored; not a graph."""

    name, module, package = "scann", "scann", "scann"
    mapping = "leaves = root of the rows, 2 dimensions a block, threshold 0.2, reorder 10 k; leaves searched"
    codes = "4 bits of 2 dimensions; float32 decides at the end"
    knob, efforts, lists = "leaves searched", LEAVES, False

    def build(self, vectors: Floats) -> None:
        metric = {"l2sq": "squared_l2", "cosine": "dot_product"}[self.p.metric]
        rows, cosine = len(vectors), self.p.metric == "cosine"
        builder = self.lib.scann_ops_pybind.builder(self._input(vectors), 10, metric)
        builder = builder.set_n_training_threads(self.p.threads)
        builder = builder.tree(
            max(1, round(rows**0.5)),
            1,
            training_sample_size=rows,
            spherical=cosine,
            quantize_centroids=True,
        )
        threshold = 0.2 if cosine else float("nan")
        builder = builder.score_ah(2, anisotropic_quantization_threshold=threshold)
        self.index = builder.reorder(100).build()

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        ask = (
            self.index.search_batched_parallel if self.p.threads > 1 else self.index.search_batched
        )
        return ask(self._input(queries), k, 10 * k, effort)[0]

    def save(self, path: pathlib.Path) -> None:
        path.mkdir()
        self.index.serialize(str(path))

    def load(self, path: pathlib.Path) -> None:
        self.index = self.lib.scann_ops_pybind.load_searcher(str(path))


class Zvec(Library):
    """HNSW by 8-bit codes with its refiner; a database in a folder. One call of Python a query."""

    name, module, package = "zvec INT8", "zvec", "zvec"
    mapping = "m = M, ef_construction, ef; quantize_type INT8, is_using_refiner; one call of Python a query"
    codes = "8-bit codes of each vector; float32 decides at the end"
    ROWS: ClassVar[int] = 1000
    """Of one insertion, whose most it is."""

    def __init__(self, parameters: Parameters) -> None:
        super().__init__(parameters)
        self.folder = tempfile.TemporaryDirectory()
        with contextlib.suppress(RuntimeError):  # once in a process
            self.lib.init(
                log_level=self.lib.LogLevel.ERROR,
                query_threads=parameters.threads,
                optimize_threads=parameters.threads,
            )

    def build(self, vectors: Floats) -> None:
        p, lib = self.p, self.lib
        metric = {"l2sq": lib.MetricType.L2, "cosine": lib.MetricType.COSINE}[p.metric]
        how = lib.HnswIndexParam(
            metric, m=p.M, ef_construction=p.ef_construction, quantize_type=lib.QuantizeType.INT8
        )
        kind = lib.DataType.VECTOR_FP32
        schema = lib.CollectionSchema(
            "vectors", vectors=lib.VectorSchema("vector", kind, p.dim, index_param=how)
        )
        self.path = pathlib.Path(self.folder.name, "collection")
        collection = lib.create_and_open(str(self.path), schema)
        for first in range(0, len(vectors), self.ROWS):
            rows = vectors[first : first + self.ROWS]
            collection.insert(
                [lib.Doc(str(first + i), vectors={"vector": row}) for i, row in enumerate(rows)]
            )
        collection.optimize(lib.OptimizeOption(concurrency=p.threads))
        collection.flush()
        collection.close()
        self.load(self.path)

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        how = self.lib.HnswQueryParam(ef=effort, is_using_refiner=True)
        ask, query = self.index.query_internal_ids, self.lib.Query
        return np.array([ask(query("vector", vector=q, param=how), topk=k) for q in queries])

    def save(self, path: pathlib.Path) -> None:
        shutil.copytree(self.path, path)

    def load(self, path: pathlib.Path) -> None:
        self.index = self.lib.open(str(path), self.lib.CollectionOption(read_only=True))


LIBRARIES: tuple[type[Library], ...] = (
    Glass,
    GlassSq4,
    SymphonyQg,
    NgtOnng,
    Kannolo,
    Scann,
    Zvec,
)
