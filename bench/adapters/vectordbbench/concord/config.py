"""Where the index is kept, and its parameters."""

from pydantic import BaseModel
from vectordb_bench.backend.clients.api import DBCaseConfig, DBConfig, IndexType, MetricType

METRICS = {
    MetricType.L2: "l2sq",
    MetricType.COSINE: "cosine",
    MetricType.IP: "inner_product",
    MetricType.DP: "inner_product",
}


class ConcordConfig(DBConfig):
    """A file instead of a connection: Concord is a library."""

    path: str = "vectordbbench.concord"

    def to_dict(self) -> dict:
        """What the client gets."""
        return {"path": self.path}


class ConcordIndexConfig(BaseModel, DBCaseConfig):
    """HNSW parameters; the benchmark sets the metric."""

    index: IndexType = IndexType.HNSW
    metric_type: MetricType | None = None
    M: int = 16
    ef_construction: int = 200
    ef: int = 128

    def index_param(self) -> dict:
        """Arguments of ``concord.Index``, without ``dim``."""
        metric = self.metric_type or MetricType.L2
        if metric not in METRICS:
            raise ValueError(f"metric is {metric}; Concord has {', '.join(METRICS)}")
        return {"metric": METRICS[metric], "M": self.M, "ef_construction": self.ef_construction}

    def search_param(self) -> dict:
        """Arguments of ``concord.Index.search``."""
        return {"ef": self.ef}
