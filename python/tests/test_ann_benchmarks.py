"""The ann-benchmarks adapter, imported, configured and called as ann-benchmarks does it."""

from __future__ import annotations

import importlib.util
import pathlib
from typing import Any

import numpy as np
import pytest
from conftest import make_vectors

import concord

RUN = pathlib.Path(__file__).parents[2] / "bench" / "adapters" / "ann_benchmarks" / "run.py"


def load_runner() -> Any:
    spec = importlib.util.spec_from_file_location("ann_benchmarks_run", RUN)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("metric", ["euclidean", "angular"])
@pytest.mark.parametrize("batch", [False, True])
def test_every_run_of_a_group(metric: str, batch: bool) -> None:
    runner = load_runner()
    train, test = make_vectors(600), make_vectors(40, seed=2)
    scanned = concord.Index(16, "cosine" if metric == "angular" else "l2sq")
    scanned.add(train)
    true = scanned.exact_search(test, k=20)[1]
    data = runner.Data(train, test, np.sqrt(true) if metric == "euclidean" else true, metric)
    results = list(runner.run(data, "M-8", 10, batch, 1))
    assert len(results) == len({result.name for result in results}) == 9
    assert all(0.8 < result.recall <= 1 for result in results)
    assert results[-1].recall > 0.999 and results[-1].recall >= results[0].recall
    wrong = data._replace(distances=data.distances * 0)
    assert next(runner.run(wrong, "M-8", 10, batch, 1)).recall == 0


def test_other_metrics_are_refused() -> None:
    adapter = load_runner().import_adapter("ann_benchmarks.algorithms.concord")
    with pytest.raises(NotImplementedError, match="jaccard"):
        adapter.Concord("jaccard", {"M": 16, "efConstruction": 100})
