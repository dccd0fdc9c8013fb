"""What replacing vectors leaves of the indexes of several libraries: the peers of ``concord-bench churn``.

    PYTHONPATH=bench python -m peers.churn [--data words:40000] [--turnovers 3] [--out churn-peers.json] ...

Half of the rows are indexed. In each round some of them, drawn at random, go, and as many of the others
come: the same in every library, each in a process of its own. A turnover is as many replacements as there are
vectors. Recall is judged among the vectors that are there.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import json
import multiprocessing
import pathlib
import sys
import time
from typing import Any

import numpy as np

from . import data
from .judge import Judge
from .libraries import Floats, Labels, Parameters
from .living import CANNOT, LIVING, Living
from .suite import environment
from .worker import K


@dataclasses.dataclass(frozen=True)
class Plan:
    """What every library lives through."""

    data: str
    queries: int
    turnovers: float
    round: float
    points: int
    M: int
    ef_construction: int
    threads: int


class Population:
    """Which rows of the data are in the index; a label is the number of a row."""

    def __init__(self, rows: int, size: int) -> None:
        self.living = np.arange(size)
        self.others = np.arange(size, rows)
        self._random = np.random.default_rng(1)

    def replace(self, count: int) -> tuple[Labels, Labels]:
        """Labels that go, drawn at random, and labels that come in their places."""
        places = self._random.choice(len(self.living), count, replace=False)
        old, new = self.living[places], self.others[:count]
        self.others = np.concatenate([self.others[count:], old])
        self.living[places] = new
        return old, new


def measure(
    library: Living, base: Floats, queries: Floats, metric: str, living: Labels
) -> list[dict[str, Any]]:
    """Recall at each effort."""
    judge = Judge.of(metric, base[living], queries, K)
    place = np.full(len(base) + 1, -1)  # the last is that of no label
    place[living] = np.arange(len(living))
    found = []
    for effort in library.efforts:
        labels = np.asarray(library.search(queries, K, effort)).astype(np.int64)
        labels = np.where((labels >= 0) & (labels < len(base)), labels, len(base))
        found.append({"effort": effort, "recall": judge.recall(place[labels])})
    return found


def live(name: str, plan: Plan) -> list[dict[str, Any]]:
    """The life of one library's index: a point at its start, and as many later as are planned."""
    loaded = data.load(plan.data, 0, plan.queries)
    base, size = loaded.base, len(loaded.base) // 2
    count = max(1, int(plan.round * size))
    library = LIVING[name](
        Parameters(base.shape[1], loaded.metric, plan.M, plan.ef_construction, plan.threads)
    )
    library.build(base[:size])
    population = Population(len(base), size)
    rounds = int(plan.turnovers * size / count)
    points: list[dict[str, Any]] = []
    seconds, replaced = 0.0, 0
    for number in range(rounds + 1):
        if number:
            old, new = population.replace(count)
            start = time.perf_counter()
            library.replace(old, base[new], new)
            seconds, replaced = seconds + time.perf_counter() - start, replaced + count
        if number and number * plan.points // rounds == (number - 1) * plan.points // rounds:
            continue
        points.append(
            {
                "turnovers": number * count / size,
                "size": size,
                "replacements_per_second": replaced / seconds if seconds else None,
                "unreachable": reachable_or_not(library),
                "search": measure(library, base, loaded.queries, loaded.metric, population.living),
            }
        )
        seconds, replaced = 0.0, 0
    return points


def reachable_or_not(library: Living) -> int | None:
    """Nodes that no search finds; None where the file does not show it."""
    try:
        return library.unreachable()
    except ValueError:  # the layout of the file is not the known one
        return None


def in_a_process(name: str, plan: Plan) -> dict[str, Any]:
    """The life of a library's index, or why it ended."""
    spawn = multiprocessing.get_context("spawn")
    result: dict[str, Any] = {"library": name, "data": plan.data, "points": [], "failures": []}
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=spawn) as process:
        try:
            result["points"] = process.submit(live, name, plan).result()
        except Exception as error:  # a library may fail in any way, and take its process along
            result["failures"].append(f"{type(error).__name__}: {error}")
    return result


def parse(arguments: list[str]) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m peers.churn", description=str(__doc__).splitlines()[0]
    )
    parser.add_argument("--data", default="words:40000", help="a name of peers.data")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--turnovers", type=float, default=3)
    parser.add_argument("--round", type=float, default=0.01, help="part that is replaced at once")
    parser.add_argument("--points", type=int, default=6, help="measurements on the way")
    parser.add_argument("--libraries", nargs="+", default=list(LIVING), choices=LIVING)
    parser.add_argument("--M", type=int, default=16)
    parser.add_argument("--ef-construction", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("churn-peers.json"))
    return parser.parse_args(arguments)


def run(options: argparse.Namespace, command: list[str]) -> dict[str, Any]:
    """The document of all libraries that can run here."""
    names = {field.name for field in dataclasses.fields(Plan)}
    plan = Plan(**{key: value for key, value in vars(options).items() if key in names})
    document = environment(command)
    document["command"] = document["command"].replace("bench/peers/run.sh", "python -m peers.churn")
    problems = {name: LIVING[name].problem() for name in options.libraries}
    document |= {
        "k": K,
        "plan": dataclasses.asdict(plan),
        "libraries": {name: LIVING[name].facts() for name, why in problems.items() if why is None},
        "skipped": CANNOT | {name: why for name, why in problems.items() if why is not None},
        "churn": [],
    }
    for name in document["libraries"]:
        print(f"{name}: lives through {plan.turnovers:g} turnovers", flush=True)
        document["churn"].append(in_a_process(name, plan))
    return document


def main() -> int:
    """Run, and say where the results are."""
    options = parse(sys.argv[1:])
    try:
        document = run(options, sys.argv[1:])
    except ValueError as error:
        print(f"peers.churn: {error}", file=sys.stderr)
        return 2
    options.out.write_text(json.dumps(document, indent=1) + "\n")
    for life in document["churn"]:
        print(f"{life['library']}: {life['failures'] or life['points'][-1]}")
    print(f"written: {options.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
