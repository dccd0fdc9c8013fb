"""The index as its drivers see it: named actors, one a shard, and the rules of the whole.

Nothing of an index is kept here, so any number of drivers may have it open. Thread-safety: any thread may
search; one thread of one driver changes the index at a time.
"""

from __future__ import annotations

import glob
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import ray  # type: ignore[import-not-found,unused-ignore]

from concord import _concord
from concord._labels import labels_of
from concord._limits import expect_names
from concord.errors import (
    DuplicateLabelError,
    InvalidParameterError,
    UnsupportedError,
)
from concord.index import (
    Codes,
    Durability,
    Labels,
    Metric,
    Path,
    Progress,
    Storage,
    Vectors,
)
from concord.ray import _addition, _calls, _data, _filter, _removal
from concord.ray._actors import actor_of, has_actor, manifest_of
from concord.ray._layout import Layout, expect_distinct
from concord.ray._search import Searched
from concord.ray._shard import Kind, ShardStatus
from concord.ray._writer import Writer


class ShardedIndex(Searched):
    """A :class:`concord.ShardedIndex` whose shards are open in actors of Ray.

    Make one by :meth:`open`. Answers and digests are those of the same changes of a
    :class:`concord.ShardedIndex` in one process, to the last bit.
    """

    def __init__(
        self,
        folder: str,
        manifest: dict[str, Any],
        actors: Sequence[Any],
        namespace: str,
        timeout_s: float,
    ) -> None:
        self._folder = folder
        self._namespace = namespace
        self._parameters = {
            name: value for name, value in manifest.items() if name not in ("generation", "bytes")
        }
        self._layout = Layout(manifest["shards"], manifest["block"])
        self._actors = list(actors)
        self._timeout_s = timeout_s

    @classmethod
    def open(
        cls,
        folder: Path,
        dim: int | None = None,
        metric: Metric = "l2sq",
        M: int = 16,
        ef_construction: int = 200,
        *,
        shards: int = 1,
        block: int = 1,
        seed: int = 42,
        epoch_limit: int = 1024,
        codes: Codes = "none",
        storage: Storage = "automatic",
        durability: Durability = "synced",
        threads: int = 1,
        num_gpus: float = 0,
        memory: int | None = None,
        namespace: str = "concord",
        timeout_s: float = 60,
        takeover_s: float = 10,
    ) -> ShardedIndex:
        """Open the index in a folder that every node can reach, starting the actors that are not there yet.

        Actors are named after folder and shard, and detached: they live on when the driver ends, and
        another driver that opens the folder gets the same, with the options that they were started with.
        :meth:`shutdown` ends them.

        Args:
            folder: as for :meth:`concord.ShardedIndex.open`.
            dim: as there. Without it the folder must have a manifest, which has all parameters.
            metric: as there.
            M: as there.
            ef_construction: as there.
            shards: as there.
            block: as there.
            seed: as there.
            epoch_limit: as there.
            codes: as there.
            storage: as there.
            durability: as there.
            threads: of each shard. Ray reserves as many CPUs for its actor.
            num_gpus: GPUs of each shard, or a share of one. Without any it works on the CPU.
            memory: bytes that Ray reserves for each shard; by default the length of its files.
            namespace: Ray's namespace of the actors.
            timeout_s: how long a call waits for a shard that does not answer.
            takeover_s: how long an actor that was started again waits for its former self to give the files
                back, before it takes them.
        """
        expect_names(metric=metric, codes=codes, storage=storage, durability=durability)
        path = os.path.realpath(os.fsdecode(folder))
        wanted = {
            "dim": dim,
            "metric": metric,
            "M": M,
            "ef_construction": ef_construction,
            "seed": seed,
            "epoch_limit": epoch_limit,
            "codes": codes,
            "storage": storage,
            "shards": shards,
            "block": block,
        }
        manifest, is_new = manifest_of(path, wanted)
        files = glob.glob(os.path.join(glob.escape(path), "shard-[0-9]*.concord"))
        if is_new and len(files) > shards:
            raise InvalidParameterError(f"{path!r} has files of more than {shards} shards")
        parameters = {
            **{name: manifest[name] for name in wanted if name not in ("shards", "block")},
            "durability": durability,
            "threads": threads,
        }
        options = {"num_cpus": threads, "num_gpus": num_gpus, "memory": memory}
        new = [s for s in range(manifest["shards"]) if not has_actor(path, s, namespace)]
        actors = [
            actor_of(path, shard, namespace, options, parameters, takeover_s)
            for shard in range(manifest["shards"])
        ]
        index = cls(path, manifest, actors, namespace, timeout_s)
        try:
            index._expect_opened()
            if is_new:
                index._adopt()
        except Exception:
            index._end(new)  # none is left that nobody has a handle of
            raise
        return index

    def _expect_opened(self) -> None:
        """Raise why a shard cannot be opened; its actor then ends, so that it can be tried again."""
        for shard, actor in enumerate(self._actors):
            try:
                _calls.patient_result(actor, shard, _calls.call(actor, "ready"), self._timeout_s)
            except _calls.ShardUnavailableError:
                raise
            except Exception:
                self._end([shard])
                raise
        if any(counts.removals for counts in self._all("counts")):
            try:
                self._expect_distinct_labels()
            except DuplicateLabelError as error:
                raise UnsupportedError(
                    f"{error}: an update was interrupted, which concord.ShardedIndex.open mends"
                ) from None

    def _expect_distinct_labels(self) -> None:
        labels = np.concatenate(self._all("labels"))
        expect_distinct(labels, f"is in two shards of {self._folder!r}")

    def _adopt(self) -> None:
        """Write the first manifest, of no files or of those that were built elsewhere."""
        self._expect_distinct_labels()
        self._write_manifest([])

    def _write_manifest(self, next_digests: Sequence[str]) -> None:
        _concord.write_shard_manifest(
            os.fsencode(self._folder), **self._parameters, next=next_digests
        )

    # ------------------------------------------------------------------------------------- changes

    def add(
        self,
        vectors: Vectors | Any,
        labels: Labels | str | None = None,
        *,
        column: str = "vector",
        batch_size: int = 8192,
        progress: Progress = None,
    ) -> int:
        """Insert vectors in order. Whatever dies meanwhile, each is there once when this returns.

        An array is taken wholly or not at all, as by :meth:`concord.Index.add`. A
        ``ray.data.Dataset`` is taken batch by batch, each wholly or not at all, in the dataset's order:
        ``preserve_order`` is set while it is read.

        If the driver dies, or this raises an error of a shard, shards may be ahead of others. Open the index
        again. While no vector was ever removed or replaced, add the same vectors again from
        :attr:`resume_at` on. After that nothing is skipped: repeat the call as :meth:`upsert` of the same
        vectors and labels. Without labels, remove those that came of it, and add again.

        Args:
            vectors: ``[n, dim]``, or a ``ray.data.Dataset``.
            labels: one for each vector, or the dataset's column of them. Without them, positions.
            column: the dataset's column of vectors.
            batch_size: vectors of a batch. Each shard has its part of at most two batches on its way.
            progress: as for :meth:`concord.Index.add`; of a dataset, whose length nobody knows, called
                with 0 as the total.

        Returns:
            How many vectors were inserted.
        """
        if _data.is_dataset(vectors):
            if not (labels is None or isinstance(labels, str)):
                raise TypeError("labels of a Dataset are the name of its column")
            batches = _data.batches(vectors, column, labels, batch_size, self._parameters["dim"])
            return self._add("add", batches, 0, batch_size, progress)
        if isinstance(labels, str):
            raise TypeError("labels of an array are numbers; only a Dataset has columns")
        rows = self._rows(vectors, "vectors")
        return self._add("add", iter([(rows, labels)]), len(rows), batch_size, progress)

    def update(
        self,
        vectors: Vectors,
        labels: Labels,
        *,
        batch_size: int = 8192,
        progress: Progress = None,
    ) -> int:
        """Replace the vectors of these labels, as :meth:`concord.Index.update` does.

        What can be refused is refused before any shard changes. Whatever shard dies meanwhile, each vector is
        replaced once when this returns, and the digest is that of an undisturbed process. If the driver dies,
        or this raises an error of a shard, each label has its old vector or its new one. Then repeat the call
        as :meth:`upsert`.

        Args:
            vectors: ``[n, dim]``.
            labels: one for each.
            batch_size: as for :meth:`add`.
            progress: as for :meth:`add`.

        Returns:
            How many vectors were replaced.
        """
        rows = self._rows(vectors, "vectors")
        return self._add("update", iter([(rows, labels)]), len(rows), batch_size, progress)

    def upsert(
        self,
        vectors: Vectors,
        labels: Labels,
        *,
        batch_size: int = 8192,
        progress: Progress = None,
    ) -> int:
        """As :meth:`update`, but a label without a vector is added."""
        rows = self._rows(vectors, "vectors")
        return self._add("upsert", iter([(rows, labels)]), len(rows), batch_size, progress)

    def _add(
        self,
        kind: Kind,
        calls: Iterator[_addition.Call],
        total: int,
        batch_size: int,
        progress: Progress,
    ) -> int:
        addition = _addition.Addition(self._writer("add"), self._layout, self._parameters, kind)
        return addition.run(calls, total, batch_size, progress)

    def _writer(self, member: str) -> Writer:
        """Whoever begins to change the index: what began before is refused from then on."""
        return Writer(self._actors, uuid.uuid4().hex, self._timeout_s, member)

    def remove(self, labels: Labels, *, batch_size: int = 8192) -> int:
        """Remove the vectors of these labels, as :meth:`concord.Index.remove` does.

        A label without a vector raises :exc:`UnknownLabelError`, and one that stands twice
        :exc:`DuplicateLabelError`, before any shard changes. Whatever shard dies meanwhile, all are removed
        once when this returns. If the driver dies, or this raises an error of a shard, some are removed. Then
        remove those that are left, in the same order. The digest is that of an undisturbed process.

        Args:
            labels: ``[n]`` integers that have a vector each.
            batch_size: labels of a batch, of which at most two are on their way.

        Returns:
            How many there were, which is all of them.
        """
        return _removal.remove(self._writer("remove"), labels_of(labels, None), batch_size)

    def __delitem__(self, label: Labels) -> None:
        """Remove the vector of a label, or of several; see :meth:`remove`."""
        self.remove(label)

    def flush(self) -> None:
        """As :meth:`concord.Index.flush`. If this raises, call it again."""
        writer = self._writer("flush")
        writer.lead()
        writer.all_own()

    def compact(self) -> None:
        """As :meth:`concord.Index.compact`: the manifest names old and new files while they change."""
        writer = self._writer("compact")
        writer.lead()
        self._write_manifest(self._all("digest"))
        writer.all_own()
        self._write_manifest([])

    # ------------------------------------------------------------------------------------- reading

    def __len__(self) -> int:
        """The number of vectors."""
        return sum(status.size for status in _calls.all_answers(self._statuses(), self._timeout_s))

    def labels(self) -> npt.NDArray[np.int64 | np.uint64]:
        """As :meth:`concord.Index.labels`: all labels by position, which come to the driver."""
        return _filter.Everything(self._folder, self._layout, self._all).labels()

    def _statuses(self) -> list[Any]:
        return [_calls.call(actor, "status") for actor in self._actors]

    @property
    def shards(self) -> int:
        """Number of shards."""
        return self._layout.shards

    @property
    def resume_at(self) -> int:
        """As :attr:`concord.ShardedIndex.resume_at`.

        No addition that began before, of any driver, changes anything from then on.

        Once a vector was removed or replaced no number says where an addition stopped, and this raises
        :exc:`UnsupportedError`. Then repeat the addition as :meth:`upsert` of the same vectors and labels.
        """
        counts = self._writer("add").lead()
        if any(one.removals for one in counts):
            raise UnsupportedError(
                "vectors were removed or replaced, so no position says where an addition stopped. Repeat it "
                "as an upsert of the same labels. If it had none, remove what labels() has beyond those of "
                "before, and add again"
            )
        return self._layout.resume_at([one.insertions for one in counts])

    def status(self, *, digests: bool = False, timeout_s: float | None = None) -> list[ShardStatus]:
        """Where each shard is and what it holds. One that does not answer has its number alone."""
        wait_s = self._timeout_s if timeout_s is None else timeout_s
        there, _ = _calls.answers(self._statuses(), wait_s)
        found = dict(there)
        if digests:
            for shard in found:
                ref = _calls.call(self._actors[shard], "digest")
                digest = _calls.patient_result(self._actors[shard], shard, ref, wait_s)
                found[shard] = found[shard]._replace(digest=digest)
        return [found.get(shard, ShardStatus(shard)) for shard in range(self.shards)]

    def digest(self) -> str:
        """As :meth:`concord.Index.digest`."""
        return _concord.digest_of_shards(*self._layout, self._all("digest"))

    def shutdown(self) -> None:
        """Close all shards and end their actors, for every driver. The folder can be opened again."""
        self._end(range(self.shards), self._timeout_s)

    def _end(self, shards: Iterable[int], patience_s: float = 5) -> None:
        """Close shards, as far as they answer in that time, and end their actors until their names are free."""
        shards = list(shards)
        refs = [_calls.call(self._actors[shard], "close") for shard in shards]
        ray.wait(refs, num_returns=len(refs), timeout=patience_s)
        end = time.monotonic() + self._timeout_s
        for shard in shards:
            ray.kill(self._actors[shard])
        for shard in shards:
            while has_actor(self._folder, shard, self._namespace):
                if time.monotonic() > end:
                    raise _calls.unavailable([shard], self._timeout_s)
                time.sleep(0.02)

    def __repr__(self) -> str:
        """Name the class, the folder and the number of shards."""
        return f"<concord.ray.ShardedIndex of {self._folder!r}, {self.shards} shards>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Handles of the actors: no vector is in it."""
        return type(self), (
            self._folder,
            self._parameters,
            self._actors,
            self._namespace,
            self._timeout_s,
        )
