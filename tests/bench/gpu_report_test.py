"""The report of bench/gpu/report.sh, on a machine without a GPU: how it divides its time, what it makes of the
programs' output, its page, and runs of it, as a rehearsal and with programs in the place of the GPU's.

    gpu_report_test.py CONCORD_BENCH
"""

import argparse
import json
import os
import re
import stat
import subprocess
import sys
import tempfile
import unittest

BENCH = os.path.abspath(sys.argv.pop(1))
ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
FOLDER = os.path.join(ROOT, "bench", "gpu")
CUDA = os.path.join(ROOT, "cuda")
sys.path.insert(0, FOLDER)
sys.dont_write_bytecode = True

import report_page  # noqa: E402
import report_parts  # noqa: E402
import report_pinned  # noqa: E402
import report_plan  # noqa: E402
import report_stalls  # noqa: E402
import unmeasured  # noqa: E402
from report_sanitizer import BY_DESIGN, by_design, found_races, lines_of, sanitizer_result  # noqa: E402

COMMITTED = os.path.join(ROOT, "bench", "results", "2026-11-23-h100", "report.json")
STALL = "smsp__average_warps_issue_stalled_{}_per_issue_active.ratio"
STALLS = f'''==PROF== Connected to process 7
"ID","Kernel Name","gpu__time_duration.sum","launch__occupancy_limit_registers","{STALL.format("barrier")}","{
    STALL.format("long_scoreboard")}"
"","","us","block","inst","inst"
"0","propose_kernel(MirrorView, ProposeTask)","1,720.5","12","0.5","3.25"
'''
RACE = """========= Error: Race reported between Write access at propose_kernel+0x90 in /s/{}
=========     and Read access at propose_kernel+0xa0 in /s/{} [2048 hazards]
=========
========= RACECHECK SUMMARY: 1 hazard displayed (1 error, 0 warnings)
"""
UNINITIALIZED = """========= Uninitialized __global__ memory read of size 16 bytes
=========     at __ldg(const float4 *)+0x9240 in sm_32_intrinsics.hpp:137
=========         Device Frame: void concord::cuda::merge_distances<T>(T &)+0x10 in {}
========= ERROR SUMMARY: 1 error
"""


def run(*arguments, path=None):
    environment = {**os.environ, "PATH": f"{path}:{os.environ['PATH']}"} if path else None
    return subprocess.run([os.path.join(FOLDER, "report.sh"), *arguments], text=True, env=environment,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)


def read(*names):
    with open(os.path.join(*names), encoding="utf-8") as file:
        return file.read()


def program(folder, name, text):
    """A program in the place of one of the GPU's."""
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)


class Plan(unittest.TestCase):
    parts = [report_plan.Part("a", 10, ""), report_plan.Part("b", 20, ""), report_plan.Part("c", 30, "")]
    total = 60 + report_plan.PAGE_SECONDS

    def allowed(self, left, index):
        return report_plan.allowance(left, index, self.parts)

    def test_the_plan_is_within_seven_minutes(self):
        self.assertEqual(report_plan.BUDGET, 363)

    def test_each_part_has_a_function(self):
        self.assertEqual([part.name for part in report_plan.PARTS], list(report_parts.FUNCTIONS))

    def test_a_part_has_what_is_planned_and_what_earlier_ones_left(self):
        self.assertAlmostEqual(self.allowed(self.total, 0), 10)
        self.assertAlmostEqual(self.allowed(self.total - 4, 1), 26)
        self.assertAlmostEqual(self.allowed(self.total - 4 - 5, 2), 51)

    def test_with_less_time_all_that_follow_are_cut_alike(self):
        self.assertAlmostEqual(self.allowed(30 + report_plan.PAGE_SECONDS, 0), 5)
        self.assertAlmostEqual(self.allowed(25 + report_plan.PAGE_SECONDS, 1), 10)

    def test_no_part_can_take_from_a_later_one(self):
        for used in (0.2, 1.0):  # of what each is allowed
            left = float(self.total)
            for index, part in enumerate(self.parts):
                allowed = self.allowed(left, index)
                self.assertGreaterEqual(allowed, part.seconds - 1e-9)
                left -= used * allowed
            self.assertGreaterEqual(left, report_plan.PAGE_SECONDS - 1e-9)

    def test_nothing_is_left_after_the_end(self):
        self.assertEqual(self.allowed(-5, 1), 0)

    def test_parts_are_chosen_in_the_order_of_the_plan(self):
        chosen = report_plan.chosen(["search", "build", "peak"], ["peak"])
        self.assertEqual([part.name for part in chosen], ["build", "search"])
        with self.assertRaisesRegex(argparse.ArgumentTypeError, "unknown part coffee"):
            report_plan.names("build,coffee")


class Pinned(unittest.TestCase):
    document = json.loads(read(COMMITTED))

    def test_a_committed_report_pins_its_digests_and_recalls(self):
        pinned = report_pinned.pinned(self.document, "/data/sift-128-euclidean.hdf5")
        self.assertEqual(pinned["digests"]["synthetic 1000000,128, ef_construction 128"],
                         "93743945c881db09a619213e878c5cee")
        self.assertEqual(pinned["digests"]["synthetic 30000,32, ef_construction 100 --M 5"],
                         "ce197391655ead8ce24bc99af0562b23")
        self.assertIn("base.u8bin, ef_construction 200", pinned["digests"])
        self.assertEqual(pinned["recalls"]["base.u8bin, 5000 queries, ef_construction 200"]["128"], 0.9926)

    def test_other_data_have_no_pinned_digest(self):
        pinned = report_pinned.pinned(self.document, "")
        self.assertEqual([key for part in pinned.values() for key in part if key.startswith("base.")], [])
        self.assertEqual(len(pinned["digests"]), 11)

    def test_a_digest_that_differed_pins_nothing(self):
        document = {"digests": [{"data": "x", "digest": "1", "same": False},
                                {"data": "y", "digest": "2", "same": None}], "build": [], "search": []}
        self.assertEqual(report_pinned.pinned(document, "")["digests"], {})


class Output(unittest.TestCase):
    def test_lines_of_cases(self):
        text = "PASS one\nFAIL two: why\nSKIP three: one GPU\nPASS four\n"
        self.assertEqual(report_parts.cases(text), (2, ["FAIL two: why"], ["SKIP three: one GPU"]))

    def test_the_last_line_of_pytest(self):
        text = "a\n===== 2 failed, 26 passed, 3 skipped, 1 error in 31.07s ======\n"
        self.assertEqual(report_parts.python_counts(text), {"passed": 26, "failed": 3, "skipped": 3})
        self.assertEqual(report_parts.python_counts("no"), {"passed": 0, "failed": 0, "skipped": 0})

    def test_stalls_in_order_with_their_units(self):
        launch, = report_stalls.launches(STALLS)
        self.assertEqual(launch["kernel"], "propose_kernel")
        self.assertAlmostEqual(launch["seconds"], 1.7205e-3)
        self.assertEqual(list(launch["stalls"].items()), [("long_scoreboard", 3.25), ("barrier", 0.5)])
        self.assertEqual(launch["block_limits"]["registers"], 12)
        self.assertEqual(report_stalls.launches("==ERROR== no permission"), [])


class Rates(unittest.TestCase):
    points = [{"ef": 10, "recall": 0.92, "qps": 1000}, {"ef": 20, "recall": 0.96, "qps": 100}]

    def test_interpolates_the_logarithm(self):
        self.assertAlmostEqual(report_page.rate_at(self.points, 0.94), 10 ** 2.5)

    def test_below_the_first_point_takes_it(self):
        self.assertEqual(report_page.rate_at(self.points, 0.90), 1000)

    def test_beyond_the_last_point_is_nothing(self):
        self.assertIsNone(report_page.rate_at(self.points, 0.99))
        self.assertIsNone(report_page.rate_at([], 0.9))


def place(name, text):
    """Where a line of cuda/ that has the text is, as the tools write it."""
    lines = read(CUDA, name).splitlines()
    return f"{name}:{next(number for number, line in enumerate(lines, 1) if text in line)}"


class Sanitizer(unittest.TestCase):
    places = by_design(CUDA)
    reads, writes = place("visited_table.hpp", "team.load_relaxed("), place("visited_table.hpp", "team.store_relaxed(")

    def races(self, first, second):
        return sanitizer_result("racecheck", "build", 9, RACE.format(first, second), self.places["racecheck"])["ok"]

    def reads_unwritten(self, text):
        return sanitizer_result("initcheck", "build", 9, text, self.places["initcheck"])["ok"]

    def test_the_visited_table_may_lose_entries(self):
        self.assertTrue(self.races(self.writes, self.reads))
        self.assertTrue(self.races(place("cuda_team.cuh", "static_cast<volatile"), self.writes))

    def test_other_functions_of_its_files_may_not_race(self):
        self.assertFalse(self.races(self.writes, place("visited_table.hpp", "sets_[j] = ~")))
        self.assertFalse(self.races(self.writes, place("cuda_team.cuh", "atomicOr_block(")))

    def test_any_other_race_fails(self):
        self.assertFalse(self.races(self.writes, "beam_search.hpp:" + self.writes.split(":")[1]))
        self.assertFalse(sanitizer_result("racecheck", "build", 9, RACE.format(self.writes, self.reads), [])["ok"])

    def test_a_place_that_is_not_told_fails(self):
        text = RACE.format(self.writes, self.reads).replace(" in /s/", " of ")
        self.assertFalse(sanitizer_result("racecheck", "build", 9, text, self.places["racecheck"])["ok"])

    def test_a_planted_race_must_be_found(self):
        planted = RACE.format("hazards.cu:92", "hazards.cu:88")
        self.assertTrue(found_races(planted, self.places["racecheck"]))
        self.assertFalse(found_races("========= RACECHECK SUMMARY: 0 hazards displayed", self.places["racecheck"]))
        self.assertFalse(found_races(RACE.format(self.writes, self.reads), self.places["racecheck"]))

    def test_a_tail_may_be_read_to_whole_16_bytes(self):
        load = place("merge_distances.hpp", "team.load4(")
        self.assertTrue(self.reads_unwritten(UNINITIALIZED.format(load)))
        for other in ("merge_distances.hpp:1", "score_list.hpp:31"):
            self.assertFalse(self.reads_unwritten(UNINITIALIZED.format(load) + UNINITIALIZED.format(other)))
        self.assertFalse(self.reads_unwritten(UNINITIALIZED.format(load).replace("size 16", "size 4")))

    def test_a_function_is_known_by_its_lines(self):
        text = "int f(int);\n// f\nint f(int a) {\n  if (a) {\n  }\n  return g(a);\n}\nint g(int) {}\n"
        self.assertEqual(lines_of(text, "f"), (3, 7))
        self.assertEqual(lines_of(text, "g"), (8, 8))
        with self.assertRaises(ValueError):
            lines_of(text, "h")

    def test_nothing_but_the_table_uses_the_relaxed_accessors(self):
        users = {name for name in os.listdir(CUDA) if re.search(r"\b(load|store)_relaxed\(", read(CUDA, name))}
        files = {name for name, _ in BY_DESIGN["racecheck"]}
        self.assertEqual(users, files | {"team.hpp"})  # which defines them for the host

    def test_other_tools_go_by_their_exit_code(self):
        clean = sanitizer_result("memcheck", "x", 0, "========= ERROR SUMMARY: 0 errors", [])
        self.assertTrue(clean["ok"])
        self.assertFalse(sanitizer_result("memcheck", "x", 9, "", [])["ok"])


class Reports(unittest.TestCase):
    """A prepared folder, made of what a machine without a GPU has."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.folder = scratch.name
        self.out = os.path.join(self.folder, "out")

    def replace_bench(self, text):
        path = os.path.join(self.folder, "concord-bench")
        if os.path.lexists(path):
            os.remove(path)
        program(self.folder, "concord-bench", text)

    def document(self):
        return json.loads(read(self.out, "report.json"))

    def page(self):
        return read(self.out, "report.md")


class Rehearsal(Reports):
    def setUp(self):
        super().setUp()
        os.symlink(BENCH, os.path.join(self.folder, "concord-bench"))

    def rehearse(self, only, *more):
        return run("run", self.folder, self.out, "--device", "cpu", "--scale", "0.001", "--only", only, *more)

    def test_builds_and_searches_on_the_cpu(self):
        result = self.rehearse("environment,sanitizer,digests,build,wide,search,committer")
        self.assertEqual(result.returncode, 0, result.stdout)
        document = self.document()
        self.assertEqual(document["failed_checks"], 0)
        self.assertEqual({row["same"] for row in document["digests"]}, {None})
        self.assertEqual([row["threads"] for row in document["committer"]], report_parts.WRITER_THREADS)
        self.assertEqual({p["ef"] for p in document["search"][0]["points"]}, set(report_parts.EFS))
        for text in ("| synthetic 1000,768 | 128 |", "sanitizer: skipped, a rehearsal", "not pinned",
                     "## Threads of the writer", "## Search"):
            self.assertIn(text, self.page())
        self.assertLessEqual(len(os.listdir(self.out)), 8)

    def test_a_digest_other_than_the_pinned_one_fails(self):
        pinned = {"digests": {"synthetic 1000,128, ef_construction 128": "0" * 32}, "recalls": {}}
        program(self.folder, "pinned.json", json.dumps(pinned))
        result = self.rehearse("build")
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("FAILED digest of synthetic 1000,128", result.stdout)
        self.assertIn("**DIFFERENT**", self.page())

    def test_a_recall_other_than_the_pinned_one_fails(self):
        key = "synthetic 1000,128, 1000 queries, ef_construction 200"
        program(self.folder, "pinned.json", json.dumps({"digests": {}, "recalls": {key: {"48": 0.5}}}))
        result = self.rehearse("search")
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("FAILED recall at ef 48", result.stdout)

    def test_a_failing_program_fails_the_report_and_not_the_run(self):
        self.replace_bench("#!/bin/false\n")
        result = self.rehearse("digests,build")
        self.assertEqual(result.returncode, 1, result.stdout)
        self.assertIn("exit code 1", result.stdout)
        self.assertEqual(self.document()["build"], [])

    def test_no_time_is_said_and_nothing_runs(self):
        result = self.rehearse("build", "--budget", "1")
        self.assertEqual(result.returncode, 0, result.stdout)
        self.assertIn("no time left", result.stdout)

    def test_unknown_parts_are_refused(self):
        result = run("run", self.folder, "--only", "build,coffee")
        self.assertEqual(result.returncode, 2)
        self.assertIn("unknown part coffee", result.stdout)

    def test_help_names_the_parts(self):
        result = run("run", "--help")
        for part in report_plan.PARTS:
            self.assertRegex(result.stdout, rf"{part.name} +{part.seconds}  ")


class WithAGpu(Reports):
    """Scripts in the place of what needs a GPU; concord-bench works on the CPU and names a GPU."""

    BENCH_TEXT = """#!/usr/bin/env python3
import json, subprocess, sys
arguments = ["cpu" if text == "cuda" else text for text in sys.argv[1:]]
code = subprocess.call([{bench!r}, *arguments])
if code == 0 and "--json" in arguments:
    path = arguments[arguments.index("--json") + 1]
    document = json.load(open(path))
    document["device"]["name"] = "a GPU"
    json.dump(document, open(path, "w"))
sys.exit(code)
"""

    def setUp(self):
        super().setUp()
        self.replace_bench(self.BENCH_TEXT.format(bench=BENCH))
        program(self.folder, "concord_device_conformance", "#!/bin/sh\necho PASS one\necho PASS two\n")
        program(self.folder, "concord-cuda-hazards", """#!/bin/sh
case $1 in
  startup) echo '{"context": 0.25, "open": 0.0625}' ;;
  trap) echo FAIL the digest; exit 1 ;;
  current) echo SKIP one GPU ;;
  *) echo PASS $1 ;;
esac
""")
        self.tools = os.path.join(self.folder, "tools")
        os.mkdir(self.tools)
        program(self.tools, "nvidia-smi", "#!/bin/sh\necho 'GPU 0: made up'\n")

    def report(self, only, *more):
        return run("run", self.folder, self.out, "--scale", "0.001", "--only", only, *more, path=self.tools)

    def test_the_parts_of_a_gpu(self):
        program(self.tools, "ncu", f"#!/bin/sh\ncat <<'END'\n{STALLS}END\n")
        program(self.tools, "compute-sanitizer", f"""#!/bin/sh
case "$*" in
  *"race") cat <<'END'
{RACE.format("hazards.cu:92", "hazards.cu:88")}END
    exit 9 ;;
  *) echo '========= ERROR SUMMARY: 0 errors' ;;
esac
""")
        result = self.report("conformance,sanitizer,python,hazards,startup,digests,stalls,rivals")
        self.assertEqual(result.returncode, 1, result.stdout)
        document = self.document()
        self.assertEqual([c["name"] for c in document["checks"] if not c["ok"]], ["hazard trap"])
        self.assertEqual(document["conformance"]["passed"], 2)
        self.assertEqual([run["ok"] for run in document["sanitizer"]], [True] * 8)
        self.assertEqual(document["startup"]["median"]["context"], 0.25)
        for text in ("2 of 2 cases", "**FAILED** hazard trap", "| current | 0 | 0 | SKIP one GPU |",
                     "| context | 250.0 ms |", "prepared with --no-python",
                     "| search_kernel, ef 192 | 1,720 | long_scoreboard 3.2, barrier 0.5 | registers 12 |"):
            self.assertIn(text, self.page())

    def test_a_part_that_hangs_is_ended_and_the_others_have_their_time(self):
        program(self.folder, "concord_device_conformance", "#!/bin/sh\nsleep 100\n")
        result = self.report("conformance,startup", "--budget", "12")
        steps = {step["name"]: step for step in self.document()["steps"]}
        self.assertIsNone(steps["conformance"]["exit_code"], result.stdout)
        self.assertLess(steps["conformance"]["seconds"], 9)
        self.assertEqual(steps["start 3"]["exit_code"], 0)
        self.assertIn("conformance: not finished, over the", self.page())

    def test_a_cpu_in_the_place_of_the_device_fails(self):
        self.replace_bench(self.BENCH_TEXT.format(bench=BENCH).replace("a GPU", "cpu"))
        result = self.report("wide")
        self.assertEqual(result.returncode, 1)
        self.assertIn("FAILED build 1000,768 ef_construction 128: built by the device", result.stdout)


class Unmeasured(unittest.TestCase):
    """What no device has run, in a repository made for the test."""

    def setUp(self):
        scratch = tempfile.TemporaryDirectory()
        self.addCleanup(scratch.cleanup)
        self.root = scratch.name
        self.git("init", "-q")
        self.write("cuda/old.cu", "1\n")
        self.write("cuda/gone.cu", "2\n")
        self.commit()
        self.first = self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments):
        who = ["-c", "user.name=t", "-c", "user.email=t@t"]
        return subprocess.run(["git", "-C", self.root, *who, *arguments], check=True, text=True,
                              capture_output=True).stdout

    def write(self, name, text):
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)

    def commit(self):
        self.git("add", "-A")
        self.git("commit", "-qm", "x")

    def report(self, folder, commit, tool="gpu_report"):
        self.write(f"bench/results/{folder}/report.json", json.dumps(
            {"tool": tool, "environment": {"concord": f"concord-bench, commit {commit}+changes"}}))

    def test_lists_what_changed_since_the_newest_report(self):
        self.report("2026-01-01-gpu", "0" * 12)
        self.report("2026-01-02-gpu", self.first[:12])
        self.report("2026-01-03-cpu", "1" * 12, tool="another")
        os.remove(os.path.join(self.root, "cuda/gone.cu"))
        self.write("cuda/old.cu", "3\n")
        self.write("cuda/new.cu", "4\n")
        self.write("cpu/other.cpp", "5\n")
        self.commit()
        text = unmeasured.block(self.root)
        self.assertIn(f"`{self.first[:7]}`", text)
        for line in ("- Changed: `old.cu`.", "- New: `new.cu`.", "- Gone: `gone.cu`."):
            self.assertIn(line, text.splitlines())
        self.assertNotIn("other", text)

    def test_nothing_is_listed_where_nothing_changed(self):
        self.report("2026-01-02-gpu", self.first[:12])
        self.assertIn("No file of `cuda/` has changed", unmeasured.block(self.root))

    def test_the_page_is_rewritten_between_its_marks_alone(self):
        page = f"before\n{unmeasured.BEGIN}\nold\n{unmeasured.END}\nafter\n"
        self.assertEqual(unmeasured.rewritten(page, "new\n"),
                         f"before\n{unmeasured.BEGIN}\n\nnew\n\n{unmeasured.END}\nafter\n")
        with self.assertRaises(ValueError):
            unmeasured.rewritten("no marks", "new")

    def test_the_documentation_is_what_the_command_writes(self):
        try:
            text = unmeasured.block(ROOT)
        except unmeasured.NoHistoryError as error:
            self.skipTest(str(error))
        page = read(ROOT, "docs", "benchmarks.md")
        self.assertEqual(unmeasured.rewritten(page, text), page, "run bench/gpu/unmeasured.py")


if __name__ == "__main__":
    unittest.main()
