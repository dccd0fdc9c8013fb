"""What the programs of the migration pages work on: vectors of rising norm, labels from 100 on."""

import numpy as np

_random = np.random.default_rng(7)
vectors = _random.normal(
    size=(3000, 64)
).astype(np.float32)
vectors *= np.linspace(
    0.5, 2, len(vectors), dtype=np.float32
)[:, None]
queries = _random.normal(
    size=(200, 64)
).astype(np.float32)
ids = np.arange(100, 100 + len(vectors))
