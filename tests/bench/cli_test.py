"""Runs every command of concord-bench on small data: what it writes, and how it refuses bad input.

Usage: cli_test.py CONCORD_BENCH
"""
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

BENCH = sys.argv.pop()
DATA = ["--synthetic", "3000,16"]
QUICK = ["--ef", "20,40", "--threads", "1"]


class Cli(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name):
        return str(pathlib.Path(self.folder.name) / name)

    def bench(self, *arguments, code=0):
        done = subprocess.run([BENCH, *arguments], capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def report(self, *arguments, code=0):
        self.bench(*arguments, "--json", self.path("report.json"), code=code)
        with open(self.path("report.json")) as file:
            return json.load(file)

    def test_run(self):
        report = self.report("run", *DATA, *QUICK, "--verify-threads")
        self.assertEqual(report["index"]["size"], 3000)
        self.assertRegex(report["index"]["digest"], "^[0-9a-f]{32}$")
        self.assertTrue(report["command"].endswith(" --json report.json"))
        self.assertGreater(report["build"]["seconds"], 0)
        self.assertGreater(report["build"]["vectors_per_second"], 0)
        self.assertEqual(report["build"]["phases"]["commit"]["count"], 3000)
        self.assertIs(report["audit"]["ok"], True)
        self.assertEqual(report["audit"]["unreachable"], 0)
        self.assertEqual(report["audit"]["asymmetric_edges"], 0)
        self.assertIs(report["verify_threads"]["ok"], True)
        self.assertIs(report["memory"]["ok"], True)
        self.assertGreater(report["memory"]["peak_rss_bytes"], report["memory"]["index_bytes"])
        self.assertEqual([point["ef"] for point in report["search"]], [20, 40])
        for point in report["search"]:
            self.assertGreater(point["recall"], 0.8)
            self.assertGreater(point["qps"], 0)
            self.assertGreater(point["distances_per_query"], 20)

    def test_saved_index(self):
        index = self.path("index.concord")
        built = self.report("build", *DATA, "--out", index)
        self.assertIn(built["index"]["digest"], self.bench("info", "--index", index).stdout)
        audited = self.report("audit", "--index", index)
        self.assertEqual(audited["index"]["digest"], built["index"]["digest"])
        searched = self.report("search", "--index", index, *DATA, *QUICK)
        ran = self.report("run", *DATA, *QUICK)
        self.assertEqual([point["recall"] for point in searched["search"]],
                         [point["recall"] for point in ran["search"]])

    def test_killed_build_is_resumed(self):
        """kill -9 in the middle, again and again, and the same command: the same digest."""
        index = self.path("index.concord")
        command = ["build", *DATA, "--threads", "1", "--journal", "synced", "--out", index]
        digest = self.report("build", *DATA)["index"]["digest"]
        pause = 0.02
        while True:
            process = subprocess.Popen([BENCH, *command, "--json", self.path("report.json")],
                                       stdout=subprocess.DEVNULL)
            try:
                self.assertEqual(process.wait(timeout=pause), 0)
                break
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            pause *= 1.5
        with open(self.path("report.json")) as file:
            report = json.load(file)
        self.assertEqual(report["index"]["digest"], digest)
        self.assertEqual(report["index"]["size"], 3000)
        self.assertIn(digest, self.bench("info", "--index", index).stdout)
        again = self.report(*command)
        self.assertEqual(again["index"]["digest"], digest)
        self.assertEqual(again["build"]["phases"]["beam_search"]["count"], 0)
        self.bench("build", *DATA, "--journal", "synced", code=2)

    def test_durability(self):
        digest = self.report("build", *DATA)["index"]["digest"]
        command = ["durability", *DATA, "--rounds", "2", "--folder", self.folder.name]
        for arguments in (["--kill-at", "0.7"],
                          ["--kill-at", "1", "--journal", "system", "--threads", "2"]):
            with self.subTest(arguments=arguments):
                report = self.report(*command, *arguments)
                figures = report["durability"]
                for kind, builds in (("without_journal", 3), ("with_journal", 2)):
                    self.assertEqual(figures[kind]["digest"], digest)
                    self.assertEqual(len(figures[kind]["seconds"]), builds)
                    self.assertEqual(len(figures[kind]["cpu_seconds"]), builds)
                for ratio in ("cpu_ratio", "wall_ratio", "control_cpu_ratio", "control_wall_ratio"):
                    values = figures[ratio]
                    self.assertEqual(len(values["all"]), 2)
                    self.assertLessEqual(values["least"], values["median"])
                    self.assertLessEqual(values["median"], values["most"])
                self.assertGreater(figures["journal_bytes"], 3000 * 16)
                killed = figures["killed"]
                self.assertEqual(killed["digest"], digest)
                self.assertGreaterEqual(killed["committed"], 3000 * killed["at"])
                self.assertLessEqual(killed["committed"], 3000)
                self.assertGreater(killed["recovered"], 0)
                self.assertEqual(killed["lost"], max(0, killed["committed"] - killed["recovered"]))
                self.assertEqual(os.listdir(self.folder.name), ["report.json"])
                self.assertIs(figures["digests_equal"], True)

    def test_batches(self):
        report = self.report("run", *DATA, *QUICK, "--limit-queries", "50", "--device", "cpu",
                             "--batch", "1,7,200", "--batch-device", "cpu,auto")
        self.assertNotIn("search", report)
        points = report["batches"]
        self.assertEqual([(p["device"], p["ef"], p["batch"]) for p in points],
                         [(device, ef, batch) for device in ("cpu", "auto") for ef in (20, 40)
                          for batch in (1, 7, 200)])
        for point in points:
            self.assertGreater(point["recall"], 0.8)
            self.assertGreater(point["qps"], 0)
            self.assertGreater(point["distances_per_query"], 20)
            self.assertLessEqual(point["p50_seconds"], point["p99_seconds"])
            self.assertGreaterEqual(point["calls"], 3)
        self.assertTrue(all(p["answered_by"] == "cpu" for p in points if p["device"] == "cpu"))

    def test_rounds(self):
        report = self.report("build", *DATA, "--rounds", "3")
        self.assertEqual(len(report["build"]["rounds"]), 3)
        self.assertEqual(report["build"]["rounds"][2], report["build"]["seconds"])

    def test_isa_changes_nothing(self):
        scalar = self.report("build", *DATA, "--isa", "scalar")
        best = self.report("build", *DATA)
        self.assertEqual(scalar["machine"]["isa"], "scalar")
        self.assertEqual(scalar["index"]["digest"], best["index"]["digest"])

    def test_compare(self):
        done = subprocess.run([BENCH, "compare", *DATA, *QUICK, "--rounds", "1", "--json",
                               self.path("compare.json")], capture_output=True, text=True)
        if "built without hnswlib" in done.stderr:
            self.skipTest("built without hnswlib")
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(self.path("compare.json")) as file:
            report = json.load(file)
        self.assertGreater(report["compare"]["build_ratio"], 0)
        self.assertGreater(report["compare"]["qps_ratio"], 0)
        self.assertLess(abs(report["compare"]["recall_delta"]), 10)
        self.assertGreater(report["hnswlib"]["search"][0]["recall"], 0.8)

    def test_convert(self):
        vectors = self.path("v.fvecs")
        with open(vectors, "wb") as file:
            for row in range(40):
                file.write((2).to_bytes(4, "little") + bytes(4) + b"\0\0\x80\x3f")  # 0, 1
        self.bench("convert", vectors, self.path("v.u8bin"), "--limit", "3")
        with open(self.path("v.u8bin"), "rb") as file:
            self.assertEqual(file.read(), b"\3\0\0\0\2\0\0\0" + b"\0\1" * 3)

    def test_bad_input_is_one_line_and_2(self):
        (pathlib.Path(self.folder.name) / "short.fbin").write_bytes(b"\1\0\0\0\1\0\0\0")
        (pathlib.Path(self.folder.name) / "no.concord").write_bytes(b"no index")
        for arguments in (
            [],
            ["frobnicate"],
            ["run"],
            ["run", "--dataset", "vectors.csv"],
            ["run", "--dataset", self.path("missing.fbin")],
            ["run", "--dataset", self.path("short.fbin")],
            ["run", "--synthetic", "100"],
            ["run", *DATA, "--M", "1"],
            ["run", *DATA, "--M", "many"],
            ["run", *DATA, "--metric", "hamming"],
            ["run", *DATA, "--isa", "mmx"],
            ["run", *DATA, "--json", "/nonexistent/report.json"],
            ["run", *DATA, "--no-such-option"],
            ["durability", *DATA, "--folder", self.path("missing")],
            ["durability", *DATA, "--kill-at", "0"],
            ["info", "--index", self.path("no.concord")],
            ["search", "--index", self.path("missing.concord"), *DATA],
        ):
            with self.subTest(arguments=arguments):
                done = self.bench(*arguments, code=2)
                self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
                self.assertTrue(done.stderr.startswith("concord-bench: "))


if __name__ == "__main__":
    unittest.main()
