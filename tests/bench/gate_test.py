"""bench/gate: what is worse fails, what is not passes, and the fixed work gives the same figures twice.

    gate_test.py [BUILD]      BUILD: a release build without CUDA; without it only the comparison is tested
"""

import copy
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest
from unittest import mock

BUILD = os.path.abspath(sys.argv.pop(1)) if len(sys.argv) > 1 else None
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench", "gate")
sys.path.insert(0, FOLDER)
sys.dont_write_bytecode = True

import gate  # noqa: E402

FIGURES = {
    "compiler": "c++ 12",
    "cases": {"one": {"digest": "00ff", "hops per query": 50.0, gate.BUILD_INSTRUCTIONS: 10_000}},
}


def changed(what, value, case="one"):
    figures = copy.deepcopy(FIGURES)
    figures["cases"][case][what] = value
    return figures


class Compare(unittest.TestCase):
    def worse(self, after, before=FIGURES):
        return gate.compare(before, after)[1]

    def test_the_same_is_not_worse(self):
        self.assertEqual(self.worse(FIGURES), [])

    def test_any_figure_more_than_one_per_cent_up_is_worse(self):
        for what, value in (("hops per query", 50.6), (gate.BUILD_INSTRUCTIONS, 10_101)):
            self.assertEqual(len(self.worse(changed(what, value))), 1)
            self.assertIn(what, self.worse(changed(what, value))[0])

    def test_less_than_one_per_cent_is_not(self):
        self.assertEqual(self.worse(changed(gate.BUILD_INSTRUCTIONS, 10_099)), [])

    def test_better_is_not_worse_and_is_said(self):
        lines, worse = gate.compare(FIGURES, changed("hops per query", 40.0))
        self.assertEqual(worse, [])
        self.assertTrue(any("better: record it" in line for line in lines))

    def test_another_digest_is_worse(self):
        self.assertEqual(len(self.worse(changed("digest", "00fe"))), 1)

    def test_what_was_nothing_may_not_become_something(self):
        self.assertEqual(len(self.worse(FIGURES, changed("hops per query", 0))), 1)

    def test_figures_and_cases_do_not_vanish(self):
        after = copy.deepcopy(FIGURES)
        del after["cases"]["one"]["hops per query"]
        self.assertEqual(len(self.worse(after)), 1)
        self.assertEqual(len(self.worse({"compiler": "c++ 12", "cases": {}})), 1)

    def test_a_new_case_is_not_compared(self):
        after = copy.deepcopy(FIGURES)
        after["cases"]["two"] = {"hops per query": 1.0}
        self.assertEqual(self.worse(after), [])

    def test_one_shard_costs_two_per_cent(self):
        def cost(instructions):
            return gate.shard_costs({"cases": {gate.ITS_INDEX: {gate.BUILD_INSTRUCTIONS: 10_000},
                                               gate.ONE_SHARD: {gate.BUILD_INSTRUCTIONS: instructions}}})
        self.assertEqual(cost(10_200), [])
        self.assertEqual(len(cost(10_201)), 1)
        self.assertEqual(gate.shard_costs(FIGURES), [])

    def test_instructions_of_another_compiler_are_not_compared(self):
        after = changed(gate.BUILD_INSTRUCTIONS, 99_999)
        after["compiler"] = "c++ 13"
        lines, worse = gate.compare(FIGURES, after)
        self.assertEqual(worse, [])
        self.assertIn("not compared", lines[0])
        after["cases"]["one"]["hops per query"] = 60.0
        self.assertEqual(len(self.worse(after)), 1)


class Commits(unittest.TestCase):
    """Two commits of a repository whose library is one line."""

    CMAKE = """cmake_minimum_required(VERSION 3.25)
project(small CXX)
add_library(concord_static STATIC one.cpp)
set_target_properties(concord_static PROPERTIES OUTPUT_NAME concord)
"""

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        for name, value in (("ROOT", self.root), ("GATE", self.root / "build" / "gate")):
            patch = mock.patch.object(gate, name, value)
            patch.start()
            self.addCleanup(patch.stop)
        self.git("init", "-q")
        (self.root / "CMakeLists.txt").write_text(self.CMAKE)
        self.commit("first")
        self.commit("second")
        self.write("uncommitted")

    def git(self, *arguments):
        subprocess.run(["git", "-C", self.root, "-c", "user.name=t", "-c", "user.email=t@t", *arguments], check=True)

    def write(self, name):
        (self.root / "one.cpp").write_text(f"int {name}() {{ return 1; }}\n")

    def commit(self, name):
        self.write(name)
        self.git("add", "-A")
        self.git("commit", "-q", "-m", name)

    def test_each_commit_and_the_working_tree_are_built_from_their_own_files(self):
        for commit, name in (("HEAD~1", "first"), ("HEAD", "second"), (None, "uncommitted"), ("HEAD", "second")):
            source, build = gate.build_commit(commit)
            self.assertIn(name, (source / "one.cpp").read_text())
            self.assertIn(name.encode(), (build / "libconcord.a").read_bytes())

    def test_what_was_unpacked_in_part_is_unpacked_anew(self):
        name = subprocess.run(["git", "-C", self.root, "rev-parse", "HEAD"], check=True,
                              capture_output=True, text=True).stdout[:12]
        partial = gate.GATE / name / "partial"
        partial.mkdir(parents=True)
        (partial / "left-over").write_text("")
        source, _ = gate.build_commit("HEAD")
        self.assertEqual(sorted(path.name for path in source.iterdir()), ["CMakeLists.txt", "one.cpp"])

    def test_no_such_commit(self):
        with self.assertRaisesRegex(gate.CannotTell, "nothing"):
            gate.build_commit("nothing")


@unittest.skipUnless(BUILD, "no build without CUDA")
class Program(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.recorded = os.path.join(self.folder.name, "recorded.json")

    def run_gate(self, *arguments):
        command = [sys.executable, os.path.join(FOLDER, "gate.py"), "--build", BUILD, "--no-instructions"]
        return subprocess.run([*command, "--recorded", self.recorded, *arguments], text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)

    def test_twice_the_same_then_made_worse(self):
        self.assertEqual(self.run_gate("--record").returncode, 0)
        again = self.run_gate()
        self.assertEqual(again.returncode, 0, again.stdout)
        self.assertEqual(again.stdout.count("+0.000%"), 5 * 8, again.stdout)
        with open(self.recorded, encoding="utf-8") as file:
            figures = json.load(file)
        case = figures["cases"]["l2sq-float"]
        for what in ("distances per insert", "bytes allocated by the build"):
            worse = copy.deepcopy(figures)
            worse["cases"]["l2sq-float"][what] = case[what] * 0.985  # what was recorded was less
            with open(self.recorded, "w", encoding="utf-8") as file:
                json.dump(worse, file)
            failed = self.run_gate()
            self.assertEqual(failed.returncode, 1, failed.stdout)
            self.assertIn(f"l2sq-float: {what} was", failed.stdout)

    def test_a_build_that_is_not_there(self):
        gone = subprocess.run([sys.executable, os.path.join(FOLDER, "gate.py"), "--build", self.folder.name],
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual(gone.returncode, 2, gone.stdout)
        self.assertIn("libconcord.a", gone.stdout)


if __name__ == "__main__":
    unittest.main()
