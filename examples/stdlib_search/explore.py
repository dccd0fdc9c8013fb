"""Search Python's standard library by meaning: real embeddings, indexed, searched, saved, loaded, drawn.

    pip install concord-ann -r requirements.txt
    python explore.py [FOLDER]            # pictures go to FOLDER, default pictures/

The cells ("# %%") run one by one in editors that know them. ``stdlib.npz`` was made by ``embed.py``. What is
printed is the same on every machine, to the last digit: ``output.txt`` is a copy, and a test compares.
"""

# %% The data: 3,515 texts, 24 questions, and embeddings of both, a byte per element.
from __future__ import annotations

import pathlib
import sys
import tempfile
import textwrap
import time

import concord
import matplotlib
import numpy as np
from matplotlib.figure import Figure
from scipy.sparse import csr_matrix
from sklearn.manifold import TSNE

here = pathlib.Path(__file__).resolve().parent
pictures = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else here / "pictures"
pictures.mkdir(exist_ok=True)

data = np.load(here / "stdlib.npz")
names = data["names"].astype(str)
texts = [text.decode() for text in data["texts"].tolist()]
questions = [question.decode() for question in data["questions"].tolist()]
vectors, question_vectors = data["vectors"], data["question_vectors"]
print(f"{len(texts)} texts, {vectors.shape[1]} dimensions, {vectors.dtype}")

# %% The index. Bytes are taken as they are; cosine makes their scale irrelevant.
index = concord.Index(dim=vectors.shape[1], metric="cosine", M=16, ef_construction=200)
index.add(vectors)
print(
    f"{len(index)} vectors indexed, audit {'ok' if index.audit().ok else 'failed'}, digest {index.digest()}"
)

# %% Questions in plain words. None of them chose a parameter of the index.
labels, distances = index.search(question_vectors, k=3, ef=64)
for question, row, distance in zip(questions, labels, distances, strict=True):
    print(f"\n{question}?")
    for label, far in zip(row, distance, strict=True):
        answer = textwrap.shorten(f"{names[label]}: {texts[label]}", 100)
        print(f"  {far:.3f}  {answer}")

# %% A file, and the index that another process would read from it.
with tempfile.TemporaryDirectory() as folder:
    file = pathlib.Path(folder, "stdlib.concord")
    index.save(file)
    loaded = concord.load(file, threads=1, device="cpu")
answers = loaded.search(question_vectors, k=3, ef=64)
print(f"\nloaded, one thread: digest equal: {loaded.digest() == index.digest()}, ", end="")
print(
    f"answers equal: {np.array_equal(answers[0], labels) and np.array_equal(answers[1], distances)}"
)

# %% How good is the search? Every tenth text is kept out and used as a query.
held_out = np.arange(len(vectors)) % 10 == 0
partial = concord.Index(dim=vectors.shape[1], metric="cosine", M=16, ef_construction=200, threads=1)
partial.add(vectors[~held_out])
queries = np.ascontiguousarray(vectors[held_out], dtype=np.float32)
truth, _ = partial.exact_search(queries, k=10)

print(f"\n{len(queries)} other texts as queries, {len(partial)} indexed")
print("  ef  recall@10  distances per query")
curve = []
for ef in (10, 15, 20, 30, 40, 60):
    before = partial.stats().search.distances
    found, _ = partial.search(queries, k=10, ef=ef)
    work = (partial.stats().search.distances - before) / len(queries)
    recall = np.mean([np.isin(a, b).mean() for a, b in zip(found, truth, strict=True)])
    seconds = []
    for _ in range(7):
        start = time.perf_counter()
        partial.search(queries, k=10, ef=ef)
        seconds.append(time.perf_counter() - start)
    curve.append((ef, recall, len(queries) / np.median(seconds)))
    print(f"{ef:4}  {recall:9.4f}  {work:19.1f}")

# %% Picture: recall against speed, one thread, median of seven runs.
matplotlib.rcParams.update(
    {"svg.hashsalt": "concord", "axes.spines.top": False, "axes.spines.right": False}
)
figure = Figure(figsize=(6, 3.6), layout="constrained")
axes = figure.subplots()
efs, recalls, speeds = zip(*curve, strict=True)
axes.plot(recalls, speeds, "o-", color="tab:blue")
for ef, recall, speed in curve:
    axes.annotate(
        f"ef {ef}", (recall, speed), textcoords="offset points", xytext=(5, 4), fontsize=8
    )
axes.set(xlabel="recall@10", ylabel="queries per second", ylim=(0, None))
axes.grid(alpha=0.3)
figure.savefig(pictures / "recall.svg", metadata={"Date": None})

# %% Picture: how many neighbors the vectors have in layer 0.
degrees = np.array(index.stats().degree_histogram)
figure = Figure(figsize=(6, 3.2), layout="constrained")
axes = figure.subplots()
axes.bar(np.arange(len(degrees)), degrees, color="tab:blue")
axes.set(xlabel="neighbors in layer 0 (2·M = 32, more only until the epoch ends)", ylabel="vectors")
figure.savefig(pictures / "degrees.svg", metadata={"Date": None})

# %% Picture: a map. t-SNE needs each point's nearest neighbors, which the index finds.
perplexity = 30
near, far = index.search(vectors, k=3 * perplexity + 2, ef=256)
starts = np.arange(len(near) + 1) * near.shape[1]
graph = csr_matrix((np.maximum(far, 0).ravel(), near.astype(np.int64).ravel(), starts))
places = TSNE(
    metric="precomputed", init="random", perplexity=perplexity, random_state=1
).fit_transform(graph)

groups = {
    "asyncio": "asyncio.",
    "logging": "logging",
    "decimal, math, statistics": ("decimal.", "math", "cmath", "statistics"),
    "email, mailbox, smtplib": ("email", "mailbox", "smtplib", "imaplib"),
    "os, shutil, pathlib": ("os.", "shutil", "pathlib"),
    "unittest": "unittest",
    "date, time, calendar": ("datetime", "time", "calendar"),
    "xml, html": ("xml", "html"),
}
figure = Figure(figsize=(8, 7), layout="constrained")
axes = figure.subplots()
axes.scatter(*places.T, s=3, color="silver", linewidths=0)
colors = ["C0", "C1", "C2", "C3", "C4", "C5", "C6", "black"]
for color, (group, prefix) in zip(colors, groups.items(), strict=True):
    of_group = np.array([name.startswith(prefix) for name in names])
    axes.scatter(*places[of_group].T, s=9, color=color, label=group, linewidths=0)
for question in (0, 1, 2, 4, 10, 14):
    answer = labels[question, 0]
    axes.annotate(names[answer], places[answer], fontsize=8, fontweight="bold")
axes.legend(
    loc="upper left", bbox_to_anchor=(0, 0), ncols=4, frameon=False, markerscale=2, fontsize=8
)
axes.set_axis_off()
figure.savefig(pictures / "map.png", dpi=110, metadata={"Software": None})
