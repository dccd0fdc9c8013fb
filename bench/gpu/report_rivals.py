#!/usr/bin/env python3
"""Exact nearest neighbors by Concord and by what this python3 has: torch, CuPy, cuVS (report.py rivals).

    report_rivals.py DEVICE [VECTORS QUERIES]    prints one JSON object a line

Vectors and queries of the rivals are in device memory, and their results stay there; Concord takes and gives
host memory. The last row is no brute force: an index searched for the neighbors of all its vectors.
"""

import json
import statistics
import sys
import time

import numpy as np

DIM, K, ROUNDS = 128, 10, 3


def tell(**row):
    print(json.dumps(row), flush=True)


def timed(action):
    """(median seconds of ROUNDS after one that warms up, the last result)."""
    action()
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        result = action()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds), result


def agreement(expected, found):
    """The share of neighbors that are Concord's, whatever the order of equal distances."""
    return float(np.mean([len(np.intersect1d(a, b)) for a, b in zip(expected, found)])) / K


def with_torch(vectors, queries):
    import torch

    base, asked = torch.from_numpy(vectors).cuda(), torch.from_numpy(queries).cuda()
    torch.backends.cuda.matmul.allow_tf32 = False
    norms = (base * base).sum(1)

    def action():
        found = [(norms - 2 * part @ base.T).topk(K, largest=False).indices for part in asked.split(2048)]
        result = torch.cat(found)
        torch.cuda.synchronize()
        return result

    return torch.__version__, *timed(action), lambda result: result.cpu().numpy()


def with_cupy(vectors, queries):
    import cupy

    base, asked = cupy.asarray(vectors), cupy.asarray(queries)
    norms = (base * base).sum(1)

    def action():
        found = []
        for first in range(0, len(asked), 2048):
            near = norms - 2 * asked[first:first + 2048] @ base.T
            found.append(cupy.argpartition(near, K, axis=1)[:, :K])
        result = cupy.concatenate(found)
        cupy.cuda.Device().synchronize()
        return result

    return cupy.__version__, *timed(action), lambda result: result.get()


def with_cuvs(vectors, queries):
    import cupy
    import cuvs
    from cuvs.neighbors import brute_force

    base, asked = cupy.asarray(vectors), cupy.asarray(queries)
    index = brute_force.build(base, metric="sqeuclidean")

    def action():
        _, found = brute_force.search(index, asked, K)
        cupy.cuda.Device().synchronize()
        return found

    return cuvs.__version__, *timed(action), lambda result: cupy.asarray(result).get()


RIVALS = {"torch": with_torch, "CuPy": with_cupy, "cuVS": with_cuvs}


def main():
    device = sys.argv[1]
    count, asked = (int(text) for text in (sys.argv[2:] or ("300000", "10000")))
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(256, DIM))
    vectors = (centres[rng.integers(0, 256, count)] + rng.normal(scale=0.5, size=(count, DIM)))
    vectors = vectors.astype("f4")
    queries = vectors[rng.permutation(count)[:asked]] + np.float32(0.01)

    import concord

    index = concord.Index(DIM, M=16, ef_construction=128, device=device)
    index.add(vectors)
    seconds, (expected, _) = timed(lambda: index.exact_search(queries, k=K))
    tell(name="concord exact_search", version=concord.__version__, queries=asked, vectors=count,
         qps=asked / seconds, device=index.stats().device.name)
    for name, rival in RIVALS.items():
        try:
            version, seconds, result, to_host = rival(vectors, queries)
        except Exception as error:  # not installed, or no memory: the others go on
            tell(name=name, why_not=f"{type(error).__name__}: {error}"[:200])
            continue
        tell(name=name, version=version, queries=asked, vectors=count, qps=asked / seconds,
             agreement=agreement(expected, to_host(result)))
    seconds, _ = timed(lambda: index.search(vectors, k=K, ef=64))
    tell(name="concord search of all its vectors, ef 64", version=concord.__version__, queries=count,
         vectors=count, qps=count / seconds, device=index.stats().device.name)


if __name__ == "__main__":
    main()
