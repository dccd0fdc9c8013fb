"""A program with hnswlib; ``hnswlib_after.py`` is the same with Concord."""

from data import ids, queries, vectors

# [make]
import hnswlib

index = hnswlib.Index(space="cosine", dim=64)
index.init_index(
    max_elements=3000,
    M=16,
    ef_construction=200,
    random_seed=100,
)
# [add]
index.add_items(vectors, ids)
# [search]
index.set_ef(100)
labels, distances = index.knn_query(
    queries, k=10
)
# [threads]
index.set_num_threads(2)
index.knn_query(queries, k=10, num_threads=1)
# [look]
count = index.get_current_count()
known = 107 in index.get_ids_list()
vector = index.get_items([107])[0]
# [save]
index.save_index("index.bin")

loaded = hnswlib.Index(
    space="cosine", dim=64
)
loaded.load_index(
    "index.bin", max_elements=10000
)
loaded.set_ef(100)
# [grow]
if (
    loaded.get_current_count() + 1
    > loaded.get_max_elements()
):
    loaded.resize_index(
        2 * loaded.get_max_elements()
    )
loaded.add_items(queries[:1], [999_999])
# [file]
index.save_index("old.bin")
