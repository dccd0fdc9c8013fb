"""A program with Concord that was ``usearch_before.py``."""

from data import ids, queries, vectors

# [make]
import concord

index = concord.Index(
    dim=64,
    metric="cosine",
    M=16,
    ef_construction=200,
)
# [add]
index.add(vectors, ids)
# [search]
labels, distances = index.search(
    queries, k=10, ef=100
)
# [exact]
exact = index.exact_search(queries, k=10)
# [threads]
with index.using(threads=1):
    index.search(queries, k=10, ef=100)
# [look]
count = len(index)
known = 107 in index
vector = index[107]
# [save]
index.save("index.concord")

loaded = concord.load("index.concord")
