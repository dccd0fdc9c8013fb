"""A program with Concord that was ``hnswlib_before.py``."""

from data import ids, queries, vectors

# [make]
import concord

index = concord.Index(
    dim=64,
    metric="cosine",
    M=16,
    ef_construction=200,
    seed=100,
)
# [add]
index.add(vectors, ids)
# [search]
labels, distances = index.search(
    queries, k=10, ef=100
)
# [threads]
index.threads = 2
with index.using(threads=1):
    index.search(queries, k=10, ef=100)
# [look]
count = len(index)
known = 107 in index
vector = index[107]
# [save]
index.save("index.concord")

loaded = concord.load("index.concord")
# [grow]
loaded.add(queries[:1], [999_999])
# [file]
adopted = concord.load_hnswlib(
    "old.bin", dim=64, metric="cosine"
)

concord.save_hnswlib(
    index, "new.bin"
)  # hnswlib loads it
