"""Inner product of vectors whose elements are all positive: recall beside FAISS, and the reason.

    python bench/micro/positive_inner_product.py      needs numpy, faiss-cpu and concord; about a minute

A few vectors of the largest norms answer nearly every query. The table tells how many neighbor lists of
layer 0 hold one of the 32 commonest answers, and the largest number of lists that hold the same vector.
`augmented` is l2sq over vectors with one more element, which makes all norms equal (Bachrach and others,
RecSys 2014).
"""

import pathlib
import tempfile

import concord
import faiss
import numpy as np

N, QUERIES, DIM, M, EF_CONSTRUCTION, K = 8000, 200, 64, 16, 100, 10
EFS = (32, 64, 128, 256, 512)


def recall(found, true):
    return np.mean([len(set(a) & set(b)) / K for a, b in zip(found, true, strict=True)])


def lists_of_layer_0(index):
    neighbors = faiss.vector_to_array(index.hnsw.neighbors)
    offsets = faiss.vector_to_array(index.hnsw.offsets)
    lists = [neighbors[offsets[i] : offsets[i] + index.hnsw.nb_neighbors(0)] for i in range(N)]
    return [each[each >= 0] for each in lists]


def as_faiss(index):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "index.faiss"
        concord.save_faiss(index, path)
        return faiss.read_index(str(path))


def report(name, search, graph, true):
    row = "  ".join(f"{ef}: {recall(search(ef), true):.3f}" for ef in EFS)
    reach = ""
    if graph is not None:
        lists = lists_of_layer_0(graph)
        common = set(np.argsort(-np.bincount(true.ravel(), minlength=N))[:32])
        with_one = np.mean([bool(common & set(each)) for each in lists])
        most = np.bincount(np.concatenate(lists), minlength=N).max()
        reach = f"   lists with a common answer {with_one:.3f}, most lists of one vector {most}"
    print(f"  {name:10} {row}{reach}")


def measure(name, vectors):
    base, queries = vectors[:N], vectors[N:]
    true = np.argsort(-(queries @ base.T), axis=1, kind="stable")[:, :K]
    print(f"{name}: {len(np.unique(true))} vectors answer {QUERIES} queries; recall@{K} by ef")
    index = concord.Index(DIM, "inner_product", M=M, ef_construction=EF_CONSTRUCTION)
    index.add(base)
    owner = as_faiss(index)
    graph = faiss.downcast_index(getattr(owner, "index", owner))
    report("concord", lambda ef: index.search(queries, k=K, ef=ef)[0].astype(int), graph, true)
    peer = faiss.IndexHNSWFlat(DIM, M, faiss.METRIC_INNER_PRODUCT)
    peer.hnsw.efConstruction = EF_CONSTRUCTION
    peer.add(base)

    def search_peer(ef):
        peer.hnsw.efSearch = ef
        return peer.search(queries, K)[1]

    report("faiss", search_peer, peer, true)
    norms = (base**2).sum(axis=1)
    more = np.sqrt(np.maximum(norms.max() - norms, 0)).astype(np.float32)
    augmented = concord.Index(DIM + 1, "l2sq", M=M, ef_construction=EF_CONSTRUCTION)
    augmented.add(np.column_stack([base, more]))
    wider = np.column_stack([queries, np.zeros(QUERIES, np.float32)])
    report("augmented", lambda ef: augmented.search(wider, k=K, ef=ef)[0].astype(int), None, true)


def main():
    random = np.random.default_rng(7)
    signed = random.normal(size=(N + QUERIES, DIM)).astype(np.float32)
    positive = np.abs(signed)
    spread = np.exp(random.normal(size=(N + QUERIES, 1)) / 2).astype(np.float32)
    measure("signed", signed)
    measure("positive", positive)
    measure("positive, norms lognormal", positive * spread)
    measure("positive, norms 1", positive / np.linalg.norm(positive, axis=1, keepdims=True))


if __name__ == "__main__":
    main()
