# %% [markdown]
# # Semantic search over Debian packages
#
# This example builds an index of 3,716 packages of Debian 12 and searches it with questions in plain words.
# It filters by section, removes and replaces packages, explains a miss, and draws a map of the collection.
#
# Everything printed here is the same on every machine, to the last digit. So `output.txt` is a copy of it,
# and a test compares. The embeddings are stored beside the program, and no model is needed.
#
# The texts are names and synopses of [Debian's packages](https://packages.debian.org/bookworm/), each under
# the license of its package. `README.md` beside the program says how they were chosen and embedded.
#
#     pip install concord-ann -r requirements.txt
#     pip install -r requirements-map.txt          # for the map at the end; the rest works without
#     python search.py

# %%
from __future__ import annotations

import importlib.util
import os
import pathlib
import sys
import textwrap

import concord
import numpy as np

here = pathlib.Path(globals().get("__file__", "search.py")).resolve().parent
data, asked = np.load(here / "packages.npz"), np.load(here / "texts.npz")
packages = [text.decode() for text in data["packages"].tolist()]
sections = data["sections"].astype(str)
vectors = data["vectors"]
questions = [text.decode() for text in asked["questions"].tolist()]
question_vectors = asked["question_vectors"]
print(f"{len(packages)} packages in {len(set(sections))} sections, {vectors.shape[1]} dimensions")

# %% [markdown]
# ## Build
#
# The embeddings have a byte per element. The index takes them as they are. `audit` checks the invariants of
# the graph. The digest names the graph, and any number of threads, or a GPU, builds the same one.

# %%
index = concord.Index(dim=vectors.shape[1], metric="cosine", M=16, ef_construction=200)
index.add(vectors)
print(f"{len(index)} vectors, audit {'ok' if index.audit().ok else 'failed'}")
print(f"digest {index.digest()}")

alone = concord.Index(dim=vectors.shape[1], metric="cosine", M=16, ef_construction=200, threads=1)
for begin in range(0, len(vectors), 500):
    alone.add(vectors[begin : begin + 500])
print(f"built in 8 pieces by one thread: equal {alone.digest() == index.digest()}")

# %% [markdown]
# ## Ask
#
# The questions were written before the answers were seen, and none was removed. If an answer misses the
# question, the model is the cause: the index returns what is nearest to the question's embedding.


# %%
def show(labels: np.ndarray, distances: np.ndarray) -> None:
    """The packages found, nearest first."""
    for label, distance in zip(labels.tolist(), distances, strict=True):
        print(f"  {distance:.3f}  {sections[label]:11}  {packages[label]}")


labels, distances = index.search(question_vectors, k=3, ef=64)
for question, row, far in zip(questions, labels, distances, strict=True):
    print(f"\n{question}?")
    show(row, far)

# %% [markdown]
# ## Filter by section
#
# A mask, or labels, or a function says which vectors a search may find. It finds `k` of them if there are
# so many. Filters combine with `&`, `|` and `~`.

# %%
mail = index.filter(sections == "mail")
emacs = index.filter([row for row, text in enumerate(packages) if "emacs" in text.lower()])
terminal = question_vectors[questions.index("read mail in the terminal")]

print("\nread mail in the terminal, in the section mail?")
show(*index.search(terminal, k=3, filter=mail))
print(f"\nand of the {(mail & ~emacs).matches} of {mail.matches} that do not name Emacs?")
show(*index.search(terminal, k=3, filter=mail & ~emacs))

# %% [markdown]
# ## Remove, replace, add
#
# A package leaves, another gets a better description, and a third is new. The new texts are inventions.
# Removed vectors are never found, and the graph stays valid: `audit` says so, and a search of the changed
# index finds what an exact scan finds.

# %%
typing, sky = (
    question_vectors[questions.index(question)]
    for question in ("learn to type", "look at the stars and planets")
)
print("\nlearn to type, before?")
show(*index.search(typing, k=4))

place = {text.partition(":")[0]: row for row, text in enumerate(packages)}
leaving, changing, new = place["qabcs"], place["dvorak7min"], len(packages)
index.remove([leaving])
packages[changing], added = (text.decode() for text in asked["descriptions"].tolist())
packages.append(added)
sections = np.append(sections, "science")
index.upsert(asked["description_vectors"], labels=[changing, new])

print("\nlearn to type, after?")
show(*index.search(typing, k=4))
print("\nlook at the stars and planets, after?")
show(*index.search(sky, k=4))
found = index.search(question_vectors, k=10, ef=200)
exact = index.exact_search(question_vectors, k=10)
print(f"\n{len(index)} vectors, audit {'ok' if index.audit().ok else 'failed'}")
print(f"qabcs is there: {leaving in index}")
print(f"as an exact scan finds them: {np.array_equal(found.labels, exact.labels)}")
print(f"digest {index.digest()}")

# %% [markdown]
# ## Why is something not found?
#
# A search keeps `ef` candidates. With few of them it misses some of the true neighbors. `explain` says
# which `ef` finds a missed one, and why a smaller one does not.

# %%
print("\n ef   found of the 10 nearest")
for ef in (10, 20, 40, 80, 160):
    hits = index.search(question_vectors, k=10, ef=ef).labels
    right = sum(np.isin(a, b).sum() for a, b in zip(hits, exact.labels, strict=True))
    print(f"{ef:3}   {right} of {exact.labels.size}")

hits = index.search(question_vectors, k=10, ef=10).labels
missed = [
    (row, label)
    for row in range(len(questions))
    for label in exact.labels[row].tolist()
    if label not in hits[row]
]
row, label = missed[0]
why = index.explain(question_vectors[row], label, k=10)
print(f"\n{questions[row]}? ef 10 misses {packages[label]}")
print(textwrap.fill(str(why), 100))
for ef in (why.ef - 1, why.ef):
    print(f"ef {ef}: found {label in index.search(question_vectors[row], k=10, ef=ef).labels}")

# %% [markdown]
# ## A map
#
# Every package has 15 nearest neighbors. `knn_graph` finds them by searches tuned to a recall of 0.98.
# Neighbors that are of one section show how far a section is a subject.

# %%
rows = index.labels()
graph = index.knn_graph(16)
same = sections[rows][graph.indices[:, 1:]] == sections[rows][:, None]
print("\nsection      packages  neighbors of the same section")
for section in sorted(set(sections), key=lambda name: -same[sections[rows] == name].mean()):
    members = sections[rows] == section
    print(f"{section:11}  {members.sum():8}  {same[members].mean():.3f}")

# %% [markdown]
# UMAP lays out this graph on a plane, with `concord.umap.precomputed_knn`. It then places the questions
# beside the packages, by searches of the same index. Another version of UMAP draws another map.


# %%
shown = {"games": "C0", "sound": "C1", "graphics": "C2", "science": "C3", "mail": "C4"}
shown |= {"database": "C5", "hamradio": "C6", "text": "C8", "editors": "C9"}


def draw(places: np.ndarray, of_questions: np.ndarray, ink: str, paper: str) -> object:
    """The map: packages as points, some sections in color, questions as stars."""
    import matplotlib.pyplot as plt
    from matplotlib.patheffects import withStroke

    figure, axes = plt.subplots(figsize=(9, 8), layout="constrained")
    axes.scatter(*places.T, s=3, color="C7", alpha=0.4, linewidths=0)
    for section, color in shown.items():
        members = sections[rows] == section
        axes.scatter(*places[members].T, s=7, color=color, label=section, linewidths=0)
    axes.scatter(*of_questions.T, s=70, marker="*", color=ink, zorder=3)
    for question, place in zip(questions, of_questions, strict=True):
        words = axes.annotate(question, place, textcoords="offset points", xytext=(5, 4))
        words.set(color=ink, fontsize=8, path_effects=[withStroke(linewidth=2, foreground=paper)])
    axes.set_axis_off()
    axes.legend(
        loc="upper center",
        bbox_to_anchor=(0.5, 0),
        ncols=5,
        frameon=False,
        markerscale=3,
        labelcolor=ink,
    )
    return figure


if importlib.util.find_spec("umap") is None:
    print("No map: it needs umap-learn (pip install -r requirements-map.txt)", file=sys.stderr)
else:
    import matplotlib.pyplot as plt
    import umap
    from concord.umap import precomputed_knn

    living = index[rows]
    knn = precomputed_knn(living, 15, "cosine")
    mapper = umap.UMAP(n_neighbors=15, metric="cosine", precomputed_knn=knn, random_state=1)
    places = mapper.fit_transform(living)
    of_questions = mapper.transform(question_vectors.astype(np.float32))

    pictures = pathlib.Path(os.environ.get("PICTURES", here / "pictures"))
    pictures.mkdir(exist_ok=True)
    for theme, ink, paper in (("dark", "white", "black"), ("light", "black", "white")):
        figure = draw(places, of_questions, ink, paper)
        figure.savefig(
            pictures / f"map-{theme}.png", dpi=110, transparent=True, metadata={"Software": None}
        )
        if theme == "dark":
            plt.close(figure)
