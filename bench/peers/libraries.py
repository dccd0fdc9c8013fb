"""The libraries behind one interface, each as its own documentation says to use it.

An instance holds one index and lives in a process of its own. ``effort`` is the one number that trades
speed for recall in a search: ef where there is one. What M and ef_construction become where a library has
neither is said by ``mapping``, word by word in the results.
"""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import importlib
import importlib.metadata
import json
import pathlib
import pickle
import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from . import graph, link_files

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]

EFS = (10, 14, 20, 28, 40, 56, 80, 112, 160, 224, 320, 448, 640, 896)
# In thousandths:
SLACKS: tuple[int, ...] = (0, 5, 10, 15, 20, 30, 40, 50, 60, 70, 80, 100, 120, 150, 200, 300)
EPSILONS: tuple[int, ...] = (0, 1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384)


@dataclasses.dataclass(frozen=True)
class Parameters:
    """What all libraries are given."""

    dim: int
    metric: str
    M: int
    ef_construction: int
    threads: int


class Library(abc.ABC):
    """One index of one library."""

    name: ClassVar[str]
    module: ClassVar[str]
    package: ClassVar[str]
    mapping: ClassVar[str] = "M, ef_construction, ef"
    codes: ClassVar[str] = "float32"
    """What distances are computed of."""
    knob: ClassVar[str] = "ef"
    efforts: ClassVar[tuple[int, ...]] = EFS
    lists: ClassVar[bool] = True
    """Whether the effort is the length of a list, which must hold k."""
    floats_only: ClassVar[bool] = False
    """Whether it has nothing of its own where all elements are 8-bit numbers."""
    warm_rows: ClassVar[int] = 1000
    """Of the small index that is built before anything is measured."""

    def __init__(self, parameters: Parameters) -> None:
        self.p = parameters
        self.index: Any = None
        self.lib: Any = importlib.import_module(self.module)

    @classmethod
    def problem(cls) -> str | None:
        """Why it cannot be used here; None where it can."""
        try:
            importlib.import_module(cls.module)
            importlib.metadata.version(cls.package)
        except Exception as error:  # a library may fail to load in any way
            return f"{type(error).__name__}: {error}"
        return None

    @classmethod
    def sweep(cls, k: int) -> tuple[int, ...]:
        """The efforts of searches for k, ascending."""
        return tuple(sorted({max(k, e) for e in cls.efforts})) if cls.lists else cls.efforts

    def _input(self, vectors: Floats) -> Floats:
        """Rows of length 1 for cosine, for libraries that have it only as an inner product."""
        if self.p.metric == "l2sq":
            return vectors
        return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-30)

    @contextlib.contextmanager
    def _saved(self) -> Iterator[pathlib.Path]:
        """The index in a file, or a folder, that is gone after the block."""
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "index")
            self.save(path)
            yield path

    @abc.abstractmethod
    def build(self, vectors: Floats) -> None:
        """Index all vectors; labels are the numbers of the rows."""

    @abc.abstractmethod
    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        """Labels [q, k] of one call for all queries."""

    @abc.abstractmethod
    def save(self, path: pathlib.Path) -> None:
        """To a file, or a folder, of this name."""

    @abc.abstractmethod
    def load(self, path: pathlib.Path) -> None:
        """What :meth:`save` wrote, to be searched."""

    def unreachable(self) -> int | None:
        """Nodes no search can find; None where the library does not show its links."""
        return None

    @classmethod
    def facts(cls) -> dict[str, str]:
        """What a reader of the results must know of the library."""
        return {
            "package": cls.package,
            "version": importlib.metadata.version(cls.package),
            "mapping": cls.mapping,
            "codes": cls.codes,
            "knob": cls.knob,
            "about": " ".join(str(cls.__doc__).split()),
        }


class Concord(Library):
    """This repository's wheel, by adaptive beam search."""

    name, module, package = "concord", "concord", "concord-ann"
    device = "cpu"
    kind = "none"
    """Of its codes."""
    mapping = "M, ef_construction; ef 512, slack in thousandths"
    knob, efforts, lists = "slack in thousandths", SLACKS, False

    def build(self, vectors: Floats) -> None:
        p = self.p
        self.index = self.lib.Index(
            p.dim,
            p.metric,
            p.M,
            p.ef_construction,
            codes=self.kind,
            threads=p.threads,
            device=self.device,
        )
        self.index.add(vectors)

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        return self.index.search(queries, k, 512, slack=effort / 1000)[0]

    def save(self, path: pathlib.Path) -> None:
        self.index.save(path)

    def load(self, path: pathlib.Path) -> None:
        self.index = self.lib.load(path, threads=self.p.threads, device=self.device)

    def unreachable(self) -> int:
        return self.index.audit().unreachable


class ConcordGpu(Concord):
    """The same, built and searched by a CUDA device, by ef alone."""

    name, device = "concord (GPU)", "cuda"
    mapping, knob, efforts, lists = Library.mapping, Library.knob, Library.efforts, True

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        return self.index.search(queries, k, effort)[0]


class Hnswlib(Library):
    """From its source distribution, which pip compiles with -march=native."""

    name, module, package = "hnswlib", "hnswlib", "hnswlib"

    def _new(self) -> Any:
        space = {"l2sq": "l2", "cosine": "cosine"}[self.p.metric]
        return self.lib.Index(space, self.p.dim)

    def build(self, vectors: Floats) -> None:
        self.index = self._new()
        self.index.init_index(len(vectors), self.p.M, self.p.ef_construction)
        self.index.set_num_threads(self.p.threads)
        self.index.add_items(vectors, np.arange(len(vectors)))

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        self.index.set_ef(effort)
        return self.index.knn_query(queries, k, num_threads=self.p.threads)[0]

    def save(self, path: pathlib.Path) -> None:
        self.index.save_index(str(path))

    def load(self, path: pathlib.Path) -> None:
        self.index = self._new()
        self.index.load_index(str(path))
        self.index.set_num_threads(self.p.threads)

    def unreachable(self) -> int:
        (state,) = self.index.__getstate__()
        nodes = state["cur_element_count"]
        levels = state["element_levels"][:nodes]
        bottom = state["data_level0"].view(np.uint8)[: nodes * state["size_data_per_element"]]
        layers = [
            (
                np.arange(nodes),
                link_files.counted(bottom.reshape(nodes, -1)[:, : 4 + 4 * state["max_M0"]]),
            )
        ]
        starts = np.concatenate(
            [[0], np.cumsum(levels)]
        )  # a node's upper layers follow one another
        upper = link_files.counted(
            state["link_lists"].view(np.uint8).reshape(-1, 4 + 4 * state["max_M"])
        )
        for level in range(1, int(state["max_level"]) + 1):
            ids = np.flatnonzero(levels >= level)
            layers.insert(0, (ids, upper[starts[ids] + level - 1]))
        return graph.unreachable(layers, [state["enterpoint_node"]], nodes)


class Faiss(Library):
    """IndexHNSWFlat; cosine is the inner product of normalised vectors."""

    name, module, package = "faiss HNSWFlat", "faiss", "faiss-cpu"

    def _new(self) -> Any:
        return self.lib.IndexHNSWFlat(self.p.dim, self.p.M, self._metric())

    def _metric(self) -> int:
        faiss = self.lib
        return faiss.METRIC_L2 if self.p.metric == "l2sq" else faiss.METRIC_INNER_PRODUCT

    def _graph(self) -> Any:
        """What has the links."""
        return self.index

    def build(self, vectors: Floats) -> None:
        self.lib.omp_set_num_threads(self.p.threads)
        self.index = self._new()
        self._graph().hnsw.efConstruction = self.p.ef_construction
        vectors = self._input(vectors)
        if not self.index.is_trained:
            self.index.train(vectors)
        self.index.add(vectors)

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        self._graph().hnsw.efSearch = effort
        return self.index.search(self._input(queries), k)[1]

    def save(self, path: pathlib.Path) -> None:
        self.lib.write_index(self.index, str(path))

    def load(self, path: pathlib.Path) -> None:
        self.lib.omp_set_num_threads(self.p.threads)
        self.index = self.lib.read_index(str(path))

    def unreachable(self) -> int:
        hnsw, array = self._graph().hnsw, self.lib.vector_to_array
        levels, neighbors = array(hnsw.levels), array(hnsw.neighbors)
        offsets, ends = array(hnsw.offsets).astype(np.int64), array(hnsw.cum_nneighbor_per_level)
        layers = []
        for level in range(hnsw.max_level, -1, -1):
            ids = np.flatnonzero(levels > level)
            places = offsets[ids][:, None] + np.arange(ends[level], ends[level + 1])
            layers.append((ids, neighbors[places]))
        return graph.unreachable(layers, [hnsw.entry_point], self.index.ntotal)


class Usearch(Library):
    """float32, no half precision."""

    name, module, package = "usearch", "usearch.index", "usearch"
    kind = "f32"

    def _new(self) -> Any:
        p = self.p
        metric = {"l2sq": "l2sq", "cosine": "cos"}[p.metric]
        return self.lib.Index(
            ndim=p.dim,
            metric=metric,
            dtype=self.kind,
            connectivity=p.M,
            expansion_add=p.ef_construction,
        )

    def build(self, vectors: Floats) -> None:
        self.index = self._new()
        self.index.add(np.arange(len(vectors), dtype=np.uint64), vectors, threads=self.p.threads)

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        self.index.expansion_search = effort
        return self.index.search(queries, k, threads=self.p.threads).keys

    def save(self, path: pathlib.Path) -> None:
        self.index.save(str(path))

    def load(self, path: pathlib.Path) -> None:
        self.index = self._new()
        self.index.load(str(path))

    def unreachable(self) -> int:
        with self._saved() as path:
            return link_files.unreachable_of_usearch(path)


class Voyager(Library):
    """float32 storage."""

    name, module, package = "voyager", "voyager", "voyager"

    def build(self, vectors: Floats) -> None:
        p, lib = self.p, self.lib
        space = {"l2sq": lib.Space.Euclidean, "cosine": lib.Space.Cosine}[p.metric]
        self.index = lib.Index(space, p.dim, p.M, p.ef_construction, max_elements=len(vectors))
        self.index.add_items(vectors, num_threads=p.threads)

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        return self.index.query(queries, k, num_threads=self.p.threads, query_ef=effort)[0]

    def save(self, path: pathlib.Path) -> None:
        self.index.save(str(path))

    def load(self, path: pathlib.Path) -> None:
        self.index = self.lib.Index.load(str(path))

    def unreachable(self) -> int:
        with self._saved() as path:
            return link_files.unreachable_of_voyager(path)


class Vsag(Library):
    """HGraph over float32; its Python package searches for one query at a time."""

    name, module, package = "vsag HGraph", "pyvsag", "pyvsag"
    mapping = "max_degree = 2 M, ef_construction, ef_search; one call of Python a query"
    kinds: ClassVar[dict[str, Any]] = {"base_quantization_type": "fp32"}

    def _new(self) -> Any:
        p = self.p
        self.lib.set_logger_off()
        inner = {
            **self.kinds,
            "max_degree": 2 * p.M,
            "ef_construction": p.ef_construction,
            "build_thread_count": p.threads,
        }
        metric = {"l2sq": "l2", "cosine": "cosine"}[p.metric]
        outer = {"dtype": "float32", "metric_type": metric, "dim": p.dim, "index_param": inner}
        return self.lib.Index("hgraph", json.dumps(outer))

    def build(self, vectors: Floats) -> None:
        self.index = self._new()
        self.index.build(vectors.ravel(), np.arange(len(vectors)), len(vectors), self.p.dim)

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        setting = json.dumps({"hgraph": {"ef_search": effort}})
        found = np.full((len(queries), k), -1, np.int64)

        def answer(rows: npt.NDArray[np.int64]) -> None:
            for row in rows:
                labels = self.index.knn_search(queries[row], k, setting)[0]
                found[row, : len(labels)] = labels

        parts = np.array_split(np.arange(len(queries)), self.p.threads)
        with ThreadPoolExecutor(self.p.threads) as pool:
            list(pool.map(answer, parts))
        return found

    def save(self, path: pathlib.Path) -> None:
        self.index.save(str(path))

    def load(self, path: pathlib.Path) -> None:
        self.index = self._new()
        self.index.load(str(path))


class Svs(Library):
    """Vamana over float32."""

    name, module, package = "svs Vamana", "svs", "scalable-vs"
    mapping = "graph_max_degree = 2 M, window_size = ef_construction, alpha 1.2 or 0.95; search_window_size"

    def _distance(self) -> Any:
        distance = self.lib.DistanceType
        return {"l2sq": distance.L2, "cosine": distance.MIP}[self.p.metric]

    def _parameters(self) -> Any:
        return self.lib.VamanaBuildParameters(
            alpha=1.2 if self.p.metric == "l2sq" else 0.95,
            graph_max_degree=2 * self.p.M,
            window_size=self.p.ef_construction,
        )

    def build(self, vectors: Floats) -> None:
        self.index = self.lib.Vamana.build(
            self._parameters(), self._input(vectors), self._distance(), num_threads=self.p.threads
        )

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        self.index.search_window_size = effort
        return self.index.search(self._input(queries), k)[0]

    def save(self, path: pathlib.Path) -> None:
        path.mkdir()
        self.index.save(*(str(path / part) for part in ("config", "graph", "data")))

    def _saved_data(self, path: pathlib.Path) -> Any:
        return self.lib.VectorDataLoader(str(path), self.lib.DataType.float32)

    def load(self, path: pathlib.Path) -> None:
        lib = self.lib
        self.index = lib.Vamana(
            str(path / "config"),
            lib.GraphLoader(str(path / "graph")),
            self._saved_data(path / "data"),
            self._distance(),
            num_threads=self.p.threads,
        )

    def unreachable(self) -> int:
        """Of the saved graph: after 1,024 bytes, for each node a count and so many places."""
        with self._saved() as path:
            rows = np.fromfile(path / "graph" / "graph_0.svs", np.uint32, offset=1024)
            entry = re.search(
                r"entry_point = (\d+)", (path / "config" / "svs_config.toml").read_text()
            )
        rows = rows.reshape(self.index.size, -1).astype(np.int64)
        neighbors = np.where(np.arange(1, rows.shape[1]) <= rows[:, :1], rows[:, 1:], -1)
        starts = [int(entry[1])] if entry else []
        return graph.unreachable([(np.arange(len(rows)), neighbors)], starts, len(rows))


class Deglib(Library):
    """DEG; cosine is the inner product of normalised vectors. Loaded for reading only, as for serving."""

    name, module, package = "deglib DEG", "deglib", "deglib"
    mapping = "edges_per_vertex = 2 M, extend_k and extend_eps as by default (4 M, 0.1), eps in thousandths"
    knob, efforts, lists = "eps in thousandths", EPSILONS, False

    def build(self, vectors: Floats) -> None:
        metric = self.lib.Metric
        self.index = self.lib.build_from_data(
            self._input(vectors),
            edges_per_vertex=2 * self.p.M,
            metric=metric.FP32_L2 if self.p.metric == "l2sq" else metric.FP32_InnerProduct,
            thread_count=self.p.threads,
        )

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        return self.index.search(
            self._input(queries), effort / 1000, k, threads=self.p.threads, return_distances=False
        )

    def save(self, path: pathlib.Path) -> None:
        self.index.save_graph(path)

    def load(self, path: pathlib.Path) -> None:
        self.index = self.lib.load_readonly_graph(path)

    def unreachable(self) -> int:
        nodes = self.index.size()
        neighbors = np.array([self.index.get_neighbors(node) for node in range(nodes)])
        entry = self.index.get_entry_vertex_indices()
        return graph.unreachable([(np.arange(nodes), neighbors)], entry, nodes)


class Pynndescent(Library):
    """NNDescent with its search graph prepared; compiled by numba before anything is timed."""

    name, module, package = "pynndescent", "pynndescent", "pynndescent"
    mapping = "n_neighbors = 2 M, the rest as by default; epsilon in thousandths"
    warm_rows = 5000  # for fewer it leaves some of its functions uncompiled
    knob, efforts, lists = "epsilon in thousandths", EPSILONS, False

    def build(self, vectors: Floats) -> None:
        metric = {"l2sq": "euclidean", "cosine": "cosine"}[self.p.metric]
        importlib.import_module("numba").set_num_threads(self.p.threads)
        self.index = self.lib.NNDescent(
            vectors,
            metric,
            n_neighbors=2 * self.p.M,
            n_jobs=self.p.threads,
            parallel_batch_queries=self.p.threads > 1,
        )
        self.index.prepare()

    def search(self, queries: Floats, k: int, effort: int) -> npt.NDArray[Any]:
        return self.index.query(queries, k, epsilon=effort / 1000)[0]

    def save(self, path: pathlib.Path) -> None:
        path.write_bytes(pickle.dumps(self.index))

    def load(self, path: pathlib.Path) -> None:
        importlib.import_module("numba").set_num_threads(self.p.threads)
        self.index = pickle.loads(path.read_bytes())


LIBRARIES: tuple[type[Library], ...] = (
    Concord,
    Hnswlib,
    Faiss,
    Usearch,
    Voyager,
    Vsag,
    Svs,
    Deglib,
    Pynndescent,
)
