"""A program with FAISS; ``faiss_after.py`` is the same with Concord."""

from data import ids, queries, vectors

# [make]
import faiss

hnsw = faiss.IndexHNSWFlat(
    64, 16, faiss.METRIC_L2
)
hnsw.hnsw.efConstruction = 200
index = faiss.IndexIDMap2(hnsw)
# [add]
index.add_with_ids(vectors, ids)
# [search]
hnsw.hnsw.efSearch = 100
distances, labels = index.search(queries, 10)
# [threads]
faiss.omp_set_num_threads(1)
index.search(queries, 10)
faiss.omp_set_num_threads(2)
# [look]
count = index.ntotal
known = 107 in faiss.vector_to_array(
    index.id_map
)
vector = index.reconstruct(107)
# [save]
faiss.write_index(index, "index.faiss")

loaded = faiss.read_index("index.faiss")
# [file]
faiss.write_index(index, "old.faiss")
