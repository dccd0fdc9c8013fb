"""The report of bench/gpu_report.sh, on a machine without a GPU: its arithmetic, what it makes of
compute-sanitizer's output, and a rehearsal of a part.

    gpu_report_test.py CONCORD_BENCH
"""

import json
import os
import subprocess
import sys
import tempfile
import unittest

BENCH = os.path.abspath(sys.argv.pop(1))
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "bench")
sys.path.insert(0, FOLDER)
sys.dont_write_bytecode = True

import gpu_report_page  # noqa: E402
from gpu_report_sanitizer import sanitizer_result  # noqa: E402

RACE = """========= Error: Race reported between Write access at propose_kernel+0x90 in /s/{}:92
=========     and Read access at propose_kernel+0xa0 in /s/{}:88 [2048 hazards]
=========
========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)
"""
UNINITIALIZED = """========= Uninitialized __global__ memory read of size 16 bytes
=========     at __ldg(const float4 *)+0x9240 in sm_32_intrinsics.hpp:137
=========         Device Frame: void concord::cuda::merge_distances<T>(T &)+0x10 in merge_distances.hpp:31
========= ERROR SUMMARY: 1 error
"""


def run(*arguments):
    return subprocess.run([os.path.join(FOLDER, "gpu_report.sh"), *arguments], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


class Rates(unittest.TestCase):
    points = [{"ef": 10, "recall": 0.92, "qps": 1000}, {"ef": 20, "recall": 0.96, "qps": 100}]

    def test_interpolates_the_logarithm(self):
        self.assertAlmostEqual(gpu_report_page.rate_at(self.points, 0.94), 10 ** 2.5)

    def test_below_the_first_point_takes_it(self):
        self.assertEqual(gpu_report_page.rate_at(self.points, 0.90), 1000)

    def test_beyond_the_last_point_is_nothing(self):
        self.assertIsNone(gpu_report_page.rate_at(self.points, 0.99))
        self.assertIsNone(gpu_report_page.rate_at([], 0.9))


class Sanitizer(unittest.TestCase):
    def result(self, first, second, code=9):
        return sanitizer_result("racecheck", "build", code, RACE.format(first, second))

    def test_the_visited_table_may_lose_entries(self):
        self.assertTrue(self.result("visited_table.hpp", "cuda_team.cuh")["ok"])

    def test_any_other_race_fails(self):
        self.assertFalse(self.result("visited_table.hpp", "beam_search.hpp")["ok"])

    def test_a_place_that_is_not_told_fails(self):
        text = RACE.format("visited_table.hpp", "cuda_team.cuh").replace(" in /s/", " of ")
        self.assertFalse(sanitizer_result("racecheck", "build", 9, text)["ok"])

    def test_a_tail_may_be_read_to_whole_16_bytes(self):
        self.assertTrue(sanitizer_result("initcheck", "build", 9, UNINITIALIZED)["ok"])
        other = UNINITIALIZED.replace("merge_distances", "score_row")
        self.assertFalse(sanitizer_result("initcheck", "build", 9, UNINITIALIZED + other)["ok"])

    def test_other_tools_go_by_their_exit_code(self):
        clean = sanitizer_result("memcheck", "x", 0, "========= ERROR SUMMARY: 0 errors")
        self.assertTrue(clean["ok"])
        self.assertFalse(sanitizer_result("memcheck", "x", 9, "")["ok"])


class Rehearsal(unittest.TestCase):
    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name
        os.symlink(BENCH, os.path.join(self.folder, "concord-bench"))

    def test_digests_and_builds_on_the_cpu(self):
        out = os.path.join(self.folder, "out")
        result = run("run", self.folder, out, "--device", "cpu", "--scale", "0.001", "--only",
                     "environment,digests,build,sanitizer")
        self.assertEqual(result.returncode, 0, result.stdout)
        with open(os.path.join(out, "report.json"), encoding="utf-8") as file:
            document = json.load(file)
        self.assertEqual(document["failed_checks"], 0)
        self.assertTrue(all(r["same"] for r in document["digests"]))
        self.assertEqual({(r["dimension"], r["ef_construction"]) for r in document["build"]},
                         {(128, 128), (128, 200), (768, 128)})
        self.assertIn("skipped", document["sanitizer"])
        with open(os.path.join(out, "report.md"), encoding="utf-8") as file:
            page = file.read()
        self.assertIn("| synthetic 1000,768 | 128 |", page)
        self.assertIn("sanitizer: skipped", page)
        self.assertLessEqual(len(os.listdir(out)), 8)

    def test_a_failing_program_fails_the_report_and_not_the_run(self):
        os.remove(os.path.join(self.folder, "concord-bench"))
        os.symlink("/bin/false", os.path.join(self.folder, "concord-bench"))
        result = run("run", self.folder, "--device", "cpu", "--scale", "0.001", "--only", "build")
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("exit code 1", result.stdout)

    def test_no_time_is_said_and_nothing_runs(self):
        result = run("run", self.folder, "--device", "cpu", "--scale", "0.001", "--only", "build",
                     "--budget", "1")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn("no time left", result.stdout)

    def test_unknown_parts_are_refused(self):
        result = run("run", self.folder, "--only", "build,coffee")
        self.assertEqual(result.returncode, 2)
        self.assertIn("unknown part coffee", result.stdout)


if __name__ == "__main__":
    unittest.main()
