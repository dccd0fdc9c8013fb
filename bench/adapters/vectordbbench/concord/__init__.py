"""Concord in VectorDBBench: this folder goes to vectordb_bench/backend/clients/ there."""
