#!/usr/bin/env python3
"""Runs concord-bench on damaged files and odd command lines. Whatever comes, it ends by itself:
with 0 or 1, or with 2 and one line on stderr.

Usage: fuzz_inputs.py CONCORD_BENCH [--seconds N | --runs N] [--seed S]

The seed is printed, and run i of a seed is always the same. A run that ends by a signal, by another exit code,
or not within a minute is a failure: its command is printed, and its files are kept.

Files of HDF5 are odd but whole (where h5py is installed): HDF5 itself does not claim to stand hostile bytes
(tests/fuzz/README.md).
"""

import argparse
import pathlib
import random
import resource
import shutil
import struct
import subprocess
import sys
import tempfile
import time

try:
    import h5py
    import numpy
except ImportError:
    h5py = None

MOST_MEMORY = 3 << 30
# Values that options of any kind may get.
VALUES = [
    "0",
    "1",
    "2",
    "3",
    "10",
    "64",
    "65",
    "-1",
    "1e9",
    "4294967296",
    "18446744073709551616",
    "0.5",
    "nan",
    "inf",
    "",
    "x",
    "1,2",
    "10,0",
    "l2sq",
    "cosine",
    "IP",
    "hamming",
    "auto",
    "cpu",
    "cuda:9",
    "scalar",
    "random",
    "fifo",
    "clusters",
    "update",
    "synced",
    "system",
    ".",
    "/nonexistent/x",
]
OPTIONS = {
    "run": [
        "--limit",
        "--limit-queries",
        "--metric",
        "--M",
        "--ef-construction",
        "--seed",
        "--epoch-limit",
        "--k",
        "--ef",
        "--slack",
        "--batch",
        "--batch-device",
        "--device",
        "--isa",
        "--verify-threads",
        "--column",
        "--queries",
        "--ground-truth",
    ],
    "build": [
        "--limit",
        "--metric",
        "--M",
        "--ef-construction",
        "--shards",
        "--block",
        "--only",
        "--rounds",
        "--journal",
    ],
    "search": [
        "--k",
        "--ef",
        "--slack",
        "--batch",
        "--metric",
        "--limit-queries",
        "--map",
        "--ground-truth",
    ],
    "query": [
        "--row",
        "--label",
        "--vector",
        "--k",
        "--ef",
        "--exact",
        "--name",
        "--names",
        "--column",
    ],
    "churn": ["--limit", "--turnovers", "--round", "--pattern", "--M", "--ef"],
    "shards": ["--shards", "--block", "--limit", "--ef"],
    "words": ["--words", "--word", "--k"],
    "convert": ["--limit", "--part", "--column"],
    "info": [],
    "audit": [],
}


def whole_files(draw: random.Random) -> dict[str, bytes]:
    """A small file of each plain format."""
    rows, cols = draw.choice([(1, 1), (3, 2), (30, 4), (200, 8)])
    values = [
        draw.choice([0.0, 1.0, -1.0, draw.gauss(0, 1), draw.uniform(0, 255)])
        for _ in range(rows * cols)
    ]
    if draw.random() < 0.2:
        values[draw.randrange(len(values))] = draw.choice(
            [float("nan"), float("inf"), 3e38, 1e19, 1e-40]
        )
    floats = struct.pack(f"<{len(values)}f", *values)
    small = bytes(draw.randrange(256) for _ in values)
    ids = struct.pack(f"<{len(values)}i", *(draw.randrange(-1, 2 * rows) for _ in values))
    head = struct.pack("<II", rows, cols)
    order = draw.choice([True, False])
    text = f"{{'descr': '<f4', 'fortran_order': {order}, 'shape': ({rows}, {cols}), }}\n".encode()

    def by_rows(data: bytes) -> bytes:
        width = len(data) // rows
        return b"".join(
            struct.pack("<I", cols) + data[at : at + width] for at in range(0, len(data), width)
        )

    return {
        ".fbin": head + floats,
        ".u8bin": head + small,
        ".i8bin": head + small,
        ".ibin": head + ids,
        ".fvecs": by_rows(floats),
        ".bvecs": by_rows(small),
        ".ivecs": by_rows(ids),
        ".npy": b"\x93NUMPY\1\0" + struct.pack("<H", len(text)) + text + floats,
        ".csv": b"1,2\n",
        ".txt": b"\n".join(b"name%d" % i for i in range(rows)),
    }


def damaged(draw: random.Random, data: bytes) -> bytes:
    bytes_ = bytearray(data)
    for _ in range(draw.randrange(4)):
        if not bytes_:
            break
        at = draw.randrange(len(bytes_))
        way = draw.randrange(4)
        if way == 0:
            bytes_[at] ^= 1 << draw.randrange(8)
        elif way == 1:
            bytes_[at : at + 4] = struct.pack(
                "<I", draw.choice([0, 1, 2, 0x7FFFFFFF, 0xFFFFFFFF, 0x7F800000, 65537])
            )
        elif way == 2:
            del bytes_[at:]
        else:
            bytes_[at:at] = bytes_[: draw.randrange(1, 64)]
    return bytes(bytes_)


def write_hdf5(draw: random.Random, path: pathlib.Path) -> None:
    """A whole file of HDF5 whose content is odd."""
    rows = numpy.random.default_rng(draw.randrange(1 << 30))
    with h5py.File(path, "w") as file:
        if draw.random() < 0.8:
            file.attrs["distance"] = draw.choice(
                ["euclidean", "angular", "hamming", "Cosine", "", 7]
            )
        for name, n in (("train", 50), ("test", 6), ("neighbors", 6), ("extra", 3)):
            if draw.random() < 0.15:
                continue
            shape = draw.choice([(n, 4)] * 8 + [(n,), (n, 4, 2), (0, 4), (n, 0), (n, 5), (1, 1)])
            kind = draw.choice(["f4"] * 5 + ["f8", "f2", ">f4", "i1", "u1", "i8", "?", "S3"])
            data = (
                rows.normal(size=shape)
                if name != "neighbors"
                else rows.integers(-2, 60, size=shape)
            )
            if data.size and data.dtype.kind == "f" and draw.random() < 0.2:
                data.ravel()[draw.randrange(data.size)] = draw.choice(
                    [numpy.nan, numpy.inf, 1e38, 1e19]
                )
            with numpy.errstate(all="ignore"):
                file.create_dataset(name, data=data.astype(kind))


class Fuzz:
    def __init__(self, bench: str, folder: pathlib.Path):
        self.bench = bench
        self.folder = folder
        self.index = folder / "whole.concord"
        build = [bench, "build", "--synthetic", "300,8", "--threads", "1", "--out", self.index]
        subprocess.run(build, check=True, stdout=subprocess.DEVNULL)

    def file(self, draw: random.Random) -> pathlib.Path:
        if h5py is not None and draw.random() < 0.15:
            path = self.folder / "data.hdf5"
            write_hdf5(draw, path)
            return path
        ending, data = draw.choice(sorted(whole_files(draw).items()))
        path = self.folder / ("data" + (ending.upper() if draw.random() < 0.1 else ending))
        path.write_bytes(damaged(draw, data) if draw.random() < 0.7 else data)
        return path

    def command(self, draw: random.Random) -> list[str]:
        slow = ("run", "search", "shards")  # they measure speed, for seconds
        name = draw.choices(
            sorted(OPTIONS), [1 if name in slow else 8 for name in sorted(OPTIONS)]
        )[0]
        words = [name, "--ef", "9"] if name in slow else [name]
        if name in ("search", "query", "info", "audit"):
            index = self.folder / "index.concord"
            whole = self.index.read_bytes()
            index.write_bytes(damaged(draw, whole) if draw.random() < 0.3 else whole)
            words += ["--index", str(index)]
        if name == "convert":
            words += [
                str(self.file(draw)),
                str(self.folder / ("out" + draw.choice([".fbin", ".u8bin", ".fvecs", ".ivecs"]))),
            ]
        elif name not in ("info", "audit") and draw.random() < 0.9:
            synthetic = [
                "--synthetic",
                draw.choice(
                    ["300,8", "1,1", "50,3", "0,0", "9999999999,3", "4000000000,65536", "x"]
                ),
            ]
            words += ["--dataset", str(self.file(draw))] if draw.random() < 0.85 else synthetic
        for option in draw.sample(OPTIONS[name], min(len(OPTIONS[name]), draw.randrange(4))):
            words.append(option)
            if option not in ("--map", "--exact", "--verify-threads"):
                words.append(str(self.file(draw)) if draw.random() < 0.1 else draw.choice(VALUES))
        if draw.random() < 0.05:
            words[draw.randrange(len(words))] = draw.choice(["--", "-", "--what", "é", "run"])
        return words

    def run(self, seed: str) -> str:
        """Why the run of this seed failed, if it did."""
        words = self.command(random.Random(seed))

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))

        try:
            done = subprocess.run(
                [self.bench, *words],
                capture_output=True,
                timeout=60,
                preexec_fn=limit,
                cwd=self.folder,
            )
        except subprocess.TimeoutExpired:
            return f"did not end: {words}"
        stderr = done.stderr.decode(errors="replace")
        if done.returncode not in (0, 1, 2):
            return f"ended with {done.returncode}: {words}\n{stderr}"
        if done.returncode == 2 and (
            stderr.count("\n") != 1 or not stderr.startswith("concord-bench: ")
        ):
            return f"did not say in one line why: {words}\n{stderr}"
        return ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bench")
    parser.add_argument("--seconds", type=float, default=float("inf"))
    parser.add_argument("--runs", type=int)
    parser.add_argument("--seed", type=int, default=time.time_ns())
    own = parser.parse_args()
    if own.runs is None and own.seconds == float("inf"):
        parser.error("give --seconds or --runs")
    print(f"seed {own.seed}", flush=True)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="concord-fuzz-"))
    fuzz = Fuzz(str(pathlib.Path(own.bench).resolve()), folder)
    end = time.monotonic() + own.seconds
    runs = 0
    while time.monotonic() < end and runs != own.runs:
        failure = fuzz.run(f"{own.seed}/{runs}")
        if failure:
            print(
                f"run {runs} of seed {own.seed} {failure}\nits files are in {folder}",
                file=sys.stderr,
            )
            return 1
        runs += 1
    shutil.rmtree(folder)
    print(f"{runs} runs, none ended by a signal{'' if h5py else ' (without HDF5: no h5py)'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
