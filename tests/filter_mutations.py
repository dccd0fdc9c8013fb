#!/usr/bin/env python3
"""Shows that the tests of filters fail where the rule of filtered searches is broken, in one place after another.

    filter_mutations.py [--build build/cpu] [NAME...]     all mutations, or those whose names contain a NAME
    filter_mutations.py --check                           only whether each can be made

A mutation puts another expression in the place of one. All are compiled at once, each behind a switch that the
environment variable CONCORD_MUTATION turns on, and the sources are then written back. With each switch in turn the
tests run until one fails; a crash counts, and so does a group that takes five minutes. A line for each mutation tells
what failed first. Fails if a mutation passes all tests, or if the tests fail without one. The build folder must be
configured; it has the switches until it is built again. Standard library only.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RULE = "common/search/filter_rule.hpp"
WALK = "cpu/filtered_search.hpp"
SEARCHER = "cpu/filtered_searcher.cpp"
CURSOR = "cpu/paged_search.cpp"
DEVICE = "cuda/filtered_search.hpp"

# What a source has exactly once: [[...]] are around the expression. Then for each mutation of it a name, and what
# stands there instead.
PLACES = [
    (WALK, "[[i < core::FilterRule::kSeeds]]", {"seeds: none": "false"}),
    (CURSOR, "[[i < core::FilterRule::kSeeds]]", {"seeds: none for a cursor": "false"}),
    (DEVICE, "[[i < core::FilterRule::kSeeds]]", {"seeds: none on a device": "false"}),
    (
        RULE,
        "[[(2 * std::uint64_t{i} + 1) * count]]",
        {"seeds: the first matches": "(2 * std::uint64_t{i} + 1) * 64"},
    ),
    (WALK, "[[rule_.gives_up(work_, hops)]]", {"giving up: never": "false"}),
    (CURSOR, "given_up = [[gives_up()]];\n      }", {"giving up: not within a page": "false"}),
    (DEVICE, "[[rule_.gives_up(work_, hops)]]", {"giving up: never on a device": "false"}),
    (WALK, "[[rule_.costs_a_scan(work_)]]", {"giving up: no closure": "false"}),
    (RULE, "if ([[costs_a_scan(work)]])", {"giving up: not where a scan is reached": "false"}),
    (RULE, "[[512 * work * width_ > hops * matches_ * stride_]]", {"giving up: not at this rate": "false"}),
    (RULE, "[[work > matches_]]", {"giving up: at twice the work of a scan": "work > 2 * matches_"}),
    (
        WALK,
        "[[derived_.expand(node, [&](std::uint32_t found) { meet(found); })]]",
        {
            "work: counts distances": "(derived_.expand(node, [&](std::uint32_t n) { meet(n); }), std::uint64_t{met_})"
        },
    ),
    (WALK, "return [[1 + bridges]];", {"work: counts the lists that are read": "1 + std::min(others_, bridges)"}),
    (DEVICE, "work_ += [[1 + bridges]];", {"work: one for each hop on a device": "1u"}),
    (
        RULE,
        "[[found >= M_]]",
        {"bridges: none": "true", "bridges: also where enough matches are met": "false"},
    ),
    (RULE, "[[larger(2 * M_, kWanted)]]", {"bridges: for 2 M however small M is": "2 * M_"}),
    (
        WALK,
        "[[queued < bridges ? std::min(others_, bridges) : queued]]",
        {"bridges: one hop alone": "queued"},
    ),
    (
        RULE,
        "[[lists < kMostBridges ? static_cast<std::uint32_t>(lists) : kMostBridges]]",
        {
            "bridges: half the cap": "static_cast<std::uint32_t>(lists < 256 ? lists : 256)",
            "bridges: twice the cap": "static_cast<std::uint32_t>(lists < 1024 ? lists : 1024)",
        },
    ),
    (WALK, "j < others_ && [[j < bridges]]", {"visits: 32 lists for each hop": "j < bridges && j < 32"}),
    (
        WALK,
        "[[reach_.ends(list_, list_.closest())]]",
        {"visits: no more than ef": "hops > ef || reach_.ends(list_, list_.closest())"},
    ),
    (
        SEARCHER,
        "[[scratch.list.size() >= wanted()]]; };\n    in_view([&](const auto& within) {\n      for",
        {"too few: a walk is taken as it is": "true"},
    ),
    (
        SEARCHER,
        "[[scratch.list.size() >= wanted()]]; };\n    in_view([&](const auto& within) {\n      const",
        {"too few: a walk with groups is taken as it is": "true"},
    ),
    (
        SEARCHER,
        "const IsMatch& is_match) const {\n    if ([[scratch.list.size() < wanted()]])",
        {"too few: a range search spreads from a short walk": "false"},
    ),
    (DEVICE, "[[storage.list.size() >= wanted]]", {"too few: a device's walk is taken as it is": "true"}),
    (
        CURSOR,
        "[[walk.frontier.empty() && walk.by_width.size() < count]]",
        {"too few: a cursor ends": "false"},
    ),
    (SEARCHER, "[[some_died && tombstones.is_dead(id, live.size)]]", {"the dead: a scan meets them": "false"}),
    (
        WALK,
        "[[bits_[id] != 0 && !tombstones_->is_dead(id, size_)]]",
        {"the dead: a walk meets them": "bits_[id] != 0"},
    ),
    (CURSOR, "if (id >= end_ || [[is_dead(id)]]) return;", {"the dead: a cursor counts them": "false"}),
    (
        SEARCHER,
        "return [[searcher_.graph_.tombstones().is_dead(id, live.size)]];",
        {"the dead: they count as matches": "false"},
    ),
    (
        RULE,
        "[[(std::uint64_t{1} << 13)]]",
        {
            "scan: at half the matches": "(std::uint64_t{1} << 12)",
            "scan: at twice the matches": "(std::uint64_t{1} << 14)",
        },
    ),
]
NAMES = [name for _, _, others in PLACES for name in others]

SWITCH = """
inline bool is_mutated(int number) {
  static const char* const chosen = std::getenv("CONCORD_MUTATION");
  static const int mutation = chosen == nullptr ? 0 : std::atoi(chosen);
  return mutation == number;
}
"""

TESTS = {
    "common_one_thread": "FilterRule*",
    "cpu_one_thread": "*Filter*",
    "api": "*Filter*:Cursor*:ShortWalk*",
    "cuda_one_thread": "*Filter*",
}


def switched(expression, others):
    """The expression, or another one where a switch is on."""
    for name, other in others.items():
        expression = f"(::concord::core::is_mutated({NAMES.index(name) + 1}) ? {other} : {expression})"
    return expression


def with_switches(texts):
    """The sources with all switches."""
    changed = dict(texts)
    for path, place, others in PLACES:
        before, expression, after = re.fullmatch(r"(.*?)\[\[(.*)\]\](.*)", place, re.DOTALL).groups()
        old = before + expression + after
        if texts[path].count(old) != 1:
            sys.exit(f"{path} has {texts[path].count(old)} times, not once: {old}")
        changed[path] = changed[path].replace(old, before + switched(expression, others) + after)
    changed[RULE] = changed[RULE].replace("#include <cstdint>", "#include <cstdint>\n#include <cstdlib>")
    changed[RULE] = changed[RULE].replace("namespace concord::core {\n", "namespace concord::core {\n" + SWITCH, 1)
    return changed


def write(texts):
    """Writes sources."""
    for path, text in texts.items():
        (ROOT / path).write_text(text, encoding="utf-8")


def built(build):
    """Builds the groups; what the compiler says if that fails."""
    targets = [f"concord_{group}_tests" for group in TESTS]
    done = subprocess.run(["cmake", "--build", build, "-j2", "--target", *targets], capture_output=True, text=True)
    return "" if done.returncode == 0 else done.stdout[-6000:]


def failure(build, number):
    """The first test that fails with a switch on, or None."""
    for group, chosen in TESTS.items():
        program = build / "tests" / group.removesuffix("_one_thread") / f"concord_{group}_tests"
        command = [program, f"--gtest_filter={chosen}", "--gtest_fail_fast", "--gtest_brief=1"]
        variables = os.environ | {"CONCORD_MUTATION": str(number)}
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=variables)
        except subprocess.TimeoutExpired:
            return f"{group}: takes more than five minutes"
        if done.returncode != 0:
            failed = re.findall(r"\[  FAILED  \] ([\w./]+)", done.stdout)
            return f"{group}: {failed[0] if failed else f'ends with {done.returncode}'}"
    return None


def main():
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/cpu")
    parser.add_argument("--check", action="store_true", help="only whether each mutation can be made")
    parser.add_argument("names", nargs="*", help="parts of the names of the mutations to try")
    options = parser.parse_args()
    texts = {path: (ROOT / path).read_text(encoding="utf-8") for path, _, _ in PLACES}
    changed = with_switches(texts)
    if options.check:
        return 0
    try:
        write(changed)
        said = built(options.build)
    finally:
        write(texts)
    if said:
        sys.exit(said)
    wrong = failure(options.build, 0)
    if wrong:
        sys.exit(f"without a mutation: {wrong}")
    survivors = 0
    for number, name in enumerate(NAMES, 1):
        if options.names and not any(part in name for part in options.names):
            continue
        found = failure(options.build, number)
        survivors += found is None
        print(f"{name:<52} {found or 'PASSES ALL TESTS'}", flush=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
