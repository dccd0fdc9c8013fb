"""Makes ``packages.npz``: packages of Debian 12 with their embeddings, cut from a data set of 40,000.

    pip install -r requirements-embed.txt
    python cut.py FOLDER [--output FILE]          # FOLDER has debian-384-angular.hdf5 and debian-384.txt

The data set has the names and synopses of Debian 12's packages in a random order, and their embeddings by
all-MiniLM-L6-v2. Of each section in SECTIONS the first MOST packages are taken, in the order of the data set.
An element x, which is in [-1, 1], is stored as round(127 x / largest), which is enough for a search by angle.
The same data set gives the same arrays.
"""

from __future__ import annotations

import argparse
import pathlib

import h5py
import numpy as np
import numpy.typing as npt

HERE = pathlib.Path(__file__).resolve().parent
MOST = 300
SECTIONS = (
    *("admin", "database", "editors", "education", "electronics", "games", "graphics", "hamradio"),
    *("mail", "math", "net", "science", "sound", "text", "vcs", "video", "web"),
)


def bytes_of(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.int8]:
    """Embeddings with a byte per element; cosine makes their common scale irrelevant."""
    wide = vectors.astype(np.float64)
    return np.rint(wide * (127 / np.abs(wide).max())).astype(np.int8)


def rows_of(sections: npt.NDArray[np.str_]) -> npt.NDArray[np.int64]:
    """The rows to keep, ascending."""
    kept = [np.flatnonzero(sections == name)[:MOST] for name in SECTIONS]
    return np.sort(np.concatenate(kept))


def main() -> None:
    """Read, cut, store."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--output", type=pathlib.Path, default=HERE / "packages.npz")
    arguments = parser.parse_args()

    lines = (arguments.folder / "debian-384.txt").read_text().splitlines()
    with h5py.File(arguments.folder / "debian-384-angular.hdf5") as file:
        names = np.array([name.decode() for name in file["section_names"]])
        sections = names[file["section"][:]]
        rows = rows_of(sections)
        vectors = bytes_of(file["train"][rows])
    np.savez_compressed(
        arguments.output,
        packages=np.array([lines[row].encode() for row in rows]),
        sections=sections[rows].astype(np.bytes_),
        vectors=vectors,
    )
    print(f"{len(rows)} packages, {arguments.output.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
