"""Runs every command of concord-bench on small data: what it writes, and how it refuses bad input.

Usage: cli_test.py CONCORD_BENCH
"""
import json
import os
import pathlib
import re
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest

BENCH = os.path.abspath(sys.argv.pop())
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

    def test_follow(self):
        """A build that is followed while it runs, and files that are not there."""
        index = self.path("index.concord")
        self.assertIn("index.concord.journal", self.bench("follow", index, code=2).stderr)
        self.bench("build", *DATA, "--limit", "1", "--journal", "system", "--out", index)
        build = subprocess.Popen([BENCH, "build", *DATA, "--journal", "system", "--out", index, "--json",
                                  self.path("build.json")], stdout=subprocess.DEVNULL)
        followed = self.report("follow", index, "--threads", "1", "--idle", "2")
        self.assertEqual(build.wait(), 0)
        with open(self.path("build.json")) as file:
            self.assertEqual(followed["index"], {"digest": json.load(file)["index"]["digest"], "size": 3000})
        self.assertLessEqual(followed["follow"]["operations"], 3000)
        self.assertGreater(followed["follow"]["polls"], 1)

    def test_follow_is_interrupted(self):
        """Ctrl-C, in the middle of a long sleep: what it has followed is printed all the same."""
        index = self.path("index.concord")
        self.bench("build", *DATA, "--limit", "10", "--journal", "system", "--out", index)
        process = subprocess.Popen([BENCH, "follow", index, "--interval", "5", "--json", self.path("follow.json")],
                                   stdout=subprocess.PIPE, text=True)
        self.assertIn("10 vectors", process.stdout.readline())
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        self.assertIn("digest: ", process.communicate(timeout=30)[0])
        self.assertEqual(process.returncode, 0)

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

    def test_churn(self):
        for pattern in ("random", "fifo", "clusters", "update"):
            report = self.report("churn", *DATA, *QUICK, "--limit", "500", "--turnovers", "0.5",
                                 "--round", "0.05", "--pattern", pattern)
            self.assertTrue(report["audit"]["ok"])
            self.assertEqual([point["size"] for point in report["churn"]], [500] * 5)
            last = report["churn"][-1]
            self.assertAlmostEqual(last["turnovers"], 0.5)
            for point, anew in zip(last["search"], report["fresh"]["search"], strict=True):
                self.assertGreater(point["recall"], anew["recall"] - 0.05)
        self.bench("churn", *DATA, "--limit", "1000000", code=2)

    def test_filter(self):
        wide = ["--synthetic", "3000,256", "--limit-queries", "50"]
        report = self.report("filter", *wide, *QUICK, "--kind", "random,window,near,far,cells",
                             "--selectivity", "1,0.3,0.01", "--rounds", "1", "--slack", "0.1,inf")
        points = report["filter"]
        self.assertEqual(len(points), 5 * 3 * 2 * 2)
        for point in points:
            self.assertEqual(point["returned_min"], 1)
            self.assertGreater(point["recall"], 0.7)
            self.assertLessEqual(point["recall_worst"], point["recall"])
            self.assertGreater(point["qps"], 0)
            self.assertGreater(point["qps_ratio_to_unfiltered"], 0)
            if point["selectivity"] == 0.01 and point["kind"] != "cells":  # scanned
                self.assertEqual(point["recall"], 1)
                self.assertEqual(point["rows_per_query"], 0)
                self.assertAlmostEqual(point["distances_per_query"], point["matches"])
            if (point["selectivity"], point["ef"], point["kind"]) == (0.3, 20, "random"):  # walked
                self.assertGreater(point["rows_per_query"], 20)
        saved = self.path("wide.concord")
        self.bench("build", *wide[:2], "--threads", "1", "--out", saved)
        again = self.report("filter", *wide, *QUICK, "--kind", "far", "--selectivity", "0.3", "--rounds", "1",
                            "--slack", "0.1", "--index", saved)
        self.assertEqual(again["index"], report["index"])
        counts = ("recall", "distances_per_query", "rows_per_query")
        of_a_build = [p for p in points if (p["kind"], p["selectivity"], "slack" in p) == ("far", 0.3, True)]
        self.assertEqual([[p[c] for c in counts] for p in again["filter"]],
                         [[p[c] for c in counts] for p in of_a_build])
        other = self.bench("filter", *DATA, *QUICK, "--index", saved, code=2)
        self.assertIn("is not an index of the vectors", other.stderr)
        self.bench("filter", *DATA, "--attribute", "section", code=2)
        self.bench("filter", *DATA, "--selectivity", "1.5", code=2)

    def test_range(self):
        data = ["--synthetic", "3000,32", "--limit-queries", "50"]
        points = self.report("range", *data, "--rank", "1,30,300", "--slack", "0,0.1,inf", "--ef", "32,64",
                             "--rounds", "1")["range"]
        self.assertEqual(len(points), 3 * 3 * 2)
        for point in points:
            self.assertGreaterEqual(point["in_range"], point["rank"] / 2)
            self.assertGreater(point["found"], 0.9)
            self.assertLessEqual(point["found_worst"], 1)
            self.assertLessEqual(point["complete"], 1)
            self.assertGreater(point["qps"], 0)
            if "slack" not in point:  # scanned
                self.assertEqual((point["found"], point["complete"]), (1, 1))
                self.assertGreaterEqual(point["distances_per_query"], 3000)
        narrow, wide = [next(p for p in points if (p["rank"], p["ef"]) == (1, 64)
                             and abs(p.get("slack", 9) - slack) < 1e-6) for slack in (0, 0.1)]
        self.assertLess(narrow["distances_per_query"], wide["distances_per_query"])
        self.bench("range", *data, "--metric", "inner_product", code=2)
        self.bench("range", *data, "--rank", "3001", code=2)
        self.bench("range", *data, "--slack", "-1", code=2)

    def test_tune(self):
        report = self.report("tune", "--synthetic", "3000,24", "--limit-queries", "300", "--recall", "0.8,0.9",
                             "--sample", "600", "--M", "6", "--threads", "2")
        self.assertEqual([point["goal"] for point in report["tune"]], [0.8, 0.9])
        for point in report["tune"]:
            self.assertGreaterEqual(point["at_least"], point["goal"])
            self.assertGreaterEqual(point["sample_recall"], point["at_least"])
            self.assertGreater(point["recall"], point["goal"] - 0.05)
            self.assertGreaterEqual(point["best"]["recall"], point["goal"])
            self.assertGreater(point["cost_ratio"], 0.5)
        self.bench("tune", *DATA, "--recall", "0.8", "--no-grid", "--sample", "100", "--out",
                   self.path("tuned.concord"))
        self.assertTrue(os.path.exists(self.path("tuned.concord.presets")))
        self.bench("tune", *DATA, "--recall", "1.5", code=2)

    def test_explain(self):
        wide = ["--synthetic", "3000,24", "--limit-queries", "200", "--M", "4"]
        explained = self.report("explain", *wide, "--ef", "12")["explain"]
        self.assertGreater(explained["misses"], 20)
        self.assertEqual(explained["wrong"], 0)
        self.assertLessEqual(set(explained["reasons"]), {"descent", "links"})
        self.assertEqual(sum(reason["misses"] for reason in explained["reasons"].values()),
                         explained["misses"])
        said = self.bench("explain", *wide, "--query", "0", "--label", "17")
        self.assertIn("Label 17 has rank", said.stdout)
        self.bench("explain", *wide, "--query", "200", "--label", "17", code=2)
        self.bench("explain", *wide, "--query", "0", code=2)

    def test_shards(self):
        report = self.report("shards", *DATA, *QUICK, "--shards", "1,3", "--block", "2")
        self.assertEqual([part["count"] for part in report["shards"]], [1, 3])
        one, three = report["shards"]
        self.assertGreater(one["build_distances_per_vector"], three["build_distances_per_vector"])
        for part in report["shards"]:
            self.assertGreater(part["build_seconds"], 0)
            self.assertEqual([point["ef"] for point in part["search"]], [20, 40])
            for point in part["search"]:
                self.assertGreater(point["recall"], 0.8)
                self.assertGreater(point["qps"], 0)
        # At an equal ef several graphs find more, for more distances.
        for alone, together in zip(one["search"], three["search"]):
            self.assertGreaterEqual(together["recall"], alone["recall"])
            self.assertGreater(together["distances_per_query"], alone["distances_per_query"])

    def test_shards_are_built_together_or_one_by_one(self):
        together, apart = self.path("together"), self.path("apart")
        shards = ["--shards", "3", "--block", "4"]
        whole = self.report("build", *DATA, *shards, "--out", together)
        for shard in "201":  # in any order
            self.assertFalse(os.path.exists(apart + "/manifest"))
            one = self.report("build", *DATA, *shards, "--only", shard, "--out", apart)
            self.assertEqual(one["index"]["digest"], whole["shards"][int(shard)]["digest"])
        for name in ("shard-0000.concord", "shard-0001.concord", "shard-0002.concord", "manifest"):
            with open(f"{together}/{name}", "rb") as a, open(f"{apart}/{name}", "rb") as b:
                self.assertEqual(a.read(), b.read(), name)
        self.bench("audit", "--index", together + "/shard-0001.concord")
        audited = self.report("audit", "--index", together)
        self.assertEqual(audited["index"], {"digest": whole["index"]["digest"], "size": 3000})
        self.assertIs(audited["audit"]["ok"], True)
        os.mkdir(self.path("empty"))
        self.assertIn("manifest", self.bench("audit", "--index", self.path("empty"), code=2).stderr)
        journaled = self.report("build", *DATA, *shards, "--journal", "system", "--out",
                                self.path("journaled"))
        self.assertEqual(journaled["index"]["digest"], whole["index"]["digest"])
        again = self.report("build", *DATA, *shards, "--journal", "system", "--out",
                            self.path("journaled"))
        self.assertEqual(again["index"]["digest"], whole["index"]["digest"])
        for bad in (["--shards", "3"], ["--only", "0"], [*shards, "--only", "3", "--out", apart],
                    [*shards, "--out", together]):
            self.bench("build", *DATA, *bad, code=2)

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
        coded = self.report("compare", *DATA, *QUICK, "--rounds", "1", "--codes", "sq8", "--rescore", "13")
        self.assertEqual(coded["parameters"]["codes"], "sq8")
        self.assertEqual([point["rescored_per_query"] for point in coded["search"]], [13, 13])
        self.assertNotIn("rescored_per_query", coded["hnswlib"]["search"][0])
        self.assertLess(abs(coded["compare"]["recall_delta"]), 10)

    def test_codes(self):
        floats = ["--synthetic", "3000,48", "--limit-queries", "100"]
        index = self.path("codes.concord")
        plain = self.report("build", *floats)
        self.assertEqual(plain["parameters"]["codes"], "none")
        said = self.bench("run", *floats, *QUICK, "--codes", "sq8", "--verify-threads", "--out", index, "--json",
                          self.path("report.json")).stdout
        self.assertIn("rescored/query", said)
        with open(self.path("report.json")) as file:
            coded = json.load(file)
        self.assertEqual(coded["parameters"]["codes"], "sq8")
        self.assertNotEqual(coded["index"]["digest"], plain["index"]["digest"])
        self.assertIs(coded["verify_threads"]["ok"], True)
        self.assertAlmostEqual(coded["memory"]["allowed_bytes"] - plain["memory"]["allowed_bytes"],
                               1.15 * 3000 * 64, delta=2)  # 48 + 12 bytes, rounded up to 16
        for point in coded["search"]:
            self.assertEqual(point["rescored_per_query"], 20)
            self.assertGreater(point["recall"], 0.8)
        for name, built in (("Sq8", coded), ("None", plain)):
            self.assertEqual(self.report("build", *floats, "--codes", name)["index"]["digest"],
                             built["index"]["digest"])

        least, most = [self.report("search", "--index", index, *floats, *QUICK, "--rescore", number)["search"]
                       for number in ("10", "30")]
        self.assertEqual([point["rescored_per_query"] for point in least + most], [10, 10, 20, 30])
        for few, many in zip(least, most, strict=True):
            self.assertLessEqual(few["recall"], many["recall"])
        batches = self.report("search", "--index", index, *floats, *QUICK, "--batch", "10", "--rescore", "10")
        self.assertEqual([point["recall"] for point in batches["batches"]],
                         [point["recall"] for point in least])

        self.assertIn("codes sq8", self.bench("info", "--index", index).stdout)
        self.assertEqual(self.report("info", "--index", index)["parameters"]["codes"], "sq8")
        asked = self.bench("query", "--index", index, "--label", "5", "--k", "3", "--rescore", "3")
        self.assertIn("(l2sq, walked by sq8, of 3,000)", asked.stdout)
        asked = self.bench("query", "--index", index, "--label", "5", "--k", "3", "--exact")
        self.assertIn("(l2sq, exact, of 3,000)", asked.stdout)
        self.bench("run", *floats, "--codes", "sq8", "--device", "cuda", code=2)

    def test_nearest_words(self):
        """The document has what is printed, for the words that were asked for."""
        sample = pathlib.Path(__file__).resolve().parents[2] / "bench/data/words-20k"
        data = ["--dataset", str(sample / "vectors.i8bin"), "--metric", "cosine", "--limit", "3000"]
        asked = [*data, "--words", str(sample / "words.txt"), "--word", "king,green", "--k", "3"]
        words = self.report("words", *asked)["words"]
        self.assertEqual([one["word"] for one in words], ["king", "green"])
        printed = self.bench("words", *asked).stdout
        for one in words:
            distances = [near["distance"] for near in one["nearest"]]
            self.assertEqual((len(distances), distances), (3, sorted(distances)))
            self.assertNotIn(one["word"], [near["word"] for near in one["nearest"]])
            line = " ".join(f"{near['word']} {near['distance']:.3f}" for near in one["nearest"])
            self.assertIn(f"{one['word']}: {line}", printed)

    def test_commands_that_never_use_codes(self):
        """tune and explain compare presets and explanations with searches of their kind."""
        wide = ["--synthetic", "3000,24", "--limit-queries", "200", "--codes", "sq8", "--M", "4"]
        explained = self.report("explain", *wide, "--ef", "12")["explain"]
        self.assertGreater(explained["misses"], 20)
        self.assertEqual(explained["wrong"], 0)
        tuned = self.report("tune", *wide, "--recall", "0.9", "--sample", "600", "--no-grid")["tune"][0]
        self.assertGreater(tuned["recall"], 0.85)
        found = self.report("range", *wide, "--rank", "30", "--slack", "0.1", "--rounds", "1")["range"][0]
        self.assertGreater(found["found"], 0.9)

    def test_filters_of_an_index_with_codes(self):
        wide = ["--synthetic", "3000,256", "--limit-queries", "50", "--codes", "sq8"]
        points = self.report("filter", *wide, *QUICK, "--kind", "random", "--selectivity", "1,0.5,0.01",
                             "--rounds", "1", "--rescore", "15")["filter"]
        for point in points:
            self.assertEqual(point["returned_min"], 1)
            self.assertGreater(point["recall"], 0.7)
            if point["selectivity"] == 0.01:  # scanned
                self.assertNotIn("rescored_per_query", point)
                self.assertEqual(point["recall"], 1)
            else:
                self.assertEqual(point["rescored_per_query"], 15)

    def test_convert(self):
        vectors = self.path("v.fvecs")
        with open(vectors, "wb") as file:
            for row in range(40):
                file.write((2).to_bytes(4, "little") + bytes(4) + b"\0\0\x80\x3f")  # 0, 1
        self.bench("convert", vectors, self.path("v.u8bin"), "--limit", "3")
        with open(self.path("v.u8bin"), "rb") as file:
            self.assertEqual(file.read(), b"\3\0\0\0\2\0\0\0" + b"\0\1" * 3)

    def test_version_and_help(self):
        self.assertRegex(self.bench("--version").stdout, r"^concord-bench \d+\.\d+\.\d+, commit ")
        commands = re.findall(r"^  ([a-z-]+) ", self.bench("--help").stdout.split("Subcommands:")[1], re.M)
        self.assertIn("query", commands)
        for command in commands:
            text = self.bench(command, "--help").stdout
            for part in ("Options:\n", "Examples:\n  concord-bench " + command, "Exit codes: "):
                self.assertIn(part, text)
        groups = re.findall(r"^(\w+):$", self.bench("run", "--help").stdout, re.M)
        self.assertEqual(groups, ["Options", "Data", "Graph", "Machine", "Search", "Files", "Examples"])

    def test_examples_of_the_help_parse(self):
        """They are refused, if at all, for a file that is not here, not for their words."""
        commands = re.findall(r"^  ([a-z-]+) ", self.bench("--help").stdout.split("Subcommands:")[1], re.M)
        for command in commands:
            examples = re.findall(r"^  concord-bench (.*)", self.bench(command, "--help").stdout, re.M)
            for example in examples:
                if "--synthetic 1000000" in example:
                    continue
                done = subprocess.run([BENCH, *example.split(" > ")[0].split()], cwd=self.folder.name,
                                      capture_output=True, text=True)
                self.assertIn(done.returncode, (0, 2), example)
                self.assertNotRegex(done.stderr, "not expected|no option|required|must be", example)

    def test_mistyped_words(self):
        for arguments, meant in ((["rnu"], "run"), (["serch"], "search"), (["servemix"], "serve-mix"),
                                 (["run", "--dataest", "x"], "--dataset"),
                                 (["build", "--ef_construction=9"], "--ef-construction"),
                                 (["search", "--metrics", "l2"], "--metric")):
            self.assertIn(f"did you mean {meant}?", self.bench(*arguments, code=2).stderr)
        for arguments in (["frobnicate"], ["run", "--frobnicate"]):
            self.assertNotIn("did you mean", self.bench(*arguments, code=2).stderr)

    def test_completion_in_bash(self):
        with open(self.path("completion"), "w") as file:
            file.write(self.bench("completion").stdout)

        def completed(*words):
            program = 'source "$1"; shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _concord_bench; echo "${COMPREPLY[@]}"'
            done = subprocess.run(["bash", "-c", program, "bash", self.path("completion"), *words],
                                  capture_output=True, text=True, check=True)
            return done.stdout.split()

        self.assertEqual(completed("concord-bench", "se"), ["search", "serve-mix"])
        self.assertEqual(completed("concord-bench", "run", "--verify"), ["--verify-threads"])
        self.assertEqual(completed("concord-bench", "info", "--i"), ["--index"])
        self.assertEqual(completed("concord-bench", "ra"), ["range"])
        self.assertEqual(completed("concord-bench", "range", "--ra"), ["--rank"])
        self.assertEqual(completed("concord-bench", "run", "file"), [])
        for command in ("run", "build", "compare", "filter", "churn", "shards"):
            self.assertEqual(completed("concord-bench", command, "--cod"), ["--codes"])
        for command in ("run", "search", "compare", "filter", "query"):
            self.assertEqual(completed("concord-bench", command, "--res"), ["--rescore"])

    def test_query(self):
        index, names, vectors = self.path("i.concord"), self.path("names.txt"), self.path("V.FBIN")
        with open(vectors, "wb") as file:
            file.write((6).to_bytes(4, "little") + (1).to_bytes(4, "little"))
            file.write(struct.pack("<6f", 0, 1, 2, 4, 8, 16))
        with open(names, "w") as file:
            file.write("zero\none\ntwo\nfour\neight\nsixteen\n")
        self.bench("build", "--dataset", vectors, "--out", index)

        def nearest(*arguments):
            found = self.report("query", "--index", index, "--k", "3", *arguments)["neighbors"]
            return [(neighbor["label"], neighbor["distance"]) for neighbor in found]

        self.assertEqual(nearest("--vector", "7"), [(4, 1), (3, 9), (2, 25)])
        self.assertEqual(nearest("--vector", "-1", "--exact"), [(0, 1), (1, 4), (2, 9)])
        self.assertEqual(nearest("--label", "5"), [(5, 0), (4, 64), (3, 144)])
        self.assertEqual(nearest("--dataset", vectors, "--row", "1")[0], (1, 0))
        self.assertEqual(nearest("--names", names, "--name", "sixteen"), nearest("--label", "5"))
        self.assertIn("eight", self.bench("query", "--index", index, "--names", names, "--name",
                                          "sixteen").stdout)
        for arguments, reason in (([], "give one of"), (["--vector", "1", "--label", "1"], "give one of"),
                                  (["--vector", "1,2"], "has 2 elements"), (["--vector", "nan"], "finite"),
                                  (["--label", "99"], "label 99 is not in the index"),
                                  (["--name", "one"], "needs --names"),
                                  (["--names", names, "--name", "seven"], 'has no "seven"'),
                                  (["--dataset", vectors, "--row", "6"], "has no row 6; it has 6")):
            self.assertIn(reason, self.bench("query", "--index", index, *arguments, code=2).stderr)

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
            ["run", *DATA, "--codes", "pq"],
            ["build", *DATA, "--codes", ""],
            ["run", *DATA, "--codes", "sq8", "--rescore", "0"],
            ["run", *DATA, "--codes", "sq8", "--rescore", "many"],
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
