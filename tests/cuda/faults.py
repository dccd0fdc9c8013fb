#!/usr/bin/env python3
"""Plants faults in the device algorithms, one at a time, and expects a test on the host to fail for each.

    faults.py FOLDER [--only 3,17] [--table]     FOLDER: of a copy of the tree and its build, made unless it is there
    faults.py                                    looks only whether each fault has a place in the sources

All faults are compiled into one copy of the tree, and CONCORD_FAULT in the environment chooses one. So there is one
build, and then a run of the tests for each fault, up to the first test that fails. Prints fault and test; with
--table as Markdown. Exit code 1 if a fault is not found. Needs a compiler, CMake and GoogleTest, as the tests do.

What a fault of speed alone would be is left out: a result cannot tell it. So is what only a device can tell.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]


class Fault(NamedTuple):
    file: str  # in cuda/
    text: str  # an expression, or statements, which end with a semicolon; occurs once
    fault: str  # in its place
    what: str


FAULTS = [
    Fault("device_distance.hpp", "std::fma(x, y, z)", "x * y + z", "a product is rounded before it is added"),
    Fault("device_distance.hpp", "Canonical::add(Canonical::add(r[0], r[2]), Canonical::add(r[1], r[3]))",
          "Canonical::add(Canonical::add(r[0], r[1]), Canonical::add(r[2], r[3]))", "quads are added in another order"),
    Fault("device_distance.hpp", "team.shuffle_xor(sum, mask)", "team.shuffle_xor(sum, 4 / mask)",
          "lanes are added in the order of CUB"),
    Fault("device_distance.hpp", "team.shuffle_xor(theirs, kMask)", "team.shuffle_xor(mine, kMask)",
          "a scattered reduction adds its own half"),
    Fault("device_distance.hpp", "piece < pieces ? Source::load(team, vector + 4 * piece) : Float4{0, 0, 0, 0}",
          "piece + 1 < pieces ? Source::load(team, vector + 4 * piece) : Float4{0, 0, 0, 0}",
          "the last piece of a vector is left out"),
    Fault("distance_tile.hpp", "task.first + first_vector >= task.causal_begin + last",
          "task.first + first_vector + 1 >= task.causal_begin + last", "a tile of the tail ends one node early"),
    Fault("visited_table.hpp", "tag_at(word, 0, mask) == tag", "(tag_at(word, 0, mask) & 0xFF) == (tag & 0xFF)",
          "the visited table invents ids"),
    Fault("candidate_list.hpp", "(keys_[position] & ~kExpanded) != key", "true", "a key enters the list twice"),
    Fault("candidate_list.hpp", "keys_[first + half] < key", "keys_[first + half] <= key",
          "an equal key is looked for behind itself"),
    Fault("candidate_list.hpp", "batch.position(j) <= i", "batch.position(j) < i",
          "a new key overwrites an old one"),
    Fault("candidate_list.hpp", "place += batch.key(other) < mine ? 1 : 0;",
          "place += batch.key(other) > mine ? 1 : 0;", "new keys are merged in descending order"),
    Fault("candidate_list.hpp", "size_ < capacity_ ? kWorstKey : key(capacity_ - 1)",
          "size_ == 0 ? kWorstKey : key(size_ - 1)", "a list that is not full rejects keys"),
    Fault("candidate_list.hpp", "slot >= kBatchCapacity", "slot + 1 >= kBatchCapacity",
          "the last place of a batch is not used"),
    Fault("candidate_list.hpp", "parity_ ^= 1;\n    if (team.rank() == 0) states_[parity_] = BatchState{0, kNoPosition};",
          "parity_ ^= 1;", "a batch is not cleared"),
    Fault("candidate_list.hpp", "if (team.rank() == 0 && expanded < size_) keys_[expanded] |= kExpanded;",
          ";", "an entry is not marked as expanded"),
    Fault("candidates.hpp", "if (batch_.lowest() < from_) from_ = batch_.lowest();", ";",
          "nearer entries that come later are not expanded"),
    Fault("candidates.hpp", "accepted_.admits(others_.closest())", "true",
          "a search goes on behind the last of ef results"),
    Fault("candidates.hpp", "others_.closest() < accepted_.closest()", "false",
          "ids that may not be returned are not walked through"),
    Fault("beam_search.hpp", "id < kContinued && fresh(id)", "id < kContinued && id % 61 != 60 && fresh(id)",
          "some neighbors are not scored"),
    Fault("beam_search.hpp", "slot < width ? links[slot] : kNoNode", "slot + 1 < width ? links[slot] : kNoNode",
          "the last place of a list is not read"),
    Fault("beam_search.hpp", "node == ready_node", "ready_node != kNoNode",
          "the list of the runner-up is taken for another"),
    Fault("beam_search.hpp", "links = view.continuation(links, layer);\n      if (links == nullptr) break;", "break;",
          "continuations are not read in layer 0"),
    Fault("beam_search.hpp", "reach.ends(storage.list, closest)", "false", "a reach does not end a search"),
    Fault("beam_search.hpp", "batch.key(j) < best", "batch.key(j) < best && j == 0",
          "a descent looks at one nearer neighbor"),
    Fault("propose.hpp", "layer == 0 || view.levels[id] >= layer", "layer == 0 || view.levels[id] > layer",
          "the tail of an upper layer lacks its own level"),
    Fault("propose.hpp", "current = storage.list.key(0);", "current = storage.list.key(storage.list.size() - 1);",
          "the next layer begins at the farthest candidate"),
    Fault("propose.hpp", "layer > level", "layer > level + 1", "a descent ends one layer early"),
    Fault("propose.hpp", "node - task.sealed_end", "(node - task.sealed_end) / 2",
          "half of the tail is not compared"),
    Fault("merge_distances.hpp", "quad * 4 + e >= n", "quad * 4 + e > n", "what is behind the end is merged"),
    Fault("merge_distances.hpp", "if (!again) return;", "return;", "what did not fit into a batch is lost"),
    Fault("select_neighbors.hpp", "between < core::key_distance(candidate)",
          "between <= core::key_distance(candidate)", "an equal distance dominates"),
    Fault("select_neighbors.hpp", "!dominates(between[0], candidate) && !dominates(between[1], candidate)",
          "!dominates(between[0], candidate)", "every second neighbor of earlier windows is not asked"),
    Fault("select_neighbors.hpp", "if (kept_count_ != 0) screen(base, size);",
          "if (kept_count_ != 0 && team_.rank() == 0) store(set(0), Bits::first(size));\n      team_.sync();",
          "later windows are not screened"),
    Fault("score_list.hpp", "mine.distance[j] < core::key_distance(storage.keys[b])",
          "mine.distance[j] <= core::key_distance(storage.keys[b])", "an equal distance dominates in a list"),
    Fault("score_list.hpp", "side * (side + 1) / 2", "side * (side + 1) / 2 - (side > 1 ? 1 : 0)",
          "the last tile of pairs is left out"),
    Fault("exact_knn.hpp", "stretch.first < task.k ? stretch.first : task.k", "0", "earlier stretches are forgotten"),
    Fault("exact_knn.hpp", "(stretch.first_query + index)", "(index)", "later queries write to the first ones"),
    Fault("take_rows.hpp", "!(squared_norm <= task.most_squared_norm)", "squared_norm > task.most_squared_norm",
          "a NaN is taken"),
    Fault("take_rows.hpp", "e < task.dimension && !(scaled && scales[r] < 0)",
          "e < task.stride && !(scaled && scales[r] < 0)", "padding is not zero"),
    Fault("take_rows.hpp", "2.0 * task.dimension * square <= task.most_squared_norm",
          "square <= task.most_squared_norm", "a row that must be refused passes as small"),
    Fault("append_links.hpp", "task.upper_offset[*ids] + (layer - 1)", "task.upper_offset[*ids]",
          "links of upper layers go to layer 1"),
    Fault("append_links.hpp", "position > 0 && gains.list[position - 1] == list", "false",
          "each link of a run appends the rest of it"),
    Fault("append_links.hpp", "if (ids[place] == kNoNode) continue;", "if (ids[place] == kNoNode) break;",
          "a refused link ends a list"),
    Fault("append_links.hpp", "while (place < width && ids[place] != kNoNode) ++place;", ";",
          "gains overwrite a list"),
    Fault("write_results.hpp", "place < found", "place <= found", "one more than was found is written"),
    Fault("write_results.hpp", "query * task.labels_stride", "query * task.k", "a stride is not heeded"),
    Fault("filtered_search.hpp", "bridges = rule_.bridges(found.matches, found.matches + found.others);",
          "bridges = 0;", "no node is crossed"),
    Fault("filtered_search.hpp", "is_other && to < kBridges", "is_other && to < 8", "few nodes are crossed"),
    Fault("filtered_search.hpp", "place + bit_count(others & ((1u << team_.lane()) - 1))",
          "place + bit_count(others) - 1 - bit_count(others & ((1u << team_.lane()) - 1))",
          "nodes are crossed in descending order"),
    Fault("filtered_search.hpp", "if (warp < team_.warp()) place += of_warp.others;", "place += 0 * of_warp.others;",
          "warps write to the same places"),
    Fault("filtered_search.hpp", "is_match ? nearest : kWorstKey", "nearest", "a walk begins at what does not match"),
    Fault("filtered_search.hpp", "place < end && !is_copy(first, place)", "place < end", "copies are scored"),
    Fault("filtered_search.hpp", "first += kBatchCapacity", "first += 2 * kBatchCapacity", "a scan leaves out every second batch"),
]

HEADER = """#pragma once
#include <cstdlib>
namespace concord::cuda {
inline const int chosen_fault = [] {
  const char* const text = std::getenv("CONCORD_FAULT");
  return text == nullptr ? 0 : std::atoi(text);
}();
}  // namespace concord::cuda
"""

# Programs with what they run, the quickest first.
HOST = "HostKernel*:FilteredKernels.Host*:FilteredKernels.AScan*:AcceptedIds.*"
PROGRAMS = [("one_thread_tests", HOST), ("tests", "TakeRows*:DeviceVisitedTable.*:EpochLinks.*:ResultsThere.*"),
            ("one_thread_tests", f"*-{HOST}"), ("tests", "*-BesideTheWriter.*")]
SECONDS = 300  # for one program; a fault may keep it from ending


def misplaced(root):
    """What is wrong with the list, as cuda/ is now."""
    for number, fault in enumerate(FAULTS, 1):
        count = (root / "cuda" / fault.file).read_text(encoding="utf-8").count(fault.text)
        if count != 1:
            yield f"fault {number}: {fault.file} has {count} times, not once: {fault.text}"


def planted(text, fault, number):
    chosen = f"concord::cuda::chosen_fault == {number}"
    if fault.text.endswith(";"):
        both = f"if ({chosen}) {{ {fault.fault} }} else {{ {fault.text} }}"
    else:
        both = f"({chosen} ? ({fault.fault}) : ({fault.text}))"
    return text.replace(fault.text, both)


def plant(source):
    """All faults, in a copy of cuda/. Its headers may then do what compilers warn of."""
    for name in sorted({fault.file for fault in FAULTS}):
        path = source / "cuda" / name
        text = path.read_text(encoding="utf-8")
        for number, fault in enumerate(FAULTS, 1):
            if fault.file == name:
                text = planted(text, fault, number)
        text = text.replace("#pragma once\n", '#pragma once\n#pragma GCC system_header\n#include "cuda/chosen_fault.hpp"\n', 1)
        path.write_text(text, encoding="utf-8")
    (source / "cuda" / "chosen_fault.hpp").write_text(HEADER, encoding="utf-8")


def build(folder):
    """The test programs of a copy of the working tree in `folder`, in the order of PROGRAMS."""
    names = subprocess.run(["git", "-C", ROOT, "ls-files", "-z"], check=True, capture_output=True).stdout
    folder.mkdir(parents=True)
    tar = subprocess.run(["tar", "-C", ROOT, "--null", "-T", "-", "-c"], check=True, input=names, capture_output=True)
    subprocess.run(["tar", "-C", folder, "-x"], check=True, input=tar.stdout)
    plant(folder)
    environment = {**os.environ, "CCACHE_BASEDIR": str(folder), "CCACHE_NOHASHDIR": "1"}
    ccache = ["-DCMAKE_CXX_COMPILER_LAUNCHER=ccache"] if shutil.which("ccache") else []
    targets = sorted({f"concord_cuda_{name}" for name, _ in PROGRAMS})
    for command in (["cmake", "--preset", "cpu", "-DCONCORD_BENCH=OFF", *ccache],
                    ["cmake", "--build", "build/cpu", "--target", *targets]):
        subprocess.run(command, check=True, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def found_by(folder, number):
    """The first test that fails with a fault, or None."""
    for name, tests in PROGRAMS:
        program = folder / "build" / "cpu" / "tests" / "cuda" / f"concord_cuda_{name}"
        try:
            result = subprocess.run([program, f"--gtest_filter={tests}", "--gtest_fail_fast", "--gtest_brief=0"],
                                    check=False, text=True, errors="replace", stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, timeout=SECONDS, cwd=folder,
                                    env={**os.environ, "CONCORD_FAULT": str(number)})
            output, how = result.stdout, "" if result.returncode == 1 else ", which ends the program"
            if result.returncode == 0:
                continue
        except subprocess.TimeoutExpired as stopped:
            output, how = (stopped.stdout or b"").decode(errors="replace"), ", which does not end"
        failed = re.findall(r"^\[  FAILED  \] ([^\s,]+)", output, re.MULTILINE)
        running = re.findall(r"^\[ RUN      \] (\S+)", output, re.MULTILINE)
        return (failed[:1] or running[-1:])[0] + how
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--only", default="", help="numbers of faults, e.g. 3,17")
    parser.add_argument("--table", action="store_true", help="print Markdown")
    options = parser.parse_args()
    if wrong := list(misplaced(ROOT)):
        sys.exit("\n".join(wrong))
    if not options.folder:
        print(f"{len(FAULTS)} faults have their places")
        return 0
    folder = options.folder.resolve()
    if not folder.exists():
        build(folder)
    if (test := found_by(folder, 0)) is not None:
        sys.exit(f"faults.py: without a fault {test} fails")
    only = {int(number) for number in options.only.split(",") if number}
    unfound = 0
    for number, fault in enumerate(FAULTS, 1):
        if only and number not in only:
            continue
        test = found_by(folder, number)
        unfound += test is None
        cells = (number, fault.file, fault.what, test or "**nothing**")
        print(("| {} | `{}` | {} | {} |" if options.table else "{:3} {}: {}: {}").format(*cells), flush=True)
    print(f"{unfound} faults were not found", file=sys.stderr)
    return 1 if unfound else 0


if __name__ == "__main__":
    sys.exit(main())
