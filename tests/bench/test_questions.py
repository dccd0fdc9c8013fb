"""bench/peers/questions.py: the encoder, and a set that is made by the right model or not at all."""

from __future__ import annotations

import json
import pathlib

import h5py
import numpy as np
import pytest
from peers import data, questions

WIDTH, HEADS, WORDS = 12, 3, 40


def weights(seed: int = 1) -> dict[str, questions.Floats]:
    """Of a BERT of two layers."""
    own = np.random.default_rng(seed)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings": (WORDS, WIDTH),
        "embeddings.position_embeddings": (16, WIDTH),
        "embeddings.token_type_embeddings": (2, WIDTH),
    }
    found = {f"{name}.weight": shape for name, shape in shapes.items()}
    linear = {"attention.output.dense": (WIDTH, WIDTH), "output.dense": (WIDTH, 4 * WIDTH)}
    linear |= {f"attention.self.{part}": (WIDTH, WIDTH) for part in ("query", "key", "value")}
    linear |= {"intermediate.dense": (4 * WIDTH, WIDTH)}
    norms = ["embeddings.LayerNorm"]
    for layer in range(2):
        name = f"encoder.layer.{layer}"
        norms += [f"{name}.attention.output.LayerNorm", f"{name}.output.LayerNorm"]
        for part, shape in linear.items():
            found |= {f"{name}.{part}.weight": shape, f"{name}.{part}.bias": shape[:1]}
    for name in norms:
        found |= {f"{name}.weight": (WIDTH,), f"{name}.bias": (WIDTH,)}
    return {name: own.standard_normal(shape).astype(np.float32) for name, shape in found.items()}


def test_a_text_has_the_same_vector_alone_and_among_longer_ones() -> None:
    encoder = questions.Encoder(weights(), HEADS)
    assert encoder.layers == 2
    tokens = [[1, 2, 3], [4, 5, 6, 7, 8, 9, 10], [11]]
    together = encoder.encode(tokens)
    assert together.dtype == np.float32 and np.allclose(np.linalg.norm(together, axis=1), 1)
    for row, one in zip(together, tokens, strict=True):
        assert np.allclose(row, encoder.encode([one])[0], atol=1e-5)
    assert not np.allclose(encoder.encode([[1, 2, 3]]), encoder.encode([[3, 2, 1]]), atol=1e-3)


def test_tensors_are_read_by_their_header() -> None:
    a, b = np.arange(6, dtype="<f4").reshape(2, 3), np.arange(4, dtype="<i8")
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "b": {"dtype": "I64", "shape": [4], "data_offsets": [0, 32]},
            "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [32, 56]},
        }
    ).encode()
    content = len(header).to_bytes(8, "little") + header + b.tobytes() + a.tobytes()
    found = questions.tensors(content)
    assert list(found) == ["a"] and np.array_equal(found["a"], a)


def test_a_question_has_the_synopsis_and_not_the_name() -> None:
    made = questions.questions(["vim: an editor", "emacs: another: editor", "nothing"])
    assert made[0] == "Which package should I install if I need an editor?"
    assert "another: editor" in made[1] and "emacs" not in made[1] and "nothing" in made[2]


def test_a_set_is_made_by_the_model_that_made_the_rows(tmp_path: pathlib.Path) -> None:
    own = np.random.default_rng(2)
    rows = own.standard_normal((60, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    texts = [f"p{i}: synopsis {i}" for i in range(60)]
    (tmp_path / questions.TEXTS).write_text("\n".join(texts))
    with h5py.File(tmp_path / questions.SOURCE, "w") as file:
        file.attrs["distance"] = "angular"
        file["train"], file["test"] = rows[:20].astype(np.float16), rows[20:].astype(np.float16)
    vectors = dict(zip(texts, rows, strict=True))

    def embed(asked: list[str]) -> questions.Floats:
        return np.array([vectors.get(one, rows[0]) for one in asked])

    out = tmp_path / "out"
    out.mkdir()
    assert questions.write(embed, tmp_path, out) > questions.ALIKE
    with h5py.File(out / questions.TARGET) as file:
        assert file["train"].shape == (20, 8) and file["test"].shape == (40, 8)
        assert file.attrs["distance"] == "angular"
    with pytest.raises(ValueError, match="the model is another one"):
        questions.write(lambda asked: embed(asked)[:, ::-1], tmp_path, tmp_path)
    assert not (tmp_path / questions.TARGET).exists()


def test_the_set_has_a_name() -> None:
    assert data.FILES["debian-questions"][0] == questions.TARGET
