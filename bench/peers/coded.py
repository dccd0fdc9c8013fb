"""The libraries of ``libraries.py`` with shorter vectors: codes, half precision, exact distances at the end.

Each has the parameters of the class it comes from, and of its own what its documentation recommends. The
``mapping`` of a class names them.
"""

from __future__ import annotations

import pathlib
import tempfile
from typing import Any, ClassVar

from .libraries import Concord, Faiss, Floats, Library, Svs, Usearch, Vsag

RESCORED = "; float32 decides at the end"


class ConcordSq8(Concord):
    """Concord with ``codes="sq8"``, which rescores max(2k, k + 10) of what a search found."""

    name, kind = "concord sq8", "sq8"
    codes = "8-bit codes of each vector" + RESCORED
    floats_only = True


class FaissSq(Faiss):
    """IndexHNSWSQ with 8 bits an element."""

    name = "faiss HNSWSQ8"
    codes = "8-bit codes of floats (lossy)"

    def _new(self) -> Any:
        kind = self.lib.ScalarQuantizer.QT_8bit
        return self.lib.IndexHNSWSQ(self.p.dim, kind, self.p.M, self._metric())


class FaissRefined(FaissSq):
    """IndexRefineFlat over IndexHNSWSQ with 8 bits an element."""

    name = "faiss HNSWSQ8 refined"
    mapping = "M, ef_construction, ef; k_factor 1.5"
    codes = "8-bit codes of each dimension" + RESCORED

    def _new(self) -> Any:
        refined = self.lib.IndexRefineFlat(super()._new())
        refined.k_factor = 1.5
        return refined

    def _graph(self) -> Any:
        return self.lib.downcast_index(self.index.base_index)


class UsearchF16(Usearch):
    """Half precision."""

    name, kind, codes = "usearch f16", "f16", "float16"


class UsearchI8(Usearch):
    """8-bit integers of elements from -1 to 1, without exact distances."""

    name, kind, codes = "usearch i8", "i8", "8-bit integers (lossy)"


class VsagSq8(Vsag):
    """HGraph by 8-bit codes of one range; its Python package searches for one query at a time."""

    name = "vsag HGraph SQ8"
    mapping = Vsag.mapping + "; sq8_uniform, use_reorder"
    codes = "8-bit codes of one range" + RESCORED
    kinds: ClassVar[dict[str, Any]] = {
        "base_quantization_type": "sq8_uniform",
        "use_reorder": True,
        "precise_quantization_type": "fp32",
    }


class VsagRabitq(Vsag):
    """HGraph by RaBitQ, a bit an element; its Python package searches for one query at a time."""

    name = "vsag HGraph RaBitQ"
    mapping = Vsag.mapping + "; rabitq, use_reorder"
    codes = "codes of 1 bit" + RESCORED
    kinds: ClassVar[dict[str, Any]] = {**VsagSq8.kinds, "base_quantization_type": "rabitq"}


class SvsLvq(Svs):
    """Vamana by LVQ in two levels, 4 bits and 8 bits of what they leave."""

    name = "svs Vamana LVQ"
    mapping = Svs.mapping + "; LVQ4x8, Turbo, padding 32"
    codes = "4 bits to walk, 12 bits at the end (lossy)"

    def _loader(self, data: Any) -> Any:
        turbo = self.lib.LVQStrategy.Turbo
        return self.lib.LVQLoader(data, primary=4, residual=8, strategy=turbo, padding=32)

    def build(self, vectors: Floats) -> None:
        with tempfile.TemporaryDirectory() as folder:
            file = str(pathlib.Path(folder, "vectors.fvecs"))
            self.lib.write_vecs(self._input(vectors), file)
            kind = self.lib.DataType.float32
            data = self._loader(self.lib.VectorDataLoader(file, kind, dims=self.p.dim))
            self.index = self.lib.Vamana.build(
                self._parameters(), data, self._distance(), num_threads=self.p.threads
            )

    def _saved_data(self, path: pathlib.Path) -> Any:
        return self.lib.LVQLoader(str(path), strategy=self.lib.LVQStrategy.Turbo, padding=32)


class SvsLeanVec(SvsLvq):
    """Vamana by LeanVec: half the dimensions with 8 bits, all of them with 16 at the end."""

    name = "svs Vamana LeanVec"
    mapping = Svs.mapping + "; half the dimensions, LVQ8 and float16"
    codes = "8 bits of half the dimensions, float16 at the end"

    def _loader(self, data: Any) -> Any:
        kinds = self.lib.LeanVecKind
        return self.lib.LeanVecLoader(
            data,
            max(1, self.p.dim // 2),
            primary_kind=kinds.lvq8,
            secondary_kind=kinds.float16,
        )

    def _saved_data(self, path: pathlib.Path) -> Any:
        return self.lib.LeanVecLoader(str(path))


LIBRARIES: tuple[type[Library], ...] = (
    ConcordSq8,
    FaissSq,
    FaissRefined,
    UsearchF16,
    UsearchI8,
    VsagSq8,
    VsagRabitq,
    SvsLvq,
    SvsLeanVec,
)
