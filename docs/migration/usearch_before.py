"""A program with USearch; ``usearch_after.py`` is the same with Concord."""

from data import ids, queries, vectors

# [make]
from usearch.index import Index

index = Index(
    ndim=64,
    metric="cos",
    dtype="f32",
    connectivity=16,
    expansion_add=200,
    expansion_search=100,
)
# [add]
index.add(ids, vectors)
# [search]
matches = index.search(queries, 10)
labels, distances = (
    matches.keys,
    matches.distances,
)
# [exact]
exact = index.search(queries, 10, exact=True)
# [threads]
index.search(queries, 10, threads=1)
# [look]
count = len(index)
known = 107 in index
vector = index[107]
# [save]
index.save("index.usearch")

loaded = Index.restore("index.usearch")
