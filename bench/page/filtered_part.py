"""Results of peers.filtered: what libraries find, and at which cost, where a part of the vectors matches."""

from __future__ import annotations

from .documents import Json
from .tables import Table

OURS = "concord"


def table(filtered: list[Json]) -> Table:
    """A line for each data set and way of choosing what matches, a column for each library."""
    names = list(dict.fromkeys(x["library"] for document in filtered for x in document["filtered"]))
    rows = []
    for document in filtered:
        by_library = {x["library"]: x for x in document["filtered"]}
        ours = by_library[OURS]["parts"]
        for place, part in enumerate(ours):
            row = [document["plan"]["data"], part["part"], f"{part['matches']:,.0f}"]
            for name in names:
                found = by_library.get(name, {"parts": [], "failures": ["not run"]})
                if found["parts"]:
                    row.append(_cell(document, name, found["parts"][place]["points"][-1], part))
                else:
                    row.append(f"**{found['failures'][0]}**")
            rows.append(row)
    return Table(["data", "matches", "on average", *names], rows)


def _cell(document: Json, name: str, last: Json, ours: Json) -> str:
    """Recall at the last effort, and its cost in times of Concord's; a shortfall is bold."""
    knob = document["libraries"][name]["knob"].split()[0]
    effort = f"{knob} {last['effort'] / 1000:g}" if knob == "slack" else f"{knob} {last['effort']}"
    text = f"{last['recall']:.3f} at {effort}"
    if last["short"]:
        text += f", {last['short']:,} of {last['queries']:,} short"
    if last["recall"] < document["goal"] or last["short"]:
        text = f"**{text}**"
    if name == OURS:
        return text
    times = min(last["seconds"]) / min(ours["points"][-1]["seconds"])
    cost = f"{times:,.0f} x the time" if times >= 10 else f"{times:.2f} x the time"
    return f"{text}; **{cost}**" if times < 1 else f"{text}; {cost}"
