"""The libraries that can replace vectors, each as its own documentation says to do it.

FAISS's IndexHNSW has no removal. VSAG, SVS, Voyager and PyNNDescent are not here: nobody has written how.
"""

from __future__ import annotations

import abc
from typing import Any

import numpy as np

from .libraries import Concord, Deglib, Floats, Hnswlib, Labels, Library, Usearch


class Living(Library, abc.ABC):
    """An index from which vectors go and to which others come."""

    @abc.abstractmethod
    def build(self, vectors: Floats) -> None:
        """Index all vectors; labels are the numbers of the rows. As many may be there at a time."""

    @abc.abstractmethod
    def replace(self, old: Labels, vectors: Floats, new: Labels) -> None:
        """Remove the labels ``old``, then add ``vectors`` with the labels ``new``, as many."""


class LivingConcord(Concord, Living):
    """remove, then add; searched by ef alone, as the others are."""

    knob, efforts = Library.knob, (40, 80)

    def search(self, queries: Floats, k: int, effort: int) -> Any:
        return self.index.search(queries, k, effort)[0]

    def replace(self, old: Labels, vectors: Floats, new: Labels) -> None:
        self.index.remove(old)
        self.index.add(vectors, labels=new)


class LivingHnswlib(Hnswlib, Living):
    """mark_deleted, then add_items that takes deleted places (allow_replace_deleted)."""

    efforts = (40, 80)

    def build(self, vectors: Floats) -> None:
        self.index = self._new()
        self.index.init_index(
            len(vectors), self.p.M, self.p.ef_construction, allow_replace_deleted=True
        )
        self.index.set_num_threads(self.p.threads)
        self.index.add_items(vectors, np.arange(len(vectors)))

    def replace(self, old: Labels, vectors: Floats, new: Labels) -> None:
        for label in old.tolist():
            self.index.mark_deleted(label)
        self.index.add_items(vectors, new, replace_deleted=True)


class LivingUsearch(Usearch, Living):
    """remove, then add, which takes the places of the removed."""

    efforts = (40, 80)

    def replace(self, old: Labels, vectors: Floats, new: Labels) -> None:
        self.index.remove(old.astype(np.uint64))
        self.index.add(new.astype(np.uint64), vectors, threads=self.p.threads)


class LivingDeglib(Deglib, Living):
    """A GraphBuilder for StreamingData: remove_entry, then add_entry, each followed by build."""

    efforts = (100, 200)
    mapping = "edges_per_vertex = 2 M, extend_k 4 M, extend_eps 0.1, eps in thousandths"

    def build(self, vectors: Floats) -> None:
        lib, metric = self.lib, self.lib.Metric
        space = lib.FloatSpace.create(
            self.p.dim, metric.FP32_L2 if self.p.metric == "l2sq" else metric.FP32_InnerProduct
        )
        self.index = lib.create_empty(len(vectors) + 64, space, 2 * self.p.M)
        self.builder = lib.GraphBuilder(
            self.index,
            optimization_target=lib.builder.OptimizationTarget.StreamingData,
            extend_k=4 * self.p.M,
            extend_eps=0.1,
        )
        self.builder.set_thread_count(self.p.threads)
        self._add(vectors, np.arange(len(vectors)))

    def replace(self, old: Labels, vectors: Floats, new: Labels) -> None:
        for label in old.tolist():
            self.builder.remove_entry(label)
        self.builder.build()
        self._add(vectors, new)

    def unreachable(self) -> None:  # type: ignore[override]
        """Not asked for: get_neighbors ended the process after entries were added one by one (0.2.6)."""

    def _add(self, vectors: Floats, labels: Labels) -> None:
        rows = np.ascontiguousarray(self._input(vectors))  # until build() has read them
        for label, row in zip(labels.tolist(), rows, strict=True):
            self.builder.add_entry(label, row)
        self.builder.build()


LIVING: dict[str, type[Living]] = {
    x.name: x for x in (LivingConcord, LivingHnswlib, LivingUsearch, LivingDeglib)
}
CANNOT = {"faiss HNSWFlat": "IndexHNSW has no removal", "faiss HNSWSQ8": "IndexHNSW has no removal"}
