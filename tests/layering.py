#!/usr/bin/env python3
"""Holds the includes of the sources against the table of doors in ARCHITECTURE.md.

    layering.py [ROOT]        ROOT is the repository (default: that of this file)

A room is a folder of common/, or cpu/ or cuda/. Fails, with a line for each finding, where
- a room includes a room that its row of the table does not name, or a row names one that it does not include;
- cpu/ and cuda/ include one another, or a room other than index includes either;
- rooms include one another in a circle;
- a public header (room include) includes anything but public headers, the standard library and, eigen.hpp, Eigen;
  one for C (.h) nothing of C++;
- bench/ (but bench/micro), python/src or examples/ include more of the library than its public headers.

The table stands under the heading "## Doors": | room | may include |, rooms in `backticks`, or "nothing".
Standard library only; tests/layering_test.py tests it.
"""

import collections
import os
import re
import sys
from pathlib import Path

SOURCE = {".hpp", ".cpp", ".h", ".cu", ".cuh"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]', re.MULTILINE)
LIBRARY = ("common", "cpu", "cuda")
PUBLIC_HEADERS = Path("common/include")
# Users of the library that see its public headers alone.
USERS = ("bench", "python/src", "examples")
INSIDERS = ("bench/micro",)


def sources(root, folder):
    """The source files below a folder, as paths from the root."""
    found = (path.relative_to(root) for path in (root / folder).rglob("*") if path.suffix in SOURCE)
    return sorted(found)


def includes(root, path):
    """(line, whether in quotes, name) of each include."""
    text = (root / path).read_text(encoding="utf-8")
    for match in INCLUDE.finditer(text):
        yield text.count("\n", 0, match.start(2)) + 1, match.group(1) == '"', match.group(2)


def resolve(root, path, quoted, name):
    """The file of the repository that an include means, as a path from the root; None for one outside."""
    beside = [Path(os.path.normpath(path.parent / name))] if quoted else []
    for candidate in [*beside, PUBLIC_HEADERS / name, Path(os.path.normpath(name))]:
        if candidate.parts[0] != ".." and (root / candidate).is_file():
            return candidate
    return None


def room_of(path):
    """The room of a file; None for one of no room."""
    if path.parts[0] in ("cpu", "cuda"):
        return path.parts[0]
    if path.parts[0] == "common" and len(path.parts) > 2:
        return path.parts[1]
    return None


def read_table(text):
    """{room: rooms that it may include} of ARCHITECTURE.md."""
    section = re.search(r"^## Doors\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL)
    if not section:
        raise ValueError('ARCHITECTURE.md has no heading "## Doors"')
    table = {}
    for line in re.findall(r"^\|.*\|$", section.group(1), re.MULTILINE)[2:]:
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        names = re.findall(r"`([^`]+)`", cells[-1])
        if len(cells) != 2 or not re.fullmatch(r"`[^`]+`", cells[0]) or (not names and cells[1] != "nothing"):
            raise ValueError(f"ARCHITECTURE.md, Doors: not understood: {line}")
        table[cells[0].strip("`")] = set(names)
    if not table:
        raise ValueError("ARCHITECTURE.md: no table under Doors")
    return table


def read_doors(root):
    """{(from room, to room): "file:line" of one such include} and findings about single includes."""
    doors, findings = {}, []
    for path in [p for folder in LIBRARY for p in sources(root, folder)]:
        room = room_of(path)
        if room is None:
            findings.append(f"{path}: is in no room")
            continue
        for line, quoted, name in includes(root, path):
            place = f"{path}:{line}"
            target = resolve(root, path, quoted, name)
            other = target and room_of(target)
            if other:
                doors.setdefault((room, other), place)
            elif target or quoted:
                findings.append(f'{place}: "{name}" is no file of the library')
            if room == "include" and not other and not is_allowed_outside(path, name):
                findings.append(f"{place}: <{name}> is not of the standard library")
    return {door: place for door, place in doors.items() if door[0] != door[1]}, findings


def is_allowed_outside(path, name):
    """Whether a public header may include what is not the library's: the standard library has no folders or endings, but
    for what C has of it, in headers for C."""
    if path.suffix == ".h":
        return name in ("stddef.h", "stdint.h")
    return bool(re.fullmatch(r"[a-z0-9_]+", name)) or (path.name == "eigen.hpp" and name.startswith("Eigen/"))


def compare(table, doors, rooms):
    """Findings where the table and the includes differ."""
    findings = [f"{room}: has no row in the table" for room in sorted(rooms - set(table))]
    findings += [f"{room}: has a row in the table and no files" for room in sorted(set(table) - rooms)]
    for (room, other), place in sorted(doors.items()):
        if room in table and other not in table[room]:
            findings.append(f"{place}: {room} may not include {other}")
    for room in sorted(set(table) & rooms):
        unused = sorted(other for other in table[room] if (room, other) not in doors)
        findings += [f"{room}: the table lets it include {other}, which it does not" for other in unused]
    return findings


def fixed_rules(doors):
    """Findings that no table can allow."""
    findings = [f"{place}: {room} includes {other}; index alone may" for (room, other), place in sorted(doors.items())
                if other in ("cpu", "cuda") and room != "index"]
    circle = find_circle({room for door in doors for room in door}, doors)
    if circle:
        places = ", ".join(doors[door] for door in zip(circle, circle[1:]))
        findings.append(f"rooms in a circle: {' -> '.join(circle)} ({places})")
    return findings


def find_circle(rooms, doors):
    """Rooms along a circle of doors, the first again at the end; [] without one."""
    following = collections.defaultdict(list)
    for room, other in sorted(doors):
        following[room].append(other)
    done = set()

    def walk(path):
        for other in following[path[-1]]:
            if other in path:
                return path[path.index(other):] + [other]
            if other not in done and (circle := walk(path + [other])):
                return circle
        done.add(path[-1])
        return []

    return next((circle for room in sorted(rooms) if (circle := walk([room]))), [])


def check_users(root):
    """Findings in what uses the library from outside."""
    findings = []
    for path in [p for folder in USERS for p in sources(root, folder)]:
        if any(path.is_relative_to(folder) for folder in INSIDERS):
            continue
        for line, quoted, name in includes(root, path):
            target = resolve(root, path, quoted, name)
            if target and target.parts[0] in LIBRARY and not target.is_relative_to(PUBLIC_HEADERS):
                findings.append(f"{path}:{line}: {name} is not of the public API")
    return findings


def check(root):
    """All findings; raises ValueError for a table that cannot be read."""
    table = read_table((root / "ARCHITECTURE.md").read_text(encoding="utf-8"))
    doors, findings = read_doors(root)
    rooms = {room_of(path) for folder in LIBRARY for path in sources(root, folder)} - {None}
    return findings + compare(table, doors, rooms) + fixed_rules(doors) + check_users(root)


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent.parent).resolve()
    findings = check(root)
    print("\n".join(findings) if findings else "layering: the includes are those of the table")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
